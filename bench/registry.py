"""Finds generators, methods, metrics, domains and tasks by name. Entries are lazy: looking at the list imports nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from bench.errors import InputError, LatentbenchError, unknown

KINDS = ("generators", "methods", "metrics", "domains", "tasks")

BUILT_IN: dict[str, dict[str, tuple[str, str]]] = {
    "generators": {
        "heads-stylegan2": ("bench.generators.zoo:heads_stylegan2", "StyleGAN2 trained on the rendered heads, 64 px"),
        "heads-dcgan": ("bench.generators.zoo:heads_dcgan", "DCGAN trained on the rendered heads, 64 px"),
        "heads-pggan": ("bench.generators.zoo:heads_pggan", "PGGAN grown on the rendered heads, 64 px"),
        "heads-pggan-hessian": ("bench.generators.zoo:heads_pggan_hessian", "heads-pggan fine-tuned with the Hessian penalty"),
        "heads-pggan-control": ("bench.generators.zoo:heads_pggan_control", "heads-pggan trained on as long without it"),
        "heads-stylegan": ("bench.generators.zoo:heads_stylegan", "StyleGAN grown on the rendered heads, 32 px"),
        "heads-biggan": ("bench.generators.zoo:heads_biggan", "BigGAN of four classes of the rendered heads, 32 px"),
        "heads-eigengan": ("bench.generators.zoo:heads_eigengan", "EigenGAN trained on the rendered heads, 32 px"),
        "digiface-dcgan": ("bench.generators.digiface:digiface_dcgan", "DCGAN trained on DigiFace-1M by others, 64 px (fetched)"),
        "heads-oracle": ("bench.generators.heads_oracle:heads_oracle", "the renderer behind a known map, with its inverse"),
    },
    "methods": {
        "optimise": ("methods.inversion.optimise:Optimise", "Adam on a code in any space (Image2StyleGAN, Abdal et al. 2019)"),
        "mean_code": ("methods.inversion.mean_code:MeanCode", "the mean code for every picture: the floor of inversion"),
        "random": ("methods.baselines.random_directions:RandomDirections", "seeded random directions: the floor"),
        "oracle": ("methods.baselines.oracle:Oracle", "edits through the known map of heads-oracle: the bound"),
        "interfacegan": ("methods.supervised.interfacegan:InterFaceGAN", "linear SVM boundaries (Shen et al. 2020)"),
        "sefa": ("methods.unsupervised.sefa:SeFa", "closed-form factorization of weights (Shen and Zhou 2021)"),
        "gan_dissection": ("methods.supervised.gan_dissection:GanDissection", "units of a layer, switched (Bau et al. 2019)"),
        "random_units": ("methods.baselines.random_units:RandomUnits", "random units: the floor of dissection"),
        "higan": ("methods.supervised.higan:HiGAN", "boundaries edited in the layers that re-scoring finds (Yang et al. 2021)"),
        "stylespace": ("methods.supervised.stylespace:StyleSpace", "single channels of the style space (Wu et al. 2021)"),
        "styleflow": ("methods.supervised.styleflow:StyleFlow", "conditional continuous flow over w (Abdal et al. 2021)"),
        "unconditional": ("methods.baselines.unconditional:Unconditional", "samples that ignore what is asked: the floor"),
        "native": ("methods.baselines.native:Native", "a generator's own codes as a representation"),
        "styleclip_global": ("methods.zero_shot.styleclip_global:StyleCLIPGlobal", "directions in s from words (StyleCLIP)"),
        "styleclip_optimization": (
            "methods.zero_shot.styleclip_optimization:StyleCLIPOptimization", "each code optimised toward words (StyleCLIP)",
        ),
        "published": ("methods.published:Published", "directions that papers released, from files"),
        "hessian_penalty": (
            "methods.unsupervised.hessian_penalty:HessianPenalty", "orthogonal basis of least curvature (Peebles et al. 2020)",
        ),
        "axes": ("methods.unsupervised.axes:Axes", "coordinates of codes that training made interpretable (EigenGAN and others)"),
        "ganspace": ("methods.unsupervised.ganspace:GANSpace", "PCA of sampled codes, layer-wise edits (Harkonen et al. 2020)"),
    },
    "metrics": {
        "target_effect": ("metrics.editing:TargetEffect", "judged change of the attribute that was asked for, in sigma"),
        "leakage": ("metrics.editing:Leakage", "mean judged change of the other attributes, in sigma"),
        "attribute_change": ("metrics.editing:AttributeChange", "judged change of every attribute: the re-scoring matrix"),
        "identity": ("metrics.editing:IdentityPreservation", "identity similarity before and after"),
        "perceptual": ("metrics.editing:PerceptualDistance", "perceptual distance between before and after"),
        "attribute_dependency": ("metrics.editing:AttributeDependency", "change of others at an equal effect in each picture"),
        "guide_gap": ("metrics.editing:GuideGap", "effect that the guide sees less the effect that the judge sees"),
        "rescoring_delta": ("metrics.editing:ReScoring", "rise of the target's score, falls counted as none (HiGAN)"),
    },
    "domains": {
        "heads": ("bench.domains.heads.domain:heads", "procedurally rendered heads, embedded"),
        "digiface": ("bench.domains.digiface.domain:digiface", "synthetic portraits, judged by what packages ship"),
        "faces": ("bench.domains.faces.domain:faces", "portraits, judged by small published networks (local files)"),
    },
    "tasks": {
        "editing": ("bench.tasks.editing.task:EditingTask", "attribute edits read at equal judged effect"),
        "sampling": ("bench.tasks.sampling.task:SamplingTask", "samples under asked attributes: success, diversity, realism"),
        "representation": ("bench.tasks.representation.task:RepresentationTask", "what codes say of the factors behind pictures"),
        "text": ("bench.tasks.text.task:TextTask", "edits asked for in words: what follows the prompt, what else changes"),
        "naming": ("bench.tasks.naming.task:NamingTask", "which component is what, named by guides and checked by a judge"),
        "dissection": ("bench.tasks.dissection.task:DissectionTask", "which units are which concept, and what they cause"),
        "validity": ("bench.tasks.validity.task:ValidityTask", "which metric sees which planted fault, where the truth is known"),
        "inversion": ("bench.tasks.inversion.task:InversionTask", "pictures given back from codes, and how these codes edit"),
    },
}


class PluginError(LatentbenchError):
    """A plug-in that cannot be imported. It fails its own cells, not the run."""


@dataclass(frozen=True)
class Entry:
    """One name. target: 'module:attribute', or the object itself. origin: 'built-in', 'session' or the distribution it came with.

    problem: what is wrong with it, as far as can be told without importing it.
    """

    kind: str
    name: str
    target: str | Any
    description: str = ""
    origin: str = "built-in"
    problem: str = ""

    def load(self) -> Any:
        """The object. Raises PluginError where a plug-in fails to import; a broken built-in raises as it is."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        try:
            found: Any = import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        # Whatever a plug-in raises while it is imported is its own failure.
        except Exception as error:
            if self.origin == "built-in":
                raise
            reason = f"{type(error).__name__}: {error}"
            raise PluginError(f"plug-in {self.name} of {self.origin} cannot be loaded ({self.target}): {reason}") from error
        return found


