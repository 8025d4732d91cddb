"""Face identity by FaceNet (Schroff et al. 2015): facenet-pytorch's Inception-ResNet-v1, trained on VGGFace2 or CASIA-WebFace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from bench.domains.base import Network
from bench.errors import InputError, UnsupportedError
from bench.fetch import cached
from bench.networks.mtcnn import MTCNN
from bench.networks.states import torch_state
from bench.networks.windows import WHOLE, Window, take
from bench.torchvision_shim import ensure_torchvision

Training = Literal["vggface2", "casia-webface"]
TRAININGS: tuple[Training, ...] = ("vggface2", "casia-webface")
SIZE = 160
MARGIN = 14  # px of the 160 that lie around the detected box, half on each side, as the package's own evaluation has them


class Facenet(Network):
    """Reading 'identity': unit vectors [N, 512]; about 1 for the same person, about 0 for strangers. Differentiable.

    align: the face is found by MTCNN first, and its box with a margin is read; a picture without a face is a row of NaN, which
    counts as a sample that the judge could not read. Without it `window` (in fractions of the side) of every picture is read.
    state: the published state dict; a classifier's head in it is left out.
    """

    def __init__(
        self,
        training: Training,
        state: Mapping[str, Tensor],
        *,
        align: bool = False,
        margin: int = MARGIN,
        window: Window = WHOLE,
    ) -> None:
        super().__init__()
        if not 0 <= margin < SIZE:
            raise InputError(f"the margin is part of the {SIZE} px that are read, not {margin}")
        self.name, self.readings = f"facenet-{training}", frozenset({"identity"})
        self.window, self.margin = window, margin
        self.net = build(state)
        self.detector = MTCNN() if align else None
        self.register_buffer("reading", torch.tensor([float(align), float(margin), *window]))  # for the fingerprint
        self.eval().requires_grad_(False)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        if self.detector is None:
            return {"identity": self._embed(take(images, self.window, SIZE))}
        faces = self.detector.detect(images)
        found = torch.nonzero(faces.found).flatten().tolist()
        vectors = torch.full((len(images), 512), float("nan"), device=images.device)
        if found:
            boxes = faces.box.tolist()
            crops = [take(images[i : i + 1], widened(boxes[i], self.margin), SIZE) for i in found]
            vectors = vectors.index_copy(0, torch.tensor(found, device=images.device), self._embed(torch.cat(crops)))
        return {"identity": vectors}

    def _embed(self, crops: Tensor) -> Tensor:
        """Unit vectors of [N, 3, 160, 160] in [-1, 1]. The network's own range is (v - 127.5) / 128."""
        return self.net(crops.clamp(-1, 1) * (127.5 / 128))


def widened(box: list[float], margin: int) -> Window:
    """A box (x1, y1, x2, y2) with `margin` of SIZE output pixels around it, cut at the picture's edge."""
    x1, y1, x2, y2 = box
    across, down = ((side * margin / (SIZE - margin)) / 2 for side in (x2 - x1, y2 - y1))
    return max(x1 - across, 0.0), max(y1 - down, 0.0), min(x2 + across, 1.0), min(y2 + down, 1.0)


def build(state: Mapping[str, Tensor]) -> torch.nn.Module:
    """facenet-pytorch's network with these weights. Raises InputError where they are not its own."""
    ensure_torchvision()
    try:
        from facenet_pytorch import InceptionResnetV1
    except ImportError as error:
        raise UnsupportedError("facenet-pytorch is not installed: pip install facenet-pytorch") from error
    net = InceptionResnetV1(pretrained=None, classify=False)
    try:
        net.load_state_dict({name: value for name, value in state.items() if not name.startswith("logits.")})
    except RuntimeError as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(f"these weights are not of FaceNet's Inception-ResNet-v1: {said}") from error
    return net


def load_facenet(
    training: Training = "vggface2", path: Path | None = None, *, align: bool = False, window: Window = WHOLE
) -> Facenet:
    """From the published file: the one given, or the fetched one (`latentbench fetch facenet-vggface2`).

    Raises UnsupportedError where it is not at hand, InputError where it is damaged or another network's.
    """
    if training not in TRAININGS:
        raise InputError(f"FaceNet's weights are of {' or '.join(TRAININGS)}, not {training}")
    path = cached(f"facenet-{training}") if path is None else Path(path)
    return Facenet(training, torch_state(path), align=align, window=window)
