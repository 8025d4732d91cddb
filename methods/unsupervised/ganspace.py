"""GANSpace: the principal components of w, or of a layer's activations carried back to the code, are the directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from pydantic import Field, field_validator
from scipy.linalg import lstsq
from sklearn.decomposition import IncrementalPCA
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Space
from bench.errors import InputError
from bench.generators.base import Generator
from methods.base import FitContext, Fitted, Method
from methods.code_streams import CodeStreams, class_problem, code_space, vector_problem
from methods.editors import PLUS, DirectionEditor, component_count, in_rows, largest_positive, restore_directions

# Samples behind the standard deviation of the codes along a component; samples of the regression from activations to codes.
STDEV_SAMPLES = 5000
REGRESSION_SAMPLES = 10_000
# A component whose variance is below this share of the first one's is rounding: the layer has fewer dimensions than were asked.
NOISE = 1e-9


def batch_rows(components: int) -> int:
    """Rows of one batch of the incremental PCA: enough that its rank-limited updates keep every component."""
    return max(2000, 3 * components)


def incremental_pca(draw: Callable[[int, int], np.ndarray], n: int, components: int) -> IncrementalPCA:
    """PCA of draw(start, stop) over as many whole batches as cover n rows; the last one may run past n."""
    rows = batch_rows(components)
    pca = IncrementalPCA(components)
    for start in range(0, n, rows):
        pca.partial_fit(draw(start, start + rows))
    return pca


def spread(codes: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The standard deviation [K] of codes [N, D] along unit directions [K, D]."""
    return (codes @ directions.T).std(0)


