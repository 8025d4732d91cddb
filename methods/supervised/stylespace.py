"""StyleSpace: one channel of the style space for each attribute, found from a few positive examples or by where it acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo, LayerInfo
from bench.codes import Codes, Space
from bench.errors import InputError, UnsupportedError, unknown
from bench.streams import stream_rng
from methods.base import FitContext, Fitted, Method
from methods.code_streams import CodeStreams
from methods.editors import DirectionEditor, restore_directions
from methods.guided import attribute_scores, guide_of
from methods.supervised.stylespace_regions import Localised, localise


def standardised(styles: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Styles [N, S] in standard deviations from the population's mean; 0 in a channel that never varies."""
    return np.divide(styles - mean, std, out=np.zeros(styles.shape), where=std > 0)


def signal_to_noise(examples: np.ndarray) -> np.ndarray:
    """The paper's relevance of each channel (section 5): |mean| over standard deviation of standardised examples [N, S] -> [S].

    0 where the examples do not differ at all.
    """
    mean, std = np.abs(examples.mean(0)), examples.std(0)
    return np.divide(mean, std, out=np.zeros(examples.shape[1]), where=std > 0)


def style_channels(info: GeneratorInfo) -> np.ndarray:
    """Whether each entry of s feeds a feature map, [S] bool: channels of toRGB layers, which only tint the picture, are out."""
    found = np.zeros(info.spaces[Space.S][0], bool)
    for layer in _styled(info):
        found[slice(*layer.styles)] = not layer.is_rgb
    return found


def address(info: GeneratorInfo, channel: int) -> tuple[str, int]:
    """The layer's name, and the number of the channel in it."""
    for layer in _styled(info):
        first, last = layer.styles
        if first <= channel < last:
            return layer.name, channel - first
    raise InputError(f"{info.name} has no style channel {channel}")


def _styled(info: GeneratorInfo) -> list[LayerInfo]:
    return [layer for layer in info.layers if layer.styles is not None]


class Candidate(NamedTuple):
    """A channel, what examples say of it (score, side: the sign of their mean difference), its rank, and its checked effect.

    effect, others: guide's mean change of the target, and mean |change| of the other attributes, in sigma of the guide's score;
    None where nothing was checked.
    """

    channel: int
    score: float
    side: int
    rank: int
    effect: float | None = None
    others: float | None = None


