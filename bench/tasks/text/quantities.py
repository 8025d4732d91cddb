"""What the text task reports: names, units, directions, and their curves along strengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.tasks.base import CellResult
from bench.tasks.editing.protocol import key_of
from bench.tasks.editing.quantities import GUIDE_GAP, IDENTITY, LEAKAGE, PERCEPTUAL, REACH, Quantity, Samples, samples_of

# Cosine of the step between pictures and the step between texts in the judge's eyes (metrics.text.directional_similarity), from
# the attribute's prompt of the other side to the one that was asked for. A picture that did not change is at 0.
DIRECTIONAL = Quantity("directional_similarity", "text_image", "cosine", True, headline=True, worst=-1.0)
# CLIPScore of the edited picture and the prompt (metrics.text.clip_score), and how much more that is than of the unedited one.
SCORE = Quantity("clip_score", "text_image", "CLIPScore", True, worst=0.0)
GAIN = Quantity("clip_score_gain", "text_image", "CLIPScore", True)
# Directional similarity of the other wordings less that of the attribute's own prompt, on the same codes.
REWORDING = Quantity("rewording_gap", "text_image", "cosine", True)
SECONDS = Quantity("seconds_per_edit", "", "s", False)
LESS = replace(IDENTITY, headline=False)

# Read at equal judged effect.
CURVES = (DIRECTIONAL, LEAKAGE, LESS, PERCEPTUAL, SCORE, GAIN, GUIDE_GAP)
QUANTITIES = (*CURVES, REACH, REWORDING, SECONDS)
HEADLINES = (DIRECTIONAL, LEAKAGE, REACH)


def metric_names() -> tuple[str, ...]:
    return tuple(one.name for one in QUANTITIES)


def text_key(target: str, sign: str, number: int) -> str:
    """The name of one prompt's arrays, e.g. 'smile/+/0'."""
    return f"{key_of(target, sign)}/{number}"


def samples_of_text(result: CellResult, target: str, sign: str, number: int, edit: int) -> Samples:
    """The samples of one prompt: what pictures became, of the edit `edit`, and what the judge says of them and this prompt."""
    start, key = f"{text_key(target, sign, edit)}/", key_of(target, sign)
    mine = {f"{key}/{name.removeprefix(start)}": array for name, array in result.arrays.items() if name.startswith(start)}
    samples = samples_of(CellResult({**mine, "sigma": result.arrays["sigma"]}, result.facts), target, sign)
    said = text_key(target, sign, number)
    score, along = (result.arrays[f"{said}/{name}"].astype(np.float64) for name in ("score", "directional"))
    curves = {SCORE.name: score, GAIN.name: score - score[:, :1], DIRECTIONAL.name: along}
    return replace(samples, curves={**samples.curves, **curves})
