"""Which layer carries which attribute: total sensitivity indices of a guide's scores to the layers' own codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from bench.codes import Codes, Space
from bench.errors import SpaceError
from methods.base import FitContext
from methods.guided import attribute_scores
from methods.supervised.higan_verify import level_of
from methods.unsupervised.hessian_penalty import interval
from metrics.statistics import bootstrap

LAYERED = (Space.Z_PLUS, Space.W_PLUS)


def total_indices(before: torch.Tensor, after: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Each code's share in the total index of a group of inputs, [N, A] float64; the index is the mean over N.

    S_T = E (f(x) - f(x'))^2 / (2 Var f), where x' has the group drawn anew and all else kept (Jansen 1999; Saltelli et al. 2010,
    table 2 f): the share of the variance of f that is gone once everything but the group is known. before, after: scores [N, A]
    of x and x'; spread: [A] deviation of f. An index lies in [0, 1] up to sampling; indices of groups add up to 1 or more.
    """
    return (after.double() - before.double()).square() / (2 * spread.double().square())


def layered_codes(context: FitContext, count: int) -> Codes | None:
    """The first codes of the bank with a row for each layer, None where the generator has no such space."""
    for space in LAYERED:
        if space in context.generator.info.spaces:
            try:
                return context.bank.codes(space)[:count]
            except SpaceError:
                continue
    return None


def layer_tables(context: FitContext, count: int) -> dict[str, list[dict[str, Any]]]:
    """The fit's tables: `layer_indices`, attribute by layer, and `layer_depth`, how deep each level of attributes lies.

    A code's row is that of the next `count` codes of the bank, the others stay. Nothing where layers have no codes of their own,
    the domain has no guide of attributes, or the bank holds fewer than 2 pairs.
    """
    count = min(count, len(context.bank) // 2)
    if count < 2 or "attributes" not in context.guides:
        return {}
    codes = layered_codes(context, 2 * count)
    if codes is None:
        return {}
    own, other = codes[:count], codes[count:]
    spread = context.bank.scores.double()
    spread = torch.stack([column[column.isfinite()].std() for column in spread.T])
    before, shares = attribute_scores(context, own), []
    for number in range(own.values.shape[1]):
        values = own.values.clone()
        values[:, number] = other.values[:, number]
        shares.append(total_indices(before, attribute_scores(context, own.with_values(values)), spread))
    found = torch.stack(shares)
    return {"layer_indices": index_rows(context, found), "layer_depth": depth_rows(context, found)}


def index_rows(context: FitContext, shares: torch.Tensor) -> list[dict[str, Any]]:
    """Attribute by layer, of shares [L, N, A]: the total index by the guide's scores, 95 % interval normal over codes."""
    rows = []
    for number, name in enumerate(row_names(context, len(shares))):
        for attribute, column in zip(context.bank.names, shares[number].T, strict=True):
            read = column[column.isfinite()]
            if len(read) > 1:
                value, low, high = interval(read)
                level = level_of(attribute, context.domain.name)
                facts = {"index": value, "ci_low": low, "ci_high": high, "n": len(read)}
                rows.append({"attribute": attribute, "level": level, "layer": name, "row": number, **facts})
    return rows


def depth_rows(context: FitContext, shares: torch.Tensor) -> list[dict[str, Any]]:
    """Level by level, of shares [L, N, A]: where among the layers its attributes' indices lie, from 0 (first) to 1 (last).

    The mean of the layers' places, weighted by the indices summed over the level's attributes; 95 % interval by the bootstrap
    over codes.
    """
    places = np.linspace(0, 1, len(shares))
    levels = [level_of(attribute, context.domain.name) for attribute in context.bank.names]

    def depth(of_codes: np.ndarray) -> float:
        weights = of_codes.mean(0)
        return float((weights * places).sum() / weights.sum())

    rows = []
    for level in dict.fromkeys(levels):
        columns = [i for i, one in enumerate(levels) if one == level]
        mine = shares[:, :, columns].sum(2).T.numpy()
        mine = mine[np.isfinite(mine).all(1)]
        if len(mine) > 1 and mine.sum(1).all():
            value, low, high = bootstrap(depth, mine, seed=context.seed)
            rows.append({"level": level, "depth": float(value), "ci_low": float(low), "ci_high": float(high), "n": len(mine)})
    return rows


def row_names(context: FitContext, count: int) -> list[str]:
    """The layers that each row of a layered space feeds, 'blocks.0'; 'row 3' where the card does not say."""
    layers = context.generator.info.layers
    found = [[layer.name for layer in layers if row in layer.rows and not layer.is_rgb] for row in range(count)]
    return ["+".join(names) or f"row {row}" for row, names in enumerate(found)]
