"""GANSpace: the principal components of w, or of a layer's activations carried back to the code, are the directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from pydantic import Field, field_validator
from scipy.linalg import lstsq
from sklearn.decomposition import IncrementalPCA
from torch import Tensor

from bench.cards import DomainInfo, GeneratorInfo
from bench.codes import Codes, Space
from bench.errors import InputError
from bench.generators.base import Generator
from bench.streams import stream_seed
from methods.base import FitContext, Fitted, Method
from methods.editors import PLUS, DirectionEditor, component_count, largest_positive, restore_directions

# Samples behind the standard deviation of the codes along a component; samples of the regression from activations to codes.
STDEV_SAMPLES = 5000
REGRESSION_SAMPLES = 10_000
# Codes of one pass through the generator when activations are read.
FEATURE_BATCH = 50


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


def regress(coordinates: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Directions [K, D] in the codes' space whose sum, weighted by the coordinates [N, K], is nearest to the codes [N, D].

    Least squares without an intercept, rows brought to length 1 (Härkönen et al. 2020, section 3.2). Coordinates are in standard
    deviations of their component.
    """
    found = lstsq(coordinates, codes, lapack_driver="gelsd")[0]
    return found / np.linalg.norm(found, axis=1, keepdims=True)


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
        """space: where codes move. layers: 'all' or 'a:b', the rows of w+ that move, b excluded. components: the rank of the PCA.

        layer: a feature layer whose activations are analysed in place of the codes, with directions in `space` by regression.
        """

        space: Space = Space.W
        layers: str = "all"
        layer: str | None = None
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
        options = self.options
        if options.space not in info.spaces or options.space.layered:
            return f"{info.name} has no space {options.space} with one vector a code"
        if options.layers != "all" and PLUS.get(options.space) not in info.spaces:
            return f"{info.name} has no layers to choose from"
        if options.layer is not None and not info.layers:
            return f"{info.name} has no feature maps"
        return None

    def fit(self, context: FitContext) -> Fitted:
        options, generator = self.options, context.generator
        space, rows = options.space, None
        if options.layers != "all":
            space = PLUS[options.space]
            rows = parse_range(options.layers, generator.info.spaces[space][0])
        codes = CodeStreams(generator, options.space, context.seed)
        if options.layer is None:
            pca = incremental_pca(
                lambda a, b: codes.draw("pca", a, b), options.num_samples, min(options.components, codes.dimension)
            )
            found = pca.components_
        else:
            pca, found = activation_directions(codes, options.layer, options.num_samples, options.components)
        count = component_count(context.budget, codes.dimension)
        if len(found) < count:
            raise InputError(f"a PCA of {len(found)} components cannot offer {count}: raise the option components")
        directions = largest_positive(torch.from_numpy(found[:count]))
        scale = torch.ones(len(directions), dtype=directions.dtype)
        if options.space != Space.Z:
            scale = torch.from_numpy(spread(codes.draw("stdev", 0, STDEV_SAMPLES), directions.numpy()))
        names = tuple(map(str, range(len(directions))))
        editor = DirectionEditor(generator, directions.float(), names, space, rows=rows, scale=scale.float())
        facts = zip(names, pca.explained_variance_ratio_[: len(names)].tolist(), scale.tolist(), strict=True)
        table = [{"component": n, "variance_ratio": ratio, "stdev": stdev} for n, ratio, stdev in facts]
        return Fitted(editor=editor, tables={"components": table})

    def restore(self, context: FitContext, state: dict[str, Tensor]) -> Fitted:
        return restore_directions(context, state)


class CodeStreams:
    """Named streams of codes in one space, and of activations; a row is a function of (stream, fit seed, number) alone."""

    def __init__(self, generator: Generator, space: Space, seed: int) -> None:
        self.generator, self.space, self.seed = generator, space, seed

    @property
    def dimension(self) -> int:
        return self.generator.info.spaces[self.space][0]

    def codes(self, stream: str, start: int, stop: int) -> Codes:
        """Rows start to stop - 1 of a stream, in this space."""
        z = self.generator.sample(torch.arange(start, stop), seed=stream_seed("ganspace", stream, self.seed))
        with torch.no_grad():
            return self.generator.convert(z, self.space)

    def draw(self, stream: str, start: int, stop: int) -> np.ndarray:
        """The same rows' values [stop - start, D]."""
        return self.codes(stream, start, stop).values.cpu().numpy()

    def activations(self, codes: Codes, layer: str) -> np.ndarray:
        """A layer's feature maps, one flat row [C * h * w] per code, from small passes."""
        parts = (codes[i : i + FEATURE_BATCH] for i in range(0, len(codes), FEATURE_BATCH))
        with torch.no_grad():
            return np.concatenate([self.generator.features(p, [layer])[layer].flatten(1).cpu().numpy() for p in parts])


def activation_directions(codes: CodeStreams, layer: str, n: int, components: int) -> tuple[IncrementalPCA, np.ndarray]:
    """The PCA of a layer's activations, and for each component the direction of the codes that follows it, [K, D]."""
    width = codes.activations(codes.codes("pca", 0, 1), layer).shape[1]
    pca = incremental_pca(lambda a, b: codes.activations(codes.codes("pca", a, b), layer), n, min(components, width))
    rows, coordinates, values = batch_rows(components), [], []
    for start in range(0, max(n, REGRESSION_SAMPLES), rows):
        batch = codes.codes("regression", start, start + rows)
        coordinates.append(standardised(codes.activations(batch, layer), pca))
        values.append(batch.values.cpu().numpy())
    return pca, regress(np.concatenate(coordinates), np.concatenate(values))


def standardised(rows: np.ndarray, pca: IncrementalPCA) -> np.ndarray:
    """Coordinates [N, K] of rows in the components, in each component's standard deviation."""
    return (rows - pca.mean_) @ pca.components_.T / np.sqrt(pca.explained_variance_)
