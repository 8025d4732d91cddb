"""The guide of digiface: what methods may fit with where nothing was downloaded. It shares no network with the judge.

Yaw is read by two weak cues that err in different ways, added in equal parts: the guide network of the heads, which saw rendered
heads only, and the sideways centre of the fine vertical detail between eyes and mouth, which moves with the nose. Colours are
read at fixed places, where a face usually is, and not where one was found.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.domains.base import Network
from bench.domains.digiface.colours import disc_means, luma

NAMES = ("yaw", "skin_lightness", "skin_warmth", "hair_lightness", "background_lightness")
# Enlargements and shifts (fractions of the side) at which the heads' network looks: their mean errs less than one look.
LOOKS = ((1.0, 0.0), (0.9, 0.075))
# Rows and columns, in fractions of the side, in which detail is looked for.
DETAIL_ROWS, DETAIL_COLUMNS = (0.53, 0.78), (0.16, 0.84)
# Deviations of the two cues over samples of digiface-dcgan: they only set that both count alike.
CUE_DEVIATIONS = (10.6, 0.068)
# Fixed discs (x, y, radius): two cheeks, hair, two corners.
DISCS = ((0.36, 0.66, 0.06), (0.64, 0.66, 0.06), (0.50, 0.12, 0.10), (0.08, 0.10, 0.08), (0.92, 0.10, 0.08))


class DigifaceGuide(Network):
    """Reading 'attributes': NAMES. heads: a network that scores the attribute 'yaw' of rendered heads. Differentiable."""

    def __init__(self, heads: Network) -> None:
        super().__init__()
        self.name, self.readings, self.names = "digiface-guide", frozenset({"attributes"}), NAMES
        self.heads = heads
        self.register_buffer("deviations", torch.tensor(CUE_DEVIATIONS))
        self.register_buffer("discs", torch.tensor(DISCS))

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Scores [N, 5] of pictures [N, 3, R, R] in [-1, 1]; yaw in deviations, colours in [0, 1] or [-1, 1]."""
        images = images.clamp(-1, 1)
        cues = torch.stack([self.heads_yaw(images), detail_centre(luma(images))], 1)
        yaw = (cues / self.deviations.to(cues)).mean(1)
        discs = self.discs.to(images).expand(len(images), -1, -1)
        means = (disc_means(images, discs[..., :2], discs[..., 2]) + 1) / 2
        bright = means.mean(2)
        red, _, blue = means[:, :2].mean(1).unbind(1)
        warmth = red - blue
        skin, background = bright[:, :2].mean(1), bright[:, 3:].mean(1)
        return {"attributes": torch.stack([yaw, skin, warmth, bright[:, 2], background], 1)}

    def heads_yaw(self, images: Tensor) -> Tensor:
        """Half the difference of the heads' yaw between a picture and its mirror image, mean over LOOKS, [N]."""
        column, total = list(self.heads.names).index("yaw"), images.new_zeros(len(images))
        for scale, shift in LOOKS:
            move = images.new_tensor([[1 / scale, 0, 0], [0, 1 / scale, 2 * shift]]).expand(len(images), 2, 3)
            grid = F.affine_grid(move, list(images.shape), align_corners=False)
            seen = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
            plain, mirrored = (self.heads.measure(one)["attributes"][:, column] for one in (seen, seen.flip(-1)))
            total = total + (plain - mirrored) / 2
        return total / len(LOOKS)


def detail_centre(bright: Tensor) -> Tensor:
    """Sideways centre of |horizontal gradient| in the middle of pictures [N, R, R], in fractions of the side, [N]."""
    side = bright.shape[-1]
    rows, columns = (slice(*(round(edge * side) for edge in edges)) for edges in (DETAIL_ROWS, DETAIL_COLUMNS))
    steep = (bright[:, rows, 2:] - bright[:, rows, :-2]).abs()[:, :, columns] + 1e-6
    x = torch.arange(steep.shape[-1], device=bright.device, dtype=bright.dtype) / side
    return (steep * x).sum((1, 2)) / steep.sum((1, 2))
