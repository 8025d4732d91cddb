"""The faults: what each one plants and how strong it is at severity 1. A severity s plants s of that; 0 plants nothing."""

from __future__ import annotations

from dataclasses import dataclass

from bench.tasks.validity import settings as rules


@dataclass(frozen=True)
class Fault:
    """name: as records' target. family: of settings.FAMILIES. title: for tables. planted: what is done at severity 1."""

    name: str
    family: str
    title: str
    planted: str


def _faults(family: str, prefix: str, *lines: tuple[str, str, str]) -> tuple[Fault, ...]:
    return tuple(Fault(f"{prefix}_{name}", family, title, planted) for name, title, planted in lines)


FAULTS: tuple[Fault, ...] = (
    *_faults(
        "edits", "edit",
        ("rotation", "direction turned", f"the true step turned by {rules.ROTATION:g} degrees toward a random direction of w"),
        ("leak", "leaks into another", "another attribute is lifted as far as the target"),
        ("shrink", "effect shrunk", f"the step loses {rules.SHRINK:.0%} of its length"),
        ("noise", "noise on edited codes", f"{rules.CODE_NOISE:g} of another sampled code is added to each edited one"),
        ("identity", "identity changed", "the factors of identity are turned into those of another sampled person"),
        ("wrong_way", "some go the wrong way", f"{rules.WRONG_WAY:.0%} of the codes are edited the other way"),
        ("shuffle", "targets mixed up", f"{rules.SHUFFLED:.0%} of the codes get the next target's edit"),
        ("blur", "edited picture blurred", f"a Gaussian of {rules.BLUR:g} px over the edited picture"),
        ("fooling", "guide fooled", f"pixels move by {rules.FOOLING:g} the way that lifts the guide's score of the target"),
    ),
    *_faults(
        "order", "edit", ("order", "edits do not commute", "an edit's step depends on the attribute that the other one changes")
    ),
    *_faults(
        "representations", "codes",
        ("rotation", "rotated", "a random rotation over all codes"),
        ("noise", "noise added", f"noise of {rules.FACTOR_NOISE:g} times the codes' deviation"),
        ("leak", "leak into each other", f"every code but the last also carries {rules.FACTOR_LEAK:g} of the next"),
        ("drop", "codes dropped", "half of the codes are gone"),
        ("copy", "codes copied", "every code has a second one that says the same, as well"),
        ("padding", "noise codes added", "as many codes of pure noise as there are others"),
        ("permutation", "codes permuted", "the codes in another order"),
        ("scaling", "codes scaled", f"every code times +-exp of {rules.SCALING:g} times a normal number, and shifted"),
    ),
    *_faults(
        "maps", "map",
        ("rough", "map rippled", f"a ripple of {rules.RIPPLE:g} deviations along every factor"),
        ("bent", "map bent", "the size of every factor's step swings with another factor"),
        ("collapse", "map collapsed", f"factors lose {rules.COLLAPSE:.0%} of their spread"),
    ),
    *_faults(
        "pictures", "pictures",
        ("blur", "blurred", f"a Gaussian of {rules.BLUR:g} px"),
        ("noise", "pixel noise", f"normal noise of deviation {rules.PIXEL_NOISE:g}, in [-1, 1]"),
        ("brightness", "brighter", f"every pixel {rules.BRIGHTNESS:g} higher, in [-1, 1]"),
        ("shift", "shifted", f"{rules.SHIFT} px to the right"),
    ),
    *_faults(
        "pictures", "set",
        ("mode", "mode dropped", "all pictures with one binary attribute are gone"),
        ("truncation", "truncated", f"factors lose {rules.TRUNCATION:.0%} of their spread"),
        ("copies", "copies", f"{rules.COPIES:.0%} of the pictures are copies of {rules.ORIGINALS:.0%} of them"),
    ),
    *_faults(
        "inversions", "inversion",
        ("noise", "noise on inverted codes", f"{rules.INVERSION_NOISE:g} of another sampled code is added"),
        ("mean", "drawn to the mean", "the mean code whatever the picture"),
        ("outward", "too far out", f"codes are {1 + rules.OUTWARD:g} times as long"),
    ),
    *_faults(
        "units", "units",
        ("shift", "maps shifted", f"activations {rules.UNIT_SHIFT} px of {rules.UNIT_SIDE} away from their concept"),
        ("noise", "noise on maps", f"noise of {rules.UNIT_NOISE:g} times a unit's full activation"),
        ("mix", "concepts mixed", "a unit is active for two concepts alike"),
        ("permutation", "units permuted", "the units in another order"),
        ("scaling", "units scaled", "activations ten times as large"),
    ),
    *_faults(
        "units", "intervention",
        ("weak", "intervention fails", "the intervention does nothing in 80% of the pictures"),
        ("spill", "intervention spills", "the intervention also removes another concept"),
    ),
)  # fmt: skip

BY_NAME = {one.name: one for one in FAULTS}
