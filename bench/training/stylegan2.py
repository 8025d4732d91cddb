"""Train the StyleGAN2 of the `heads` domain: `python -m bench.training.stylegan2 --minutes 110 --out DIR`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.errors import LatentbenchError
from bench.generators.stylegan2 import StyleGAN2
from bench.generators.stylegan2_layers import no_noise
from bench.training.discriminator import Discriminator
from bench.training.gan import mixed_rows
from bench.training.gan_loop import train
from bench.training.recipe import Draw, Recipe
from bench.training.standing import mean_w_codes


@dataclass(frozen=True)
class Config(Recipe):
    """StyleGAN2's training (Karras et al. 2020): non-saturating loss with lazy R1.

    mixing: probability that a step mixes styles. noise_from: pictures seen before noise inputs join. From the start on, the
    networks here put noise in the place of detail: at 40 thousand pictures all edges of samples came from it, and without it they
    were blurs.
    """

    name: ClassVar[str] = "heads-stylegan2"
    title: ClassVar[str] = "StyleGAN2"
    objective: ClassVar[str] = "non-saturating, lazy R1, one pass of the discriminator for both networks"
    tried: ClassVar[str] = (
        "Below their bar are two spreads alone. At 794 thousand pictures and constant rates they were 0.53 and 0.63, and the "
        "distance 17.7 floors; 15.5 after 150 thousand more whose rates fell to nothing; after 100 thousand more, from half of "
        "the rates on, what this card says."
    )
    half_on_cpu: ClassVar[bool] = True

    w_dim: int = 64
    mapping_layers: int = 4
    mixing: float = 0.3
    noise_from: int = 1_000_000

    @property
    def ladder(self) -> dict[int, int]:
        return {4 * 2**i: c for i, c in enumerate(self.channels)}

    def generator(self, blocks: int, level: float) -> StyleGAN2:
        widths = [self.w_dim] * self.mapping_layers
        return StyleGAN2(name=self.name, domain="heads", z_dim=self.z_dim, widths=widths, channels=self.ladder)

    def discriminator(self, blocks: int) -> Discriminator:
        return Discriminator(self.ladder)

    def pictures(
        self, generator: StyleGAN2, n: int, draw: Draw, *, images: int, labels: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        """With random noise inputs, and styles of two codes in some steps."""
        synthesis = generator.synthesis
        synthesis.compute_dtype = dtype
        rows = synthesis.num_ws
        w = generator.mapping(draw.normal(n, self.z_dim))
        if float(draw.uniform()) < self.mixing:
            cut = draw.integers(1, rows, n)
            ws = mixed_rows(w, generator.mapping(draw.normal(n, self.z_dim)), rows, cut)
        else:
            ws = w[:, None].expand(-1, rows, -1)
        noise = lambda name, layer: draw.normal(n, 1, layer.resolution, layer.resolution)  # noqa: E731
        if images < self.noise_from:
            noise = no_noise  # the strengths stay at 0, where they begin
        return synthesis(synthesis.styles(ws), noise=noise)

    def finish(self, frozen: StyleGAN2) -> None:
        """Its own mean w, for truncation."""
        frozen.mapping.w_avg.copy_(frozen.mapping(mean_w_codes(self.z_dim, seed=self.seed)).mean(0))


def train_stylegan2(
    out: Path,
    *,
    minutes: float,
    config: Config | Mapping[str, Any] | None = None,
    device: str = "cpu",
    max_steps: int | None = None,
    **choices: Any,
) -> Path:
    """Train for so many minutes under these settings; choices: as of gan_loop.train. Gives back the file of averaged weights."""
    recipe = config if isinstance(config, Config) else Config.of(config)
    return train(out, recipe=recipe, minutes=minutes, device=device, max_steps=max_steps, **choices)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.training.stylegan2", description="Train the StyleGAN2 of heads.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=None)
    parser.add_argument("--batch", type=int, default=None, help="pictures a step; 64 is good on a GPU")
    parser.add_argument("--length", type=int, default=None, help="pictures after which the training is over")
    parser.add_argument("--fall", type=int, default=0, help="over so many of the last of them learning rates fall to nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="begin anew even where the folder holds a state")
    parser.add_argument("--warm-start", type=Path, nargs=2, metavar=("G", "D"), help="weights to begin from without a state")
    parser.add_argument("--pictures", type=Path, help="a .npy file, uint8 [N, 3, 64, 64], to learn instead of heads")
    args = parser.parse_args(arguments)
    batch = args.batch or (32 if args.device == "cpu" else 64)
    settings = {"seed": args.seed, "batch": batch, "length": args.length, "fall": args.fall}
    try:
        train_stylegan2(
            args.out,
            minutes=args.minutes,
            config=settings,
            resume=not args.fresh,
            device=args.device,
            processes=args.processes,
            warm_start=tuple(args.warm_start) if args.warm_start else None,
            pictures=args.pictures,
        )
    except LatentbenchError as error:
        print(f"error: {error}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
