"""The state and the step of StyleGAN2's training (Karras et al. 2020), sized for two CPU cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from bench.errors import InputError
from bench.generators.stylegan2 import StyleGAN2
from bench.generators.stylegan2_layers import no_noise
from bench.streams import normal_rows, stream_seed
from bench.training.data import Pictures
from bench.training.discriminator import Discriminator
from bench.training.flat import Flat
from bench.training.gan import average_weight, mixed_rows, r1_penalty, shared_pass
from bench.training.processes import Group

MEAN_W_SAMPLES = 16_384


@dataclass(frozen=True)
class Config:
    """Settings of a training. A run resumes only under the same ones.

    channels: feature maps of both networks at 4, 8, 16, ... pixels. gamma, r1_every: weight and interval of R1. mixing:
    probability that a step mixes styles. total: pictures held at a time; every `refresh_every` steps (0: never), each process
    replaces `refresh` of its share. noise_from: pictures seen before noise inputs join. From the start on, the networks here put
    noise in the place of detail: at 40 thousand pictures all edges of samples came from it, and without it they were blurs.
    """

    channels: tuple[int, ...] = (128, 128, 96, 32, 16)
    z_dim: int = 64
    w_dim: int = 64
    mapping_layers: int = 4
    batch: int = 32
    learning_rate: float = 0.0025
    gamma: float = 0.1
    r1_every: int = 16
    mixing: float = 0.3
    total: int = 32_768
    refresh_every: int = 4
    refresh: int = 4
    seed: int = 0
    noise_from: int = 1_000_000

    @property
    def ladder(self) -> dict[int, int]:
        return {4 * 2**i: c for i, c in enumerate(self.channels)}

    @property
    def resolution(self) -> int:
        return max(self.ladder)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as they come back from a file."""
        return {**asdict(self), "channels": list(self.channels)}

    def check(self, processes: int) -> None:
        """Raises InputError where the batch cannot be shared out in whole groups of the minibatch deviation."""
        if self.batch % (4 * processes):
            raise InputError(f"batch {self.batch} must be a multiple of {4 * processes} for {processes} process(es)")


@dataclass
class Report:
    """One step's figures, for the log. r1 is that of the last step that had one."""

    real: float
    fake: float
    loss_g: float
    loss_d: float
    r1: float


