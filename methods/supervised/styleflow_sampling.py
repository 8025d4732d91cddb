"""Samples under attributes that are asked for: draw a prior code, decode it under them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.codes import Codes, Space
from bench.streams import normal_rows, stream_seed
from methods.supervised.styleflow_editing import Trained


@dataclass(frozen=True)
class FlowSampler:
    """Attribute-conditioned sampling. space: of the codes that come out.

    Attributes that are not asked for are those of a code of the bank, drawn for each sample: they keep their own joint
    distribution, whatever usually goes along with what is asked.
    """

    trained: Trained
    space: Space

    @property
    def targets(self) -> tuple[str, ...]:
        """The attributes that it can be asked for."""
        return self.trained.conditions.names

    def sample(self, asked: Mapping[str, float], ids: Tensor, *, seed: int) -> Codes:
        """Codes [N, D] under the asked attributes; a row is a function of (seed, its id) and what is asked alone.

        asked: attribute -> value. Of a continuous one, standard deviations of the guide's score from its mean over samples; of a
        binary one above 0 to have it, else to lack it. None at all: samples under attributes of the bank.
        Raises InputError for an attribute that the flow is not conditioned on.
        """
        conditions, contexts = self.trained.conditions, self.trained.contexts
        context = contexts[chosen_rows(ids, len(contexts), seed=seed)].clone()
        for name, value in asked.items():
            context[:, conditions.column(name)] = conditions.value(name, value)
        prior = normal_rows(ids, self.trained.flow.dimension, seed=seed, name="styleflow-prior").to(contexts)
        with torch.no_grad():
            return Codes(self.space, self.trained.decode(prior, context), ids)


def chosen_rows(ids: Tensor, count: int, *, seed: int) -> Tensor:
    """A row number below `count` for each id, [N] int64, every one as likely."""
    key = stream_seed("styleflow-context", seed)
    drawn = [np.random.Generator(np.random.Philox(key=np.array([key, one], np.uint64))).integers(count) for one in ids.tolist()]
    return torch.tensor(drawn, dtype=torch.int64)
