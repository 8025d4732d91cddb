"""What the sampling task reports: names, units, directions."""

from __future__ import annotations

from bench.tasks.numbers import Quantity

# Share of samples that the judge says have what was asked: the class of a binary attribute, or a score at least LEAST sigma
# beyond the median of unconditioned samples. Unreadable samples do not have it.
SUCCESS = Quantity("success", "attributes", "share", True, headline=True)
# Mean perceptual distance between two samples of a question, over that of unconditioned samples. An unreadable sample is at
# distance 0 from every other. 'as sampled': whether or not the samples are what was asked.
DIVERSITY = Quantity("diversity", "perceptual", "of unconditioned samples", True, headline=True)
DIVERSITY_RAW = Quantity("diversity_as_sampled", "perceptual", "of unconditioned samples", True)
# KID(samples, reference) - KID(unconditioned samples, reference). Not 0 for a perfect sampler: smiling heads are no random draw
# of heads. What accepted samples lose is printed beside it.
REALISM = Quantity("realism_loss", "features", "KID", False, headline=True)
REALISM_RAW = Quantity("realism_loss_as_sampled", "features", "KID", False)
# Root mean square over the other judged attributes of mean over samples - mean over unconditioned samples, in sigma; the squares
# are freed of the means' own error (arithmetic.mean_square), so that chance alone gives about 0.
OFF_TARGET = Quantity("off_target_shift", "attributes", "sigma", False)
# The mean judged score against that of unconditioned samples, the way asked.
TARGET_SHIFT = Quantity("target_shift", "attributes", "sigma", None)
# Share of samples on the asked side of the unconditioned median; continuous attributes only.
SIDE = Quantity("asked_side", "attributes", "share", True)
SHIFT = Quantity("attribute_shift", "attributes", "sigma", None)
# Of unconditioned samples: the share that has what was asked, and what those are like that a judge accepts as having it.
BASE = Quantity("base_rate", "attributes", "share", None)
ACCEPTED_DIVERSITY = Quantity("accepted_diversity", "perceptual", "of unconditioned samples", None)
ACCEPTED_REALISM = Quantity("accepted_realism_loss", "features", "KID", None)
ACCEPTED_OFF_TARGET = Quantity("accepted_off_target_shift", "attributes", "sigma", None)
SECONDS = Quantity("seconds_per_sample", "", "s", False)

QUANTITIES = (
    SUCCESS, DIVERSITY, REALISM, DIVERSITY_RAW, REALISM_RAW, OFF_TARGET, TARGET_SHIFT, SIDE, SHIFT, BASE, ACCEPTED_DIVERSITY,
    ACCEPTED_REALISM, ACCEPTED_OFF_TARGET, SECONDS,
)  # fmt: skip


def metric_names() -> tuple[str, ...]:
    return tuple(one.name for one in QUANTITIES)
