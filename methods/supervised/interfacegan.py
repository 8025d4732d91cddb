"""InterFaceGAN: the normal of a linear SVM between the codes of highest and of lowest score is the edit direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field
from sklearn.svm import SVC
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Space
from bench.errors import InputError, unknown
from bench.streams import stream_rng
from methods.base import FitContext, Fitted, Method
from methods.code_streams import code_space
from methods.editors import DirectionEditor, restore_directions


@dataclass(frozen=True)
class Boundary:
    """A linear boundary in a latent space.

    normal: [D] unit length, toward high scores. train, validation, remaining: accuracy in [0, 1], None where no code is left.
    """

    normal: np.ndarray
    train: float
    validation: float
    remaining: float | None


def chosen_number(n: int, chosen_num_or_ratio: float) -> int:
    """Codes on either side: a share of all codes where the number is at most 1, else a count; never more than half of them."""
    number = n * chosen_num_or_ratio if chosen_num_or_ratio <= 1 else chosen_num_or_ratio
    return min(int(number), n // 2)


def train_boundary(
    codes: np.ndarray,
    scores: np.ndarray,
    *,
    chosen_num_or_ratio: float,
    split_ratio: float,
    rng: np.random.Generator | np.random.RandomState,
    c: float = 1.0,
) -> Boundary:
    """The SVM boundary between the extremes of `scores` [N] among `codes` [N, D] (Shen et al. 2020, section 3.2).

    The chosen number of codes at either end are shuffled by `rng`, first those of high score; `split_ratio` of each side trains,
    the rest validates. The remaining codes are labelled by the midpoint of the highest and the lowest score, as in the published
    code. The intercept is dropped. Raises InputError for scores that do not rank the codes or too few codes.
    """
    if not (np.isfinite(scores).all() and np.isfinite(codes).all()):
        raise InputError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores or some codes are not finite")
    if scores.max() == scores.min():
        raise InputError(f"all {len(scores)} scores are the same: there is nothing to separate")
    chosen = chosen_number(len(codes), chosen_num_or_ratio)
    n_train = int(chosen * split_ratio)
    if n_train < 1 or n_train == chosen:
        raise InputError(f"{len(codes)} codes are too few: {chosen} a side leave none to train or to validate on")
    order = np.argsort(scores, kind="stable")[::-1]
    sides = [order[:chosen], order[-chosen:]]
    if scores[sides[0]].min() <= scores[sides[1]].max():
        raise InputError("too many scores are the same: those of the highest and the lowest codes overlap")
    sides = [side[shuffled(len(side), rng)] for side in sides]
    train = np.concatenate([side[:n_train] for side in sides])
    held_out = np.concatenate([side[n_train:] for side in sides])
    svm = SVC(kernel="linear", C=c).fit(codes[train], np.repeat([1, 0], n_train))
    normal = svm.coef_[0] / np.linalg.norm(svm.coef_[0])
    positive = codes @ svm.coef_[0] + svm.intercept_ > 0  # as svm.predict, without a kernel over all support vectors

    def accuracy(rows: np.ndarray, labels: np.ndarray) -> float | None:
        return float((positive[rows] == labels).mean()) if len(rows) else None

    remaining = order[chosen:-chosen]
    return Boundary(
        normal,
        accuracy(train, np.repeat([1, 0], n_train)),
        accuracy(held_out, np.repeat([1, 0], chosen - n_train)),
        accuracy(remaining, scores[remaining] >= (scores.max() + scores.min()) / 2),
    )


def shuffled(n: int, rng: np.random.Generator | np.random.RandomState) -> np.ndarray:
    """0 to n - 1 in the order that shuffling them in place gives."""
    order = np.arange(n)
    rng.shuffle(order)
    return order


class InterFaceGAN(Method):
    """One boundary per attribute, in w, z or another space of one vector a code.

    Codes are edited as they are: in z no code is put back on the sphere, and a strength is relative to the code, not a distance
    from the boundary. In the paper 500,000 codes give 10,000 a side; here the same share of the bank's codes is taken.
    """

    name = "interfacegan"
    approach = "supervised"
    citation = "Shen, Gu, Tang, Zhou: Interpreting the Latent Space of GANs for Semantic Face Editing, CVPR 2020"
    needs = frozenset({"attributes"})

    class Options(Method.Options):
        """space: where codes lie; a generator without w is searched in z, as the paper's PGGAN is.

        chosen_num_or_ratio: codes a side, as share (at most 1) or count. split_ratio: the share that trains.
        C: the SVM's. hold: attributes that every edit leaves alone (conditional manipulation).
        """

        space: Space = Space.W
        chosen_num_or_ratio: float = Field(0.02, gt=0)
        split_ratio: float = Field(0.7, gt=0, lt=1)
        C: float = Field(1.0, gt=0)
        hold: tuple[str, ...] = ()

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        space = code_space(self.options.space, info)
        if space.layered:
            return f"boundaries are for spaces with one vector a code, not for {space}"
        if space != self.options.space:
            return type(self)(**self.options.model_dump() | {"space": space}).supports(info, domain)
        return super().supports(info, domain)

    def fit(self, context: FitContext) -> Fitted:
        options, known = self.options, tuple(context.bank.names)
        names = tuple(dict.fromkeys((*context.targets, *options.hold)))
        for name in names:
            if name not in known:
                raise unknown("attribute of the guide", name, known)
        space = code_space(options.space, context.generator.info)
        values = flat_codes(context, space)
        scores = context.bank.scores.double().cpu().numpy()
        boundaries = []
        for name in names:
            try:
                boundary = train_boundary(
                    values,
                    scores[:, known.index(name)],
                    chosen_num_or_ratio=options.chosen_num_or_ratio,
                    split_ratio=options.split_ratio,
                    rng=stream_rng("interfacegan", context.seed, name),
                    c=options.C,
                )
            except InputError as error:
                raise InputError(f"no boundary for {name}: {error}") from error
            boundaries.append(boundary)
        directions = torch.from_numpy(np.stack([b.normal for b in boundaries])).float()
        editor = DirectionEditor(context.generator, directions, names, space, hold=options.hold, targets=tuple(context.targets))
        return Fitted(editor=editor, tables=tables(names, boundaries))

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restore_directions(context, state)


def flat_codes(context: FitContext, space: Space) -> np.ndarray:
    """The bank's codes in a space that has no rows, float64 [N, D]. Raises InputError for a layered space."""
    if Space(space).layered:
        raise InputError(f"boundaries are for spaces with one vector a code, not for {space}")
    return context.bank.codes(space).values.double().cpu().numpy()


def tables(names: Sequence[str], boundaries: Sequence[Boundary]) -> dict[str, list[dict[str, Any]]]:
    """The paper's tables: accuracy of each boundary (train, validation, remaining; in [0, 1]) and the cosines between them."""
    accuracy = [
        {"attribute": n, "train": b.train, "validation": b.validation, "remaining": b.remaining}
        for n, b in zip(names, boundaries, strict=True)
    ]
    normals = np.stack([b.normal for b in boundaries])
    products = (normals @ normals.T).tolist()
    cosines = [{"attribute": n, **dict(zip(names, row, strict=True))} for n, row in zip(names, products, strict=True)]
    return {"boundary_accuracy": accuracy, "boundary_cosine": cosines}
