"""The loop that trains every GAN of `heads`: by the clock, resumable at any kill, on one process or several.

The folder holds `state.pt` (to resume exactly), `ema-<kimg>.safetensors` and `samples-<kimg>.png` (averaged weights, ids 0-63),
`discriminator.safetensors` (with an EMA file, enough for a warm start elsewhere), `log.txt` and the training pictures.
"""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp

from bench.errors import InputError
from bench.generators.weights import load_card, load_safetensors, save_half
from bench.training.checkpoints import prune, read_state, write_grid, write_state
from bench.training.data import FilePictures, HeadPictures
from bench.training.processes import Group, has_bfloat16, keep_memory
from bench.training.recipe import Recipe
from bench.training.trainer import Trainer

LOG_EVERY = 128
POLL_EVERY = 16
SAVE_SECONDS = 300.0
SNAPSHOT_IMAGES = 20_000


def train(
    out: Path,
    *,
    recipe: Recipe,
    minutes: float,
    resume: bool = True,
    device: str = "cpu",
    processes: int | None = None,
    warm_start: tuple[Path, Path] | None = None,
    pictures: Path | None = None,
    max_steps: int | None = None,
) -> Path:
    """Train for so many minutes of wall-clock time, rendering included; gives back the file of averaged weights.

    resume: go on from DIR/state.pt where it exists. warm_start: files of a generator and a discriminator to begin from where it
    does not. pictures: a .npy file to learn instead of rendered heads. max_steps: stop at this step of the whole training.
    Raises InputError for settings, states or files that do not fit, and where training diverged.
    """
    processes = processes or (2 if device == "cpu" and (os.cpu_count() or 1) > 1 else 1)
    if device != "cpu" and processes > 1:
        raise InputError(f"training on {device} runs in one process, not {processes}")
    out = Path(out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    run = Run(out, time.monotonic() + 60 * minutes, recipe, resume, device, processes, warm_start, pictures, max_steps)
    # What can be wrong is found before other processes start.
    recipe.check(processes)
    run.state()
    with tempfile.TemporaryDirectory() as folder:
        rendezvous = Path(folder) / "rendezvous"
        context = mp.get_context("spawn")
        others = [context.Process(target=run.work, args=(rank, rendezvous), daemon=True) for rank in range(1, processes)]
        for other in others:
            other.start()
        try:
            run.work(0, rendezvous)
            for other in others:
                other.join(timeout=20)
        finally:
            for other in others:
                other.kill()  # where this process failed they would wait for it; they ignore what `terminate` sends
    return out / "ema.safetensors"


@dataclass
class Run:
    """One call of `train`, as every process sees it. deadline: of time.monotonic."""

    out: Path
    deadline: float
    recipe: Recipe
    resume: bool
    device: str
    processes: int
    warm_start: tuple[Path, Path] | None
    pictures: Path | None
    max_steps: int | None
    stopped: bool = False
    under_way: bool = False

    def state(self) -> dict[str, Any] | None:
        return read_state(self.out / "state.pt", self.recipe) if self.resume else None

    def work(self, rank: int, rendezvous: Path) -> None:
        """Train in this process until time is up. Process 0 decides, writes and speaks; it restores the caller's settings."""
        threads = torch.get_num_threads()
        handlers = {}
        if rank == 0:
            handlers = _on_signals(self._stop)
        else:
            _on_signals(signal.SIG_IGN)
        keep_memory()
        torch.set_flush_denormal(True)
        if self.device == "cpu":
            torch.set_num_threads(1)  # so that a training can be had again on a machine of any size
        group = Group(rank, self.processes, rendezvous)
        try:
            self._train(group)
        finally:
            group.close()
            torch.set_num_threads(threads)
            torch.set_flush_denormal(False)
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _stop(self, *_: object) -> None:
        """The run ends after its step and saves; while pictures are rendered there is nothing to save, and it ends at once."""
        self.stopped = True
        if not self.under_way:
            raise KeyboardInterrupt

    def _train(self, group: Group) -> None:
        fast = self.device != "cpu" or (self.recipe.half_on_cpu and has_bfloat16())
        trainer = Trainer(self.recipe, group, device=self.device, dtype=torch.bfloat16 if fast else torch.float32)
        state = self.state()
        if state is not None:
            trainer.load_state(state)
        elif self.warm_start is not None:
            trainer.warm_start(*(load_safetensors(path) for path in self.warm_start))
        log = Log(self.out / "log.txt", trainer) if group.rank == 0 else None
        pictures = self._pictures(group)
        begin = time.monotonic()
        made = pictures.prepare(trainer.refreshed)
        if log:
            settings = "Config(" + ", ".join(f"{key}={value!r}" for key, value in self.recipe.as_dict().items()) + ")"
            log.say(f"start at step {trainer.steps}, {group.size} process(es), {trainer.dtype}, on {self.device}: {settings}")
            if state is None and self.warm_start is not None:
                log.say(f"begins with {_origin(self.warm_start[0])}")
            log.say(f"{made} of {len(pictures)} pictures rendered in {time.monotonic() - begin:.0f} s")
        group.barrier()
        if log:
            log.reset()

        saved = time.monotonic()
        stop = torch.zeros(())
        self.under_way = True
        while True:
            if trainer.steps % POLL_EVERY == 0:
                stop.fill_(float(self.stopped or time.monotonic() >= self.deadline))
                if group.broadcast(stop):
                    break
            if self._over(trainer):
                break
            before = trainer.images
            report = trainer.step(pictures)
            if log is None:
                continue
            log.add(astuple(report))
            if trainer.images // SNAPSHOT_IMAGES > before // SNAPSHOT_IMAGES:
                self._snapshot(trainer, f"{trainer.images // 1000:06d}")
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save(trainer)
                saved = time.monotonic()
        if log:
            self._save(trainer)
            self._snapshot(trainer, f"{trainer.images // 1000:06d}")
            save_half(trainer.averaged().state_dict(), self.out / "ema.safetensors", {"kimg": f"{trainer.images / 1000:.1f}"})
            log.say(f"stopped at step {trainer.steps}, {trainer.images / 1000:.1f} kimg")

    def _over(self, trainer: Trainer) -> bool:
        """Whether the training has all its steps or pictures."""
        if self.max_steps is not None and trainer.steps >= self.max_steps:
            return True
        return self.recipe.length is not None and trainer.images >= self.recipe.length

    def _pictures(self, group: Group) -> HeadPictures | FilePictures:
        size, recipe = self.recipe.resolution, self.recipe
        if self.pictures is not None:
            return FilePictures(self.pictures, size=size)
        return HeadPictures(
            self.out / "pictures", total=recipe.total, rank=group.rank, processes=group.size, seed=recipe.seed + 1, size=size
        )

    def _save(self, trainer: Trainer) -> None:
        if not trainer.healthy():
            text = "weights are not finite; the last good state is kept"
            raise InputError(f"training diverged by step {trainer.steps}: {text} in {self.out}")
        write_state(trainer.state(), self.out / "state.pt")

    def _snapshot(self, trainer: Trainer, tag: str) -> None:
        """Averaged weights, their pictures and the discriminator; only the last few of each kind stay."""
        frozen = trainer.averaged()
        codes = frozen.sample(torch.arange(64), seed=0)
        with torch.no_grad():
            images = torch.cat([frozen.synthesize(codes[i : i + 16]) for i in range(0, 64, 16)])
        write_grid(images, self.out / f"samples-{tag}.png")
        save_half(frozen.state_dict(), self.out / f"ema-{tag}.safetensors", {"kimg": tag})
        save_half(trainer.discriminator.state_dict(), self.out / "discriminator.safetensors", {"kimg": tag})
        prune(self.out, "ema-*.safetensors")
        prune(self.out, "samples-*.png")


class Log:
    """Means over LOG_EVERY steps, printed and appended to a file."""

    def __init__(self, path: Path, trainer: Trainer) -> None:
        self.path, self.trainer, self.begin = path, trainer, time.monotonic()
        self.reset()

    def reset(self) -> None:
        self.sums, self.steps = torch.zeros(5, dtype=torch.float64), 0
        self.since, self.images = time.monotonic(), self.trainer.images

    def say(self, text: str) -> None:
        print(text, flush=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")

    def add(self, figures: tuple[float, ...]) -> None:
        self.sums += torch.tensor(figures, dtype=torch.float64)
        self.steps += 1
        if self.steps < LOG_EVERY:
            return
        real, fake, loss_g, loss_d, penalty = (self.sums / self.steps).tolist()
        now, images = time.monotonic(), self.trainer.images - self.images
        minutes, speed = (now - self.begin) / 60, (now - self.since) / images * 1000
        self.say(
            f"kimg {self.trainer.images / 1000:.1f}  min {minutes:.1f}  ms/img {speed:.2f}  "
            f"real {real:.2f}  fake {fake:.2f}  loss_g {loss_g:.2f}  loss_d {loss_d:.2f}  penalty {penalty:.3f}"
        )
        self.reset()


def _origin(weights: Path) -> str:
    """Weights that a training begins with, and the pictures that they have seen by the card beside them, as the log says it."""
    card = weights.with_suffix(".json")
    seen = load_card(card) if card.exists() else {}
    kimg = seen.get("kimg", 0.0) + seen.get("start", {}).get("kimg", 0.0)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    return f"{weights.name} of sha256 {sha256} and {kimg:.1f} kimg"


def _on_signals(handler: Any) -> dict[int, Any]:
    """Set the handler of interrupt and termination; gives back the old ones. Outside the main thread nothing is set."""
    try:
        return {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        return {}
