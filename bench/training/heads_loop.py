"""The loop that trains every network of `heads`: AdamW under one cycle of the rate, by processor time, resumable."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.generators.weights import load_safetensors, save_half


@dataclass(frozen=True)
class Recipe:
    """What a training run consists of. pairs: persons in the pool, two pictures each. batch: persons a step.

    blur, noise, gain, offset: how much a picture is damaged at most, see heads_networks.draw.
    """

    pairs: int = 16384
    batch: int = 64
    rate: float = 2.5e-3
    decay: float = 0.02
    warmup: float = 0.05
    blur: float = 0.8
    noise: float = 0.04
    gain: float = 0.04
    offset: float = 0.03
    checkpoint_seconds: float = 30.0


def optimise(
    name: str, learner: nn.Module, batch_of: Callable[[int], Any], folder: Path, *, seconds: float, recipe: Recipe
) -> dict[str, Any]:
    """Train `learner`, whose forward gives the loss of a batch, for `seconds` of processor time; gives back what was done.

    batch_of: the batch of a step, a function of the step alone. The state is kept in `folder`; a stopped run goes on from there.
    Raises FloatingPointError where the loss is not finite.
    """
    optimizer = torch.optim.AdamW(learner.parameters(), recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.decay, fused=True)
    path = folder / f"{name}.checkpoint.pt"
    step, spent = 0, 0.0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        learner.load_state_dict(saved["learner"])
        optimizer.load_state_dict(saved["optimizer"])
        step, spent = saved["step"], saved["spent"]
    start, kept, shown, mean = time.process_time() - spent, spent, spent, 0.0
    while spent < seconds:
        done = spent / seconds
        rate = recipe.rate * min(1.0, done / recipe.warmup + 0.02) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = batch_of(step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = learner(batch)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of {name} is not finite at step {step}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
        optimizer.step()
        step, spent = step + 1, time.process_time() - start
        mean = loss.item() if mean == 0.0 else 0.98 * mean + 0.02 * loss.item()
        if spent - shown > 15:
            shown = spent
            seen = step * 2 * recipe.batch
            print(f"{name}: {spent:.0f} of {seconds:.0f} s, {seen} pictures, loss {mean:.4f}", file=sys.stderr, flush=True)
        if spent - kept > recipe.checkpoint_seconds:
            kept = spent
            save({"learner": learner.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": spent}, path)
    return {"pictures_seen": step * 2 * recipe.batch, "processor_seconds": round(spent, 1), "last_loss": round(mean, 5)}


def save(state: dict[str, Any], path: Path) -> None:
    """Write a training state so that a kill leaves the old one or the new one."""
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, partial)
    partial.replace(path)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread, so that a training can be had again on a machine of any size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def train_each(
    names: Sequence[str],
    out: Path,
    train: Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]],
    network_of: Callable[[str, dict[str, Tensor]], nn.Module],
    card_of: Callable[..., dict[str, Any]],
) -> list[Path]:
    """Train networks one after another on one thread; write NAME.safetensors (half precision) and NAME.json into `out`.

    train: name -> (state, what was done); network_of: (name, state as it is shipped) -> network; card_of(network, sha256, facts).
    A network whose weights and card are there is kept. Gives back the paths of the weights.
    """
    with one_thread():
        for name in names:
            weights, card = out / f"{name}.safetensors", out / f"{name}.json"
            if not (weights.exists() and card.exists()):
                state, facts = train(name)
                sha = save_half(state, weights)
                network = network_of(name, load_safetensors(weights, sha256=sha))
                card.write_text(json.dumps(card_of(network, sha256=sha, facts=facts), indent=1) + "\n", encoding="utf-8")
                (out / f"{name}.checkpoint.pt").unlink(missing_ok=True)
            print(f"{name}: {card}", file=sys.stderr, flush=True)
    return [out / f"{name}.safetensors" for name in names]