class StyleSpace(Method):
    """A single channel for each target; strength 1 is one standard deviation of that channel over samples.

    Channels are ranked by signal to noise over a few of the codes that the guide scores highest. The authors then look through
    the first channels by hand for those that change the attribute; here the guide does, on codes of its own: of `candidates` it
    keeps the one that raises the score most, and 1 takes the ranking as it is. With channels: localised only those are ranked
    that act inside the target's regions, by the gradient maps of section 4 (stylespace_regions).
    """

    name = "stylespace"
    approach = "supervised"
    citation = "Wu, Lischinski, Shechtman: StyleSpace Analysis: Disentangled Controls for StyleGAN Image Generation, CVPR 2021"
    needs = frozenset({"attributes"})

    class Options(Method.Options):
        """channels: detect (all), or localised (those inside the target's regions; needs a guide for segmentation).

        positives: examples of each target (the paper has 10 to 30), drawn from the share `confident` of the bank that the guide
        scores highest (1000 of 100,000). candidates: channels of the highest rank that the guide checks on check_codes codes,
        each moved by check_shift standard deviations. pictures, size: of the gradient maps, size pixels a side; difference: the
        step behind a gradient, in standard deviations of the channel. top_share, lead: a region's channel has it on top in more
        than that share of the pictures that show it, and so much ahead of the next.
        """

        channels: Literal["detect", "localised"] = "detect"
        positives: int = Field(30, ge=2)
        confident: float = Field(0.01, gt=0, le=0.5)
        candidates: int = Field(20, ge=1)
        check_codes: int = Field(64, ge=2)
        check_shift: float = Field(5.0, gt=0)
        pictures: int = Field(1000, ge=1)
        size: int = Field(32, ge=2)
        difference: float = Field(0.05, gt=0)
        top_share: float = Field(0.5, ge=0, le=1)
        lead: float = Field(0.25, ge=0, le=1)

    @property
    def space(self) -> str:
        """Edits move in s."""
        return str(Space.S)

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        reason = super().supports(info, domain)
        if reason is None and not style_channels(info).any():
            reason = f"{info.name} does not say which entries of s feed its feature maps"
        if reason is None and info.architecture == "stylegan":
            reason = f"in {info.name} s holds shifts beside scales: single channels are of StyleGAN2, which has scales alone"
        if reason is not None or self.options.channels == "detect":
            return reason
        if "segmentation" not in domain.guides:
            return f"domain {domain.name} has no guide for segmentation, which says where a channel acts"
        if not any(attribute.region for attribute in domain.attributes):
            return f"no attribute of {domain.name} names the regions that it belongs to"
        return None

    def fit(self, context: FitContext) -> Fitted:
        names, info = list(context.bank.names), context.generator.info
        for target in context.targets:
            if target not in names:
                raise unknown("attribute of the guide", target, names)
        styles = context.bank.codes(Space.S).values.double().cpu().numpy()
        mean, std = styles.mean(0), styles.std(0)
        allowed = {target: style_channels(info) & (std > 0) for target in context.targets}
        tables: dict[str, list[dict[str, Any]]] = {}
        if self.options.channels == "localised":
            found = self._localised(context, std)
            tables |= found.tables(lambda channel: address(info, channel))
            allowed = {target: mask & found.of(self._regions(context, target)) for target, mask in allowed.items()}
        targets = tuple(target for target in context.targets if allowed[target].any())
        if not targets:
            raise UnsupportedError(f"no style channel of {info.name} belongs to the regions of {', '.join(context.targets)}")
        scores, channels, sides = context.bank.scores.double().cpu().numpy(), [], []
        check, tables["channels"] = self._check(context), []
        for target in targets:
            examples = standardised(styles[self._examples(context, scores[:, names.index(target)], target)], mean, std)
            ranked = self._ranked(examples, allowed[target])
            if self.options.candidates > 1:
                ranked = [check(names.index(target), one, std) for one in ranked]
            best = max(ranked, key=lambda one: -one.rank if one.effect is None else one.effect)
            channels.append(best.channel)
            sides.append(best.side)
            tables["channels"].append(self._line(context, target, best, int(allowed[target].sum())))
        tables["channels"] += [{"attribute": target, "of": 0} for target in context.targets if target not in targets]
        return Fitted(editor=_editor(context, targets, channels, sides, std), tables=tables)

    def _examples(self, context: FitContext, scores: np.ndarray, target: str) -> np.ndarray:
        """Rows of the positive examples, drawn among the most confident codes."""
        want, read = self.options.positives, np.flatnonzero(np.isfinite(scores))
        bank = max(want, int(self.options.confident * len(read)))
        if bank > len(read) // 2:
            raise InputError(f"{want} examples of {target} are more than half of the {len(read)} codes that the guide can read")
        confident = read[np.argsort(-scores[read], kind="stable")[:bank]]
        if scores[confident].min() <= np.median(scores[read]):
            raise InputError(f"the scores of {target} do not tell its {bank} most confident codes from the others")
        return stream_rng("stylespace", context.seed, target).choice(confident, want, replace=False)

    def _ranked(self, examples: np.ndarray, allowed: np.ndarray) -> list[Candidate]:
        score, sides = np.where(allowed, signal_to_noise(examples), -1), np.sign(examples.mean(0))
        order = np.argsort(-score, kind="stable")[: min(self.options.candidates, int(allowed.sum()))]
        return [Candidate(int(c), float(score[c]), int(sides[c]) or 1, rank) for rank, c in enumerate(order, start=1)]

    def _check(self, context: FitContext):
        """A function that moves codes along a candidate and fills in what the guide sees."""
        if self.options.candidates == 1:
            return None
        codes = CodeStreams(context.generator, Space.S, context.seed, self.name).codes("check", 0, self.options.check_codes)
        spread = np.nanstd(context.bank.scores.double().cpu().numpy(), 0)
        before = attribute_scores(context, codes).double().numpy()
        memory: dict[tuple[int, int], np.ndarray] = {}

        def check(column: int, one: Candidate, std: np.ndarray) -> Candidate:
            key = (one.channel, one.side)
            if key not in memory:  # one channel may be a candidate of several targets
                moved = shifted(codes, one.channel, one.side * self.options.check_shift * std[one.channel])
                change = attribute_scores(context, moved).double().numpy() - before
                memory[key] = np.nanmean(change, 0) / np.where(spread > 0, spread, np.inf)
            change = memory[key]
            return one._replace(effect=float(change[column]), others=float(np.abs(np.delete(change, column)).mean()))

        return check

    def _localised(self, context: FitContext, std: np.ndarray) -> Localised:
        options, info = self.options, context.generator.info
        codes = CodeStreams(context.generator, Space.S, context.seed, self.name).codes("localise", 0, options.pictures)
        return localise(
            context.generator,
            guide_of(context, "segmentation"),
            codes,
            np.flatnonzero(style_channels(info)),
            options.difference * std,
            regions=context.domain.regions,
            size=options.size,
            rule=(options.top_share, options.lead),
        )

    @staticmethod
    def _regions(context: FitContext, target: str) -> tuple[str, ...]:
        return next((one.region for one in context.domain.attributes if one.name == target), ())

    def _line(self, context: FitContext, target: str, best: Candidate, allowed: int) -> dict[str, Any]:
        layer, number = address(context.generator.info, best.channel)
        line: dict[str, Any] = {
            "attribute": target, "layer": layer, "channel": number, "style": best.channel, "side": best.side,
            "signal_to_noise": best.score, "rank": best.rank, "of": allowed, "positives": self.options.positives,
        }  # fmt: skip
        if best.effect is not None:
            line |= {"effect": best.effect, "others": best.others, "shift": self.options.check_shift}
            line |= {"n": self.options.check_codes, "guide": guide_of(context, "attributes").name}
        return line

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restore_directions(context, state)


def shifted(codes: Codes, channel: int, by: float) -> Codes:
    """Codes of s with `by` added to one channel."""
    values = codes.values.clone()
    values[:, channel] += by
    return codes.with_values(values)


def _editor(
    context: FitContext, targets: tuple[str, ...], channels: Sequence[int], sides: Sequence[int], std: np.ndarray
) -> DirectionEditor:
    directions = torch.zeros(len(targets), len(std))
    directions[torch.arange(len(targets)), torch.tensor(channels)] = torch.tensor(sides).float()
    scale = torch.from_numpy(std[list(channels)]).float()
    return DirectionEditor(context.generator, directions, targets, Space.S, scale=scale)