@dataclass
class Registry:
    """All names of one run. The first to claim a name keeps it; built-ins come first, then plug-ins in the order of their names.

    problems: one line for every plug-in that was turned away.
    """

    plugins: bool = True
    built_in: dict[str, dict[str, tuple[str, str]]] = field(default_factory=lambda: BUILT_IN)
    problems: list[str] = field(default_factory=list)
    _entries: dict[tuple[str, str], Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, lines in self.built_in.items():
            for name, (target, description) in lines.items():
                self._add(Entry(kind, name, target, description))
        if self.plugins:
            for kind in KINDS:
                for point in sorted(entry_points(group=f"latentbench.{kind}"), key=lambda p: (p.name, p.value)):
                    self._add(_plugin(kind, point))

    def _add(self, entry: Entry) -> None:
        holder = self._entries.setdefault((entry.kind, entry.name), entry)
        if holder is not entry:
            self.problems.append(f"{entry.kind[:-1]} {entry.name} of {entry.origin} is hidden by {holder.origin}")
        elif entry.problem:
            self.problems.append(f"{entry.kind[:-1]} {entry.name} of {entry.origin}: {entry.problem}")

    def add(self, kind: str, name: str, target: str | Any, description: str = "") -> None:
        """Register an object or a 'module:attribute' for this run. Raises InputError where the name is taken."""
        if (kind, name) in self._entries:
            raise InputError(f"{kind[:-1]} {name} is already taken ({self._entries[kind, name].origin}): choose another name")
        self._add(Entry(kind, name, target, description, "session"))

    def names(self, kind: str) -> list[str]:
        return sorted(name for one, name in self._entries if one == kind)

    def entries(self, kind: str) -> list[Entry]:
        """Entries by name. Raises InputError for a kind that does not exist."""
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS)
        return [self._entries[kind, name] for name in self.names(kind)]

    def entry(self, kind: str, name: str) -> Entry:
        """The entry of that name. Raises InputError, with the nearest names, where there is none."""
        if (kind, name) not in self._entries:
            raise unknown(kind.removesuffix("s"), name, self.names(kind))
        return self._entries[kind, name]

    def load(self, kind: str, name: str) -> Any:
        """The object behind a name: a class (methods, metrics, tasks) or a function that makes one (generators, domains)."""
        return self.entry(kind, name).load()

    def check(self, kind: str, names: Iterable[str]) -> None:
        """Raise InputError for the first name that is unknown."""
        for name in names:
            self.entry(kind, name)


def _plugin(kind: str, point: EntryPoint) -> Entry:
    distribution = point.dist.name if point.dist else "an unnamed distribution"
    description = (point.dist.metadata.get("Summary") or "") if point.dist else ""
    return Entry(kind, point.name, point.value, description, distribution, _problem(point.value))


def _problem(value: str) -> str:
    """What can be seen to be wrong with an entry point without importing it."""
    module, colon, attribute = value.partition(":")
    if not (colon and attribute and all(part.isidentifier() for part in module.split("."))):
        return f"'{value}' is not module:attribute"
    top = module.split(".")[0]
    return "" if top in sys.modules or find_spec(top) else f"there is no module {top}"
