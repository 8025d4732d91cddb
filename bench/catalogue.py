"""What a suite names, loaded once: tasks with their settings, methods with their options, generators with their domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import torch

from bench.clock import Clock
from bench.domains.base import Domain, Network
from bench.domains.prompted import is_domain_file, load_domain
from bench.errors import InputError, UnsupportedError
from bench.generators.base import Generator
from bench.registry import Registry
from bench.suite import Suite, checked
from bench.tasks.base import Task


@dataclass(frozen=True)
class Place:
    """A generator with its domain, on the device. networks: the guides and judges that are there, by name."""

    generator: Generator
    domain: Domain
    networks: dict[str, Network]

    @property
    def identity(self) -> dict[str, Any]:
        """What a value measured here depends on."""
        networks = {name: network.fingerprint for name, network in sorted(self.networks.items())}
        return {"generator": self.generator.fingerprint, "domain": self.domain.info.name, "networks": networks}

    @property
    def modules(self) -> set[str]:
        return {type(one).__module__ for one in (self.generator, self.domain, *self.networks.values())}


class Catalogue:
    """Loads, checks and holds. What fails to load raises what the registry or the thing itself raises, each time anew."""

    def __init__(self, suite: Suite, registry: Registry, device: torch.device) -> None:
        self.suite, self.registry, self.device = suite, registry, device
        self.clock = Clock()
        self._loaded: dict[tuple[str, Any], Any] = {}

    def once(self, kind: str, name: Any, load: Callable[[], Any]) -> Any:
        """What `load` gives, kept under (kind, name)."""
        if (kind, name) not in self._loaded:
            self._loaded[kind, name] = load()
        return self._loaded[kind, name]

    def task(self, name: str) -> Task:
        return self.once("task", name, lambda: self._make("tasks", name))

    def settings(self, name: str) -> pydantic.BaseModel:
        """A task's settings. Raises InputError where the suite's do not fit."""
        model, given = self.task(name).Settings, dict(self.suite.tasks[name])
        if self.suite.metrics is not None and "metrics" in model.model_fields:
            given.setdefault("metrics", self.suite.metrics)
        where = f"suite {self.suite.name}, task {name}"
        return self.once("settings", name, lambda: checked(model, given, where))

    def method(self, index: int) -> Any:
        """The method of that number in the suite. Raises InputError where its options do not fit."""
        choice = self.suite.methods[index]
        return self.once("method", index, lambda: self._make_method(choice.name, choice.options))

    def _make_method(self, name: str, options: Mapping[str, Any]) -> Any:
        kind = self._load("methods", name)
        given = {key: value for key, value in options.items() if key != "hold" or "hold" in kind.Options.model_fields}
        checked(kind.Options, given, f"suite {self.suite.name}, method {name}")
        return kind(**given)

    def hold(self, index: int) -> tuple[str, ...]:
        """The attributes that the suite asks this method to leave alone."""
        held = self.suite.methods[index].options.get("hold", ())
        return (held,) if isinstance(held, str) else tuple(held)

    def variant(self, index: int) -> str:
        """The method's options as records name them, with `hold` even where the method itself has no such option."""
        method, held = self.method(index), self.hold(index)
        own = "hold" in method.Options.model_fields
        return ",".join(part for part in (method.variant, f"hold={'+'.join(held)}" if held and not own else "") if part)

    def place(self, name: str) -> Place:
        """The generator of that name with its domain. Raises InputError where weights are missing or damaged."""
        return self.once("place", name, lambda: self._make_place(name))

    def _make_place(self, name: str) -> Place:
        with self.clock.measure("load"):
            generator = self._make_generator(name).to(self.device)
            domain = self._domain(name, generator.info.domain)
            networks = {}
            for network in dict.fromkeys([*domain.info.guides.values(), *domain.info.judges.values()]):
                try:
                    networks[network] = domain.network(network).to(self.device)
                except UnsupportedError:
                    continue  # a network that was not fetched: the cells that ask for it are skipped, and say so
            return Place(generator, domain, networks)

    def _make_generator(self, name: str) -> Generator:
        """A registered generator, or one of the suite's own files. Raises InputError for a file without a registered domain."""
        file = self.suite.checkpoints.get(name)
        if file is None:
            return self._make("generators", name)
        from bench.generators.load import ANY_DOMAIN, load_checkpoint

        if file.domain is None and ANY_DOMAIN not in self.registry.names("domains"):
            known = ", ".join(self.registry.names("domains"))
            raise InputError(f"what are the pictures of {name}? Write {{path: {file.path}, domain: NAME}} with one of: {known}")
        domain = file.domain or ANY_DOMAIN
        if is_domain_file(domain):
            domain = self._domain(name, domain).info.name
        else:
            self.registry.check("domains", [domain])
        return load_checkpoint(Path(file.path).expanduser(), domain=domain, name=name, part=file.part)

    def _domain(self, generator: str, domain: str) -> Domain:
        """The domain of a generator: that of the suite's own page for it, or the registered one."""
        file = self.suite.checkpoints.get(generator)
        if file is not None and is_domain_file(file.domain):
            return self.once("domain", file.domain, lambda: load_domain(file.domain))
        return self.once("domain", domain, lambda: self._make("domains", domain))

    def _make(self, kind: str, name: str) -> Any:
        """What the class or function of that name makes, or the object itself where that is what is registered."""
        found = self._load(kind, name)
        return found if isinstance(found, (Generator, Domain, Task)) else found()

    def _load(self, kind: str, name: str) -> Any:
        # Importing scientific libraries takes seconds: it has its place in the time breakdown.
        with self.clock.measure("load"):
            return self.registry.load(kind, name)
