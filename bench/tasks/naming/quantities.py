"""What the naming task reports: names, units, directions. Each is asked of the names that words give, and of those by attributes.

A name is right where the attribute that it speaks of is the one that the component changes most, in sigma, and, where the name
speaks of one end of the attribute, in that way. A judge says so, on codes that the name was not found on; where the generator
knows its factors they say so, too (`_true`).
"""

from __future__ import annotations

from bench.tasks.numbers import Quantity

JUDGE, TRUTH = "attributes", ""
# Share of the component names that are right. No component is named: unreached.
HIT = Quantity("naming_hit_rate", JUDGE, "share of the names", True, headline=True)
HIT_TRUE = Quantity("naming_hit_rate_true", TRUTH, "share of the names", True)
# The same where it is enough that the attribute is among the TOP that change most.
TOP = Quantity("naming_hit_rate_top3", JUDGE, "share of the names", True)
TOP_TRUE = Quantity("naming_hit_rate_top3_true", TRUTH, "share of the names", True)
# Share of the names that would be right if they were given to any components of the fit.
CHANCE = Quantity("naming_chance", JUDGE, "share of the names", None)
CHANCE_TRUE = Quantity("naming_chance_true", TRUTH, "share of the names", None)
# The hit rate were every component named by its leading subject, however uncertain.
FORCED = Quantity("naming_hit_rate_forced", JUDGE, "share of the components", True)
FORCED_TRUE = Quantity("naming_hit_rate_forced_true", TRUTH, "share of the components", True)
# Share of all components of the fit that have a name; the others are abstained from.
NAMED = Quantity("named_share", TRUTH, "share of the components", True, headline=True)

BY_JUDGE = (HIT, TOP, CHANCE, FORCED)
BY_TRUTH = (HIT_TRUE, TOP_TRUE, CHANCE_TRUE, FORCED_TRUE)
QUANTITIES = (*BY_JUDGE, *BY_TRUTH, NAMED)


def metric_names() -> tuple[str, ...]:
    return tuple(one.name for one in QUANTITIES)
