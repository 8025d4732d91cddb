"""What one architecture brings to the common training: its settings, its networks, how it draws pictures, and its penalties."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from bench.codes import Codes, Space
from bench.errors import InputError
from bench.generators.base import Generator
from bench.training.gan import NON_SATURATING, Loss, r1_penalty


class Draw:
    """Random numbers of one step of one process."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device, self.source = device, torch.Generator(device)
        self.source.manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.source, device=self.device)

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.source, device=self.device)

    def integers(self, low: int, high: int, n: int) -> Tensor:
        return torch.randint(low, high, (n,), generator=self.source, device=self.device)


@dataclass(frozen=True)
class Recipe(ABC):
    """Settings of a training, under which alone it resumes, and the parts that differ between architectures.

    channels: feature maps of both networks at 4, 8, 16, ... pixels. learning_rate: of Adam, for the generator; learning_rate_d:
    for the discriminator, where it is another. gamma, r1_every: weight and interval of R1. length: pictures after which a
    training is over; None: as long as time allows. fall: over so many pictures before that both rates fall on a straight line to
    nothing. total: pictures held at a time; every `refresh_every` steps (0: never), each process replaces `refresh` of its share.

    Of the class: name of the generator; title and objective, what it is and what it learns by, in the words of its card;
    tried: why it falls short of its bars and what was tried, in the card of weights that do; loss; betas of Adam; classes
    that its codes have (0: none); turns: steps of the discriminator for each of the generator; group: what a process's share
    of a batch is a multiple of; together: whether both networks learn from one pass of the discriminator, or the generator
    after it (see generator_gradient); half_on_cpu: whether maps are bfloat16 where the CPU multiplies it, which is twice as
    fast on some and slower on others.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    objective: ClassVar[str]
    tried: ClassVar[str] = ""
    loss: ClassVar[Loss] = NON_SATURATING
    betas: ClassVar[tuple[float, float]] = (0.0, 0.99)
    classes: ClassVar[int] = 0
    turns: ClassVar[int] = 1
    group: ClassVar[int] = 4
    together: ClassVar[bool] = True
    half_on_cpu: ClassVar[bool] = False

    channels: tuple[int, ...] = (128, 128, 96, 32, 16)
    z_dim: int = 64
    batch: int = 32
    learning_rate: float = 0.0025
    learning_rate_d: float | None = None
    gamma: float = 0.1
    r1_every: int = 16
    length: int | None = None
    fall: int = 0
    total: int = 32_768
    refresh_every: int = 4
    refresh: int = 4
    seed: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> Self:
        """A recipe with these settings changed. Raises InputError for names that it does not have."""
        settings = dict(settings or {})
        known = {field.name for field in fields(cls)}
        if settings.keys() - known:
            raise InputError(f"unknown training settings {sorted(settings.keys() - known)}: known are {', '.join(sorted(known))}")
        if "channels" in settings:
            settings["channels"] = tuple(settings["channels"])
        return cls(**settings)

    @property
    def resolution(self) -> int:
        return 4 << len(self.channels) - 1

    @property
    def rates(self) -> tuple[float, float]:
        """Learning rates of the generator and of the discriminator."""
        return self.learning_rate, self.learning_rate_d or self.learning_rate

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they come back from a file."""
        return {"name": self.name, **asdict(self), "channels": list(self.channels)}

    def check(self, processes: int) -> None:
        """Raises InputError where the batch cannot be shared out in whole groups of the minibatch deviation."""
        if self.batch % (self.group * processes):
            raise InputError(f"batch {self.batch} must be a multiple of {self.group * processes} for {processes} process(es)")

    def pace(self, images: int) -> float:
        """The share of the learning rates that is left after so many pictures."""
        if self.length is None or not self.fall:
            return 1.0
        return min(1.0, max(0.0, (self.length - images) / self.fall))

    def departures(self, found: Mapping[str, Any], images: int) -> list[str]:
        """Settings of a training by which its first `images` pictures were learned in another way than by this recipe.

        How long it shall be may still change: until its rates fall every length has the same steps.
        """
        own = self.as_dict()
        different = {key for key in found.keys() | own.keys() if found.get(key) != own.get(key)}
        theirs = replace(self, length=found.get("length"), fall=found.get("fall", 0))
        if self.pace(images) == theirs.pace(images) == 1:
            different -= {"length", "fall"}
        return sorted(different)

    def blocks(self, images: int) -> int:
        """Resolutions that the networks have after so many pictures: all of them, unless they grow."""
        return len(self.channels)

    def level(self, images: int) -> float:
        """The level of detail after so many pictures, in networks of `blocks`; 0 once the newest resolution counts in full."""
        return 0.0

    @abstractmethod
    def generator(self, blocks: int, level: float) -> Generator:
        """A generator with fresh weights, drawn from torch's own stream, and the names and settings it will be loaded with."""

    @abstractmethod
    def discriminator(self, blocks: int) -> nn.Module:
        """Pictures, and `labels` where there are classes, to logits [N]; `dtype` is the precision of its convolutions."""

    def pictures(self, generator: Any, n: int, draw: Draw, *, images: int, labels: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Pictures [n, 3, R, R] with a graph to the generator. images: that training has seen; labels: class rows [n, K]."""
        codes = normal_codes(n, generator.info.spaces["z"][0], draw, labels)
        with as_trained(dtype, draw.device):
            return generator.run(codes, noise="none", visit=pixels_last).float()

    def before_step(self, generator: Any, discriminator: Any, level: float) -> None:  # noqa: B027
        """Bring both networks to a step's level of detail, and whatever else has to happen before each."""

    def shown(self, real: Tensor, blocks: int, level: float) -> Tensor:
        """Real pictures of the full size as the discriminator sees them."""
        return real

    def penalise(
        self, discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, *, step: int, draw: Draw
    ) -> float | None:
        """Accumulate the gradient of the discriminator's penalty, lazy R1; gives back its figure, None in steps without one."""
        if step % self.r1_every:
            return None
        # Float32: a penalty on slopes is a second derivative, which bfloat16's eight bits cannot carry.
        return r1_penalty(discriminate, real, weight=self.gamma / 2 * self.r1_every / self.batch)

    def constrain(self, generator: Any, *, images: int, draw: Draw) -> None:  # noqa: B027
        """Accumulate the gradient of a penalty on the generator. images: that training has seen."""

    def finish(self, frozen: Any) -> None:  # noqa: B027
        """Set what a generator of averaged weights needs beside them, such as statistics."""


def normal_codes(n: int, width: int, draw: Draw, labels: Tensor | None = None) -> Codes:
    """Codes of z for a step of training; their ids mean nothing."""
    return Codes(Space.Z, draw.normal(n, width), torch.arange(n), labels)


def as_trained(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """The precision of convolutions in a generator's pass: weights stay float32."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def pixels_last(name: str, x: Tensor) -> Tensor:
    """A visit for a generator's run: maps in the layout that convolutions are fastest in."""
    return x.contiguous(memory_format=torch.channels_last)
