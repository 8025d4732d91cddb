"""An example of a method: the direction from the mean of the low-scoring codes to the mean of the high-scoring ones."""

import torch

from bench.codes import Space
from bench.errors import unknown
from methods.base import FitContext, Fitted, Method
from methods.editors import DirectionEditor, restore_directions, unit


class MeanDifference(Method):
    """One direction per attribute, from the codes that the guide scores highest and lowest."""

    name = "mean_difference"
    approach = "supervised"
    version = 1  # rises whenever a number could change
    citation = "an example"
    needs = frozenset({"attributes"})  # the guides it asks for

    class Options(Method.Options):
        """space: where codes move. share: the part of the codes on either side."""

        space: Space = Space.W
        share: float = 0.1

    def fit(self, context: FitContext) -> Fitted:
        codes = context.bank.codes(self.options.space).values
        names = list(context.bank.names)
        side = max(1, int(self.options.share * len(codes)))
        directions = []
        for target in context.targets:
            if target not in names:
                raise unknown("attribute of the guide", target, names)
            order = context.bank.scores[:, names.index(target)].argsort()
            directions.append(codes[order[-side:]].mean(0) - codes[order[:side]].mean(0))
        editor = DirectionEditor(context.generator, unit(torch.stack(directions)), tuple(context.targets), self.options.space)
        return Fitted(editor=editor)

    def restore(self, context: FitContext, state: dict) -> Fitted:
        return restore_directions(context, state)