def regress(batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Directions [K, D] in the codes' space whose sum, weighted by the coordinates [n, K], is nearest to the codes [n, D].

    Least squares without an intercept, rows brought to length 1 (Härkönen et al. 2020, section 3.2). Coordinates are in standard
    deviations of their component, so that the normal equations, which need no more memory for more batches, are well-conditioned.
    """
    gram: np.ndarray | float = 0.0
    cross: np.ndarray | float = 0.0
    for coordinates, codes in batches:
        coordinates = coordinates.astype(np.float64)
        gram = gram + coordinates.T @ coordinates
        cross = cross + coordinates.T @ codes
    found = lstsq(gram, cross, lapack_driver="gelsd")[0]
    length = np.linalg.norm(found, axis=1, keepdims=True)
    if not (np.isfinite(length) & (length > 0)).all():
        raise InputError("a component of the activations has no direction in the codes: the layer does not follow them")
    return found / length


def parse_range(text: str, n: int) -> tuple[int, ...]:
    """The rows of 'all' or of 'a:b', half open as in the paper's named edits. Raises InputError for rows outside 0 to n - 1."""
    if text == "all":
        return tuple(range(n))
    first, last = map(int, text.split(":"))
    if last > n:
        raise InputError(f"unknown layers '{text}': this generator has the layers 0 to {n - 1}, so at most {n} after the colon")
    return tuple(range(first, last))


class GANSpace(Method):
    """Principal components as directions; a strength counts standard deviations of the codes along the component (of w; 1 in z).

    The paper samples a million codes and its code 300,000 by default. Here `num_samples` is 100,000 by default, which keeps a fit
    in seconds. The codes are streams of the method's own, apart from the bank and from all that is judged.
    """

    name = "ganspace"
    approach = "unsupervised"
    citation = "Härkönen, Hertzmann, Lehtinen, Paris: GANSpace: Discovering Interpretable GAN Controls, NeurIPS 2020"

    class Options(Method.Options):
        """space: where codes move; a generator without w is edited in z. components: the rank of the PCA.

        layers: 'all' or 'a:b', the rows of w+ (or z+) that move, b excluded. layer: a feature layer whose activations are
        analysed in place of the codes, with directions in `space` by regression; a generator without w is analysed at its first
        one. label: the class of all codes of a class-conditional generator, as in the paper's BigGAN; None: all classes.
        """

        space: Space = Space.W
        layers: str = "all"
        layer: str | None = None
        label: int | None = Field(None, ge=0)
        num_samples: int = Field(100_000, ge=2)
        components: int = Field(80, ge=1)

        @field_validator("layers")
        @classmethod
        def _rising(cls, value: str) -> str:
            first, colon, last = value.partition(":")
            if value != "all" and not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
                raise ValueError(f"layers are 'all' or 'a:b' with a below b, not {value!r}")
            return value

    def supports(self, info: GeneratorInfo, domain: DomainInfo) -> str | None:
        space, layer = self._place(info)
        problem = vector_problem(space, info)
        if problem:
            return problem
        if self.options.layers != "all" and PLUS.get(space) not in info.spaces:
            return f"{info.name} has no layers to choose from"
        if layer is not None and not info.layers:
            return f"{info.name} has no feature maps"
        if layer is None and space == Space.Z:
            return f"z of {info.name} is drawn alike in every direction, so that its PCA is arbitrary: name a layer"
        return class_problem(self.options.label, info)

    def _place(self, info: GeneratorInfo) -> tuple[Space, str | None]:
        """The space that codes move in, and the layer that is analysed (None: the codes)."""
        space, layer = code_space(self.options.space, info), self.options.layer
        if layer is None and Space.W not in info.spaces and info.layers:
            layer = info.layers[0].name
        return space, layer

    def fit(self, context: FitContext) -> Fitted:
        options, generator = self.options, context.generator
        space, layer = self._place(generator.info)
        codes = CodeStreams(generator, space, context.seed, label=options.label)
        count = component_count(context.budget, codes.dimension)
        if options.components < count:
            raise InputError(f"a PCA of {options.components} components cannot offer {count}: raise the option components")
        if layer is None:
            rank = min(options.components, codes.dimension)
            pca = incremental_pca(lambda a, b: codes.draw("pca", a, b), options.num_samples, rank)
            found = pca.components_
        else:
            pca, found = activation_directions(codes, layer, options.num_samples, options.components)
        directions = largest_positive(torch.from_numpy(found[:count]))
        scale = torch.ones(len(directions), dtype=directions.dtype)
        if space != Space.Z:
            scale = torch.from_numpy(spread(codes.draw("stdev", 0, STDEV_SAMPLES), directions.numpy()))
        names = tuple(map(str, range(len(directions))))
        facts = zip(names, pca.explained_variance_ratio_[: len(names)].tolist(), scale.tolist(), strict=True)
        table = [{"component": n, "variance_ratio": ratio, "stdev": stdev} for n, ratio, stdev in facts]
        directions, rows = directions.float(), None
        if options.layers != "all":
            rows = parse_range(options.layers, generator.info.spaces[PLUS[space]][0])
            directions, space, rows = layerwise(generator, directions, space, rows)
        editor = DirectionEditor(generator, directions, names, space, rows=rows, scale=scale.float())
        return Fitted(editor=editor, tables={"components": table})

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restore_directions(context, state)


def layerwise(
    generator: Generator, directions: Tensor, space: Space, rows: Sequence[int]
) -> tuple[Tensor, Space, tuple[int, ...] | None]:
    """(directions, space, rows) of an edit that moves only some rows of the layered space over `space`.

    Where a row is a code of its own (w+, BigGAN-deep's z+), it moves by the direction [D]. Where it is a part of the code
    (BigGAN's chunks of z), it moves by its part: the directions are then [K, L, D / L] and zero in the other rows.
    """
    plus = PLUS[space]
    if generator.info.spaces[plus][1:] == generator.info.spaces[space]:
        return directions, plus, tuple(rows)
    parts = in_rows(directions, generator.info.spaces[plus])
    kept = torch.zeros(parts.shape[1], dtype=torch.bool)
    kept[list(rows)] = True
    return torch.where(kept[:, None], parts, 0.0), plus, None


def activation_directions(codes: CodeStreams, layer: str, n: int, components: int) -> tuple[IncrementalPCA, np.ndarray]:
    """The PCA of a layer's activations, and for each component the direction of the codes that follows it, [K, D].

    K is `components`, or the number of dimensions that the layer or the codes have, where that is less.
    """
    first = codes.codes("pca", 0, 1)
    rank = min(components, codes.activations(first, layer).shape[1], first.values.shape[1])
    pca = incremental_pca(lambda a, b: codes.activations(codes.codes("pca", a, b), layer), n, rank)
    if not pca.explained_variance_[0] > 0:
        raise InputError(f"the activations of {layer} are the same for every code: name another layer")
    kept = int((pca.explained_variance_ > NOISE * pca.explained_variance_[0]).sum())

    def batches() -> Iterable[tuple[np.ndarray, np.ndarray]]:
        rows = batch_rows(components)
        for start in range(0, max(n, REGRESSION_SAMPLES), rows):
            batch = codes.codes("regression", start, start + rows)
            yield standardised(codes.activations(batch, layer), pca)[:, :kept], batch.values.cpu().numpy()

    return pca, regress(batches())


def standardised(rows: np.ndarray, pca: IncrementalPCA) -> np.ndarray:
    """Coordinates [N, K] of rows in the components, in each component's standard deviation."""
    return (rows - pca.mean_) @ pca.components_.T / np.sqrt(np.maximum(pca.explained_variance_, np.finfo(np.float64).tiny))