class Trainer:
    """Networks, optimisers and averages of one process, and the step that moves them.

    Every random draw of a step comes from (seed, step, process) alone, so that a resumed run continues as if never interrupted.
    """

    def __init__(self, config: Config, group: Group, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        config.check(group.size)
        self.config, self.group, self.dtype = config, group, dtype
        self.device = torch.device(device)
        torch.manual_seed(stream_seed("gan-weights", config.seed) % 2**63)
        self.generator = StyleGAN2(
            name="heads-stylegan2",
            domain="heads",
            z_dim=config.z_dim,
            widths=[config.w_dim] * config.mapping_layers,
            channels=config.ladder,
        ).to(self.device)
        self.generator.requires_grad_(True).train()
        self.generator.synthesis.compute_dtype = dtype
        self.discriminator = Discriminator(config.ladder).to(self.device)
        self.flat_g, self.flat_d = Flat(self.generator), Flat(self.discriminator)
        self.average = self.flat_g.vector.detach().clone()
        self.optimiser_g, self.optimiser_d = (
            torch.optim.Adam([flat.vector], lr=config.learning_rate, betas=(0.0, 0.99), eps=1e-8, fused=True)
            for flat in (self.flat_g, self.flat_d)
        )
        self.steps, self.images, self.r1 = 0, 0, 0.0

    @property
    def refreshed(self) -> int:
        """Pictures of this process that should have been replaced by now."""
        every = self.config.refresh_every
        return self.steps // every * self.config.refresh if every else 0

    def step(self, pictures: Pictures) -> Report:
        """One step of both networks on config.batch pictures, shared out over the processes."""
        config, n = self.config, self.config.batch // self.group.size
        draw = torch.Generator(self.device)
        draw.manual_seed(stream_seed("gan-step", config.seed, self.steps, self.group.rank) % 2**63)
        if config.refresh_every and self.steps % config.refresh_every == 0:
            pictures.prepare(self.refreshed)
        index = torch.randint(len(pictures), (n,), generator=draw, device=self.device)
        real = pictures.batch(index.cpu(), self.device)
        fake = self._fake(n, draw)

        self.flat_d.zero_grad()
        result = shared_pass(lambda x: self.discriminator(x, dtype=self.dtype), real, fake, total=config.batch)
        if self.steps % config.r1_every == 0:
            # Float32: a penalty on slopes is a second derivative, which bfloat16's eight bits cannot carry.
            weight = config.gamma / 2 * config.r1_every / config.batch
            self.r1 = r1_penalty(self.discriminator, real, weight=weight)
        sum_d = self.group.add(self.flat_d.vector.grad)
        self.flat_g.zero_grad()
        fake.backward(result.image_grad)
        sum_g = self.group.add(self.flat_g.vector.grad)
        sum_d.wait()
        self._update(self.flat_d, self.optimiser_d)
        sum_g.wait()
        self._update(self.flat_g, self.optimiser_g)

        self.steps += 1
        self.images += config.batch
        self.average.lerp_(self.flat_g.vector.detach(), average_weight(self.images, config.batch))
        loss_g = torch.nn.functional.softplus(-result.fake).mean()
        return Report(result.real.mean().item(), result.fake.mean().item(), loss_g.item(), result.loss.item(), self.r1)

    def _fake(self, n: int, draw: torch.Generator) -> Tensor:
        """Pictures with a graph to the generator: random noise inputs, and styles of two codes in some steps."""
        rows = self.generator.synthesis.num_ws
        normal = lambda *shape: torch.randn(*shape, generator=draw, device=self.device)  # noqa: E731
        w = self.generator.mapping(normal(n, self.config.z_dim))
        if float(torch.rand((), generator=draw, device=self.device)) < self.config.mixing:
            cut = torch.randint(1, rows, (n,), generator=draw, device=self.device)
            ws = mixed_rows(w, self.generator.mapping(normal(n, self.config.z_dim)), rows, cut)
        else:
            ws = w[:, None].expand(-1, rows, -1)
        noise = lambda name, layer: normal(n, 1, layer.resolution, layer.resolution)  # noqa: E731
        if self.images < self.config.noise_from:
            noise = no_noise  # the strengths stay at 0, where they begin
        return self.generator.synthesis(self.generator.synthesis.styles(ws), noise=noise)

    @staticmethod
    def _update(flat: Flat, optimiser: torch.optim.Optimizer) -> None:
        """One optimiser step; entries of the gradient that overflowed are left out or limited, not fatal."""
        flat.vector.grad.nan_to_num_(nan=0.0, posinf=1e5, neginf=-1e5)
        optimiser.step()

    def healthy(self) -> bool:
        """Whether all weights are finite."""
        return all(bool(torch.isfinite(v).all()) for v in (self.flat_g.vector, self.flat_d.vector, self.average))

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, but the pictures."""
        return {
            "config": self.config.as_dict(),
            "generator": self.flat_g.vector.detach(),
            "discriminator": self.flat_d.vector.detach(),
            "average": self.average,
            "noise": {k: v for k, v in self.generator.state_dict().items() if k.endswith("noise_const")},
            "optimiser_g": self.optimiser_g.state_dict(),
            "optimiser_d": self.optimiser_d.state_dict(),
            "steps": self.steps,
            "images": self.images,
        }

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Any]) -> None:
        self.flat_g.vector.copy_(state["generator"])
        self.flat_d.vector.copy_(state["discriminator"])
        self.average.copy_(state["average"])
        self.generator.load_state_dict(state["noise"], strict=False)
        self.optimiser_g.load_state_dict(state["optimiser_g"])
        self.optimiser_d.load_state_dict(state["optimiser_d"])
        self.steps, self.images = state["steps"], state["images"]

    @torch.no_grad()
    def warm_start(self, generator: Mapping[str, Tensor], discriminator: Mapping[str, Tensor]) -> None:
        """Begin from published weights, with fresh optimisers. Raises InputError where their shapes are others."""
        for flat, module, found, what in (
            (self.flat_g, self.generator, generator, "generator"),
            (self.flat_d, self.discriminator, discriminator, "discriminator"),
        ):
            own = module.state_dict()
            if own.keys() != found.keys() or any(own[key].shape != found[key].shape for key in own):
                raise InputError(f"the {what} to start from has other layers or sizes than these settings ask for")
            flat.load(dict(found))
            noise = {key: value for key, value in found.items() if key.endswith("noise_const")}
            module.load_state_dict(noise, strict=False)
        self.average.copy_(self.flat_g.vector)

    @torch.no_grad()
    def averaged(self) -> StyleGAN2:
        """The generator of averaged weights, frozen, on the CPU, with its own mean w for truncation."""
        state = {**self.generator.state_dict(), **self.flat_g.named(self.average)}
        state = {key: value.detach().cpu().clone() for key, value in state.items()}
        frozen = StyleGAN2.from_state_dict(state, name=self.generator.info.name, domain=self.generator.info.domain)
        z = normal_rows(torch.arange(MEAN_W_SAMPLES), self.config.z_dim, seed=self.config.seed, name="mean-w")
        frozen.mapping.w_avg.copy_(frozen.mapping(z).mean(0))
        return frozen


def config_from(settings: Mapping[str, Any] | None) -> Config:
    """A Config with these settings changed. Raises InputError for names that it does not have."""
    settings = dict(settings or {})
    known = {field.name for field in fields(Config)}
    if settings.keys() - known:
        raise InputError(f"unknown training settings {sorted(settings.keys() - known)}: known are {', '.join(sorted(known))}")
    if "channels" in settings:
        settings["channels"] = tuple(settings["channels"])
    return Config(**settings)
