"""The state and the step of a GAN's training, whatever its architecture; sized for two CPU cores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.errors import InputError
from bench.generators.base import Generator
from bench.streams import stream_seed
from bench.training.data import Pictures
from bench.training.flat import Flat
from bench.training.gan import average_weight, generator_gradient, shared_pass
from bench.training.processes import Group, Pending
from bench.training.recipe import Draw, Recipe


@dataclass
class Report:
    """One step's figures, for the log. penalty is that of the last step that had one."""

    real: float
    fake: float
    loss_g: float
    loss_d: float
    penalty: float


class Trainer:
    """Networks, optimisers and averages of one process, and the step that moves them.

    Every random draw of a step comes from (seed, step, process) alone, so that a resumed run continues as if never interrupted.
    """

    def __init__(self, recipe: Recipe, group: Group, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        recipe.check(group.size)
        self.recipe, self.group, self.dtype = recipe, group, dtype
        self.device = torch.device(device)
        self.steps, self.images, self.penalty = 0, 0, 0.0
        self._build(recipe.blocks(0))

    def _build(self, blocks: int) -> None:
        """Fresh networks and optimisers."""
        recipe = self.recipe
        self.blocks = blocks
        torch.manual_seed(stream_seed("gan-weights", recipe.seed) % 2**63)
        self.generator = recipe.generator(blocks, recipe.level(self.images)).to(self.device)
        self.generator.requires_grad_(True).train()
        self.discriminator = recipe.discriminator(blocks).to(self.device)
        self.flat_g, self.flat_d = Flat(self.generator), Flat(self.discriminator)
        self.average = self.flat_g.vector.detach().clone()
        self.optimiser_g, self.optimiser_d = (
            torch.optim.Adam([flat.vector], lr=rate, betas=recipe.betas, eps=1e-8, fused=True)
            for flat, rate in zip((self.flat_g, self.flat_d), recipe.rates, strict=True)
        )

    @torch.no_grad()
    def _grow(self) -> None:
        """Where the networks get another resolution: what was learned goes on by name, the optimisers begin anew.

        As in the original (Karras et al. 2018): moments of the coarser network say little about the finer one.
        """
        blocks = self.recipe.blocks(self.images)
        if blocks == self.blocks:
            return
        old = self.generator.state_dict(), self.discriminator.state_dict()
        average = self.flat_g.named(self.average)
        self._build(blocks)
        for flat, module, state in zip((self.flat_g, self.flat_d), (self.generator, self.discriminator), old, strict=True):
            flat.load(state)
            module.load_state_dict({name: state[name] for name in _buffers(module) if name in state}, strict=False)
        self.average.copy_(self.flat_g.vector)
        self.flat_g.load(average, into=self.average)

    @property
    def refreshed(self) -> int:
        """Pictures of this process that should have been replaced by now."""
        every = self.recipe.refresh_every
        return self.steps // every * self.recipe.refresh if every else 0

    def step(self, pictures: Pictures) -> Report:
        """One step of both networks on recipe.batch pictures, shared out over the processes."""
        recipe, n = self.recipe, self.recipe.batch // self.group.size
        level, pace = recipe.level(self.images), recipe.pace(self.images)
        if pace < 1:
            for optimiser, rate in zip((self.optimiser_g, self.optimiser_d), recipe.rates, strict=True):
                optimiser.param_groups[0]["lr"] = pace * rate
        recipe.before_step(self.generator, self.discriminator, level)
        draw = Draw(stream_seed("gan-step", recipe.seed, self.steps, self.group.rank) % 2**63, self.device)
        if recipe.refresh_every and self.steps % recipe.refresh_every == 0:
            pictures.prepare(self.refreshed)
        for turn in range(recipe.turns):
            last = turn == recipe.turns - 1
            index = draw.integers(0, len(pictures), n)
            real = recipe.shown(pictures.batch(index.cpu(), self.device), self.blocks, level)
            labels = pictures.labels(index.cpu(), self.device) if recipe.classes else None
            with torch.set_grad_enabled(last):
                fake = recipe.pictures(self.generator, n, draw, images=self.images, labels=labels, dtype=self.dtype)
            self.flat_d.zero_grad()
            both = None if labels is None else torch.cat([labels, labels])
            result = shared_pass(self._judge(both, self.dtype), real, fake, total=recipe.batch, loss=recipe.loss)
            penalty = recipe.penalise(self._judge(labels, torch.float32), real, fake, step=self.steps, draw=draw)
            self.penalty = self.penalty if penalty is None else penalty
            sum_d = self.group.add(self.flat_d.vector.grad)
            if last and recipe.together:
                sum_g = self._learn(fake, result.image_grad, draw)
            sum_d.wait()
            self._update(self.flat_d, self.optimiser_d)
        if not recipe.together:
            judge = self._judge(labels, self.dtype)
            image_grad = generator_gradient(judge, fake, total=recipe.batch, loss=recipe.loss)
            sum_g = self._learn(fake, image_grad, draw)
        sum_g.wait()
        self._update(self.flat_g, self.optimiser_g)

        self.steps += 1
        self.images += recipe.batch * recipe.turns
        self.average.lerp_(self.flat_g.vector.detach(), average_weight(self.images, recipe.batch * recipe.turns))
        loss_g = recipe.loss.generator(result.fake)
        self._grow()
        return Report(result.real.mean().item(), result.fake.mean().item(), loss_g.item(), result.loss.item(), self.penalty)

    def _learn(self, fake: Tensor, image_grad: Tensor, draw: Draw) -> Pending:
        """The generator's gradient, from that at its pictures; its sum over the processes is on its way."""
        self.flat_g.zero_grad()
        fake.backward(image_grad)
        if self.group.rank == 0:
            self.recipe.constrain(self.generator, images=self.images, draw=draw)
        return self.group.add(self.flat_g.vector.grad)

    def _judge(self, labels: Tensor | None, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """The discriminator as a function of pictures alone."""
        conditions = {} if labels is None else {"labels": labels}
        return partial(self.discriminator, dtype=dtype, **conditions)

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
            "config": self.recipe.as_dict(),
            "blocks": self.blocks,
            "generator": self.flat_g.vector.detach(),
            "discriminator": self.flat_d.vector.detach(),
            "average": self.average,
            "buffers_g": _buffers(self.generator),
            "buffers_d": _buffers(self.discriminator),
            "optimiser_g": self.optimiser_g.state_dict(),
            "optimiser_d": self.optimiser_d.state_dict(),
            "steps": self.steps,
            "images": self.images,
            "penalty": self.penalty,
        }

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Any]) -> None:
        self.steps, self.images, self.penalty = state["steps"], state["images"], state["penalty"]
        if state["blocks"] != self.blocks:
            self._build(state["blocks"])
        self.flat_g.vector.copy_(state["generator"])
        self.flat_d.vector.copy_(state["discriminator"])
        self.average.copy_(state["average"])
        self.generator.load_state_dict(state["buffers_g"], strict=False)
        self.discriminator.load_state_dict(state["buffers_d"], strict=False)
        self.optimiser_g.load_state_dict(state["optimiser_g"])
        self.optimiser_d.load_state_dict(state["optimiser_d"])

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
            module.load_state_dict({key: found[key] for key in _buffers(module)}, strict=False)
        self.average.copy_(self.flat_g.vector)

    @torch.no_grad()
    def averaged(self) -> Generator:
        """The generator of averaged weights, frozen, on the CPU, with the statistics that go with them."""
        state = {**self.generator.state_dict(), **self.flat_g.named(self.average)}
        frozen = self.recipe.generator(self.blocks, self.recipe.level(self.images))
        frozen.load_state_dict({key: value.detach().cpu().clone() for key, value in state.items()})
        frozen.requires_grad_(False).eval()
        self.recipe.finish(frozen)
        return frozen


def _buffers(module: torch.nn.Module) -> dict[str, Tensor]:
    """What a state dict holds beside parameters: noise maps, spectral vectors, statistics."""
    trained = {name for name, _ in module.named_parameters()}
    return {name: value.detach().clone() for name, value in module.state_dict().items() if name not in trained}
