"""MTCNN face detection on a generator's pictures: box, probability and five landmarks (Zhang et al. 2016, arXiv:1604.02878).

The three small networks and their weights are facenet-pytorch's and ship in its wheel. The cascade around them is written here,
with every decision taken within one picture: the package's own batched form shifts the boxes of picture n by n times a large
number to suppress all pictures at once, which rounds, and it fails where a candidate lies wholly outside the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.domains.base import Network
from bench.errors import InputError, UnsupportedError
from bench.torchvision_shim import ensure_torchvision

CELL, STRIDE = 12, 2  # the proposal network looks at 12 px windows, 2 px apart
FACTOR = 0.709  # the step of the pyramid: half the area
THRESHOLDS = (0.6, 0.7, 0.7)  # of the proposal, refinement and output networks
CHUNK = 64
LANDMARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")  # left and right in the picture


@dataclass(frozen=True)
class Faces:
    """The largest face of each picture; coordinates are fractions of the side, (0, 0) the picture's top left corner.

    landmarks: [N, 5, 2] (x, y) in the order of LANDMARKS; box: [N, 4] (x1, y1, x2, y2); both NaN where no face was found.
    probability: [N], 0 where none was found, else above the last threshold.
    """

    landmarks: Tensor
    box: Tensor
    probability: Tensor

    @property
    def found(self) -> Tensor:
        """[N] bool."""
        return self.probability > 0


class MTCNN(nn.Module):
    """The cascade, frozen. size: the side at which pictures are searched, min_face: the smallest face looked for, in px.

    Left out, they follow the pictures: 128 and 40 px up to a side of 64, else 256 and 80 px. On pictures of 64 px this finds as
    many faces as 256 px with a 20 px minimum does (0.992), in half the time and with landmarks that agree to 0.005.
    """

    def __init__(self, size: int | None = None, min_face: int | None = None) -> None:
        super().__init__()
        if (size is None) != (min_face is None):
            raise InputError("size and min_face of MTCNN go together: give both or neither")
        if size is not None and min_face is not None and not CELL <= min_face <= size:
            raise InputError(f"MTCNN looks for faces of at least {CELL} px within the picture, not {min_face} of {size} px")
        self.size, self.min_face = size, min_face
        self.pnet, self.rnet, self.onet = (load_stage(name) for name in ("pnet", "rnet", "onet"))

    @torch.no_grad()
    def detect(self, images: Tensor) -> Faces:
        """The largest face of each picture, [N, 3, R, R] in [-1, 1]. A picture with a NaN holds no face. Not differentiable.

        A row does not depend on its batch, but for the last bits of a convolution, whose sums a library may order by batch size.
        """
        rows = np.full((len(images), 15), np.nan, np.float32)
        rows[:, 14] = 0
        size, _ = self.search(images)
        for start in range(0, len(images), CHUNK):
            self._chunk(images[start : start + CHUNK], rows[start : start + CHUNK])
        found = torch.from_numpy(rows).to(images.device)
        return Faces(found[:, :10].reshape(-1, 5, 2) / size, found[:, 10:14] / size, found[:, 14])

    def search(self, images: Tensor) -> tuple[int, int]:
        """The side and the smallest face in px for these pictures. Raises InputError for another shape."""
        if images.dim() != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
            raise InputError(f"MTCNN reads pictures [N, 3, R, R], got {list(images.shape)}")
        if self.size is not None and self.min_face is not None:
            return self.size, self.min_face
        return (128, 40) if images.shape[-1] <= 64 else (256, 80)

    def _chunk(self, images: Tensor, rows: np.ndarray) -> None:
        """Fill rows [n, 15]: ten landmark coordinates, the box, the probability."""
        size, smallest = self.search(images)
        pixels = _bytes(resized(images, size))
        owner, boxes = self._proposals(pixels, CELL / smallest)
        owner, boxes = self._refined(pixels, owner, boxes)
        owner, boxes, points, scores = self._output(pixels, owner, boxes)
        for n in np.unique(owner):
            mine = np.flatnonzero(owner == n)
            best = mine[np.argmax(area(boxes[mine]))]
            rows[n] = np.concatenate([points[best].ravel(), boxes[best], scores[best : best + 1]])

    def _proposals(self, pixels: Tensor, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Windows that may hold a face at every scale of the pyramid: owner [K], regressed boxes [K, 4]."""
        size = pixels.shape[-1]
        parts = []
        while size * scale >= CELL:
            side = int(size * scale + 1)
            shift, chance = self.pnet(_normal(F.interpolate(pixels, size=(side, side), mode="area")))
            at = (chance[:, 1] >= THRESHOLDS[0]).nonzero()
            corner = STRIDE * at[:, [2, 1]].cpu().numpy()
            boxes = np.floor(np.concatenate([corner + 1, corner + CELL], 1).astype(np.float32) / np.float32(scale))
            n, row, column = at.unbind(1)
            scores, shift = chance[n, 1, row, column].cpu().numpy(), shift[n, :, row, column].cpu().numpy()
            owner = n.cpu().numpy()
            keep = suppress_each(owner, boxes, scores, 0.5)
            parts.append((owner[keep], boxes[keep], scores[keep], shift[keep]))
            scale *= FACTOR
        owner, boxes, scores, shift = (np.concatenate(part) for part in zip(*parts, strict=True))
        keep = suppress_each(owner, boxes, scores, 0.7)
        return owner[keep], regressed(boxes[keep], shift[keep], one=0)

    def _refined(self, pixels: Tensor, owner: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The windows that the second network takes for faces, regressed."""
        owner, boxes, crops = cut(pixels, owner, squared(boxes), 24)
        if not len(owner):
            return owner, boxes
        shift, chance = (part.cpu().numpy() for part in self.rnet(crops))
        keep = np.flatnonzero(chance[:, 1] > THRESHOLDS[1])
        keep = keep[suppress_each(owner[keep], boxes[keep], chance[keep, 1], 0.7)]
        return owner[keep], regressed(boxes[keep], shift[keep], one=1)

    def _output(self, pixels: Tensor, owner: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, ...]:
        """Faces: owner [K], boxes [K, 4], landmarks [K, 5, 2] and probabilities [K]."""
        owner, boxes, crops = cut(pixels, owner, squared(boxes), 48)
        if not len(owner):
            return owner, boxes, np.empty((0, 5, 2), np.float32), np.empty(0, np.float32)
        shift, points, chance = (part.cpu().numpy() for part in self.onet(crops))
        keep = np.flatnonzero(chance[:, 1] > THRESHOLDS[2])
        owner, boxes, shift, points, scores = owner[keep], boxes[keep], shift[keep], points[keep], chance[keep, 1]
        # The network gives five x, then five y, as fractions of the window; windows are counted from pixel 1.
        sides = boxes[:, 2:] - boxes[:, :2] + 1
        points = points.reshape(-1, 2, 5).transpose(0, 2, 1) * sides[:, None] + boxes[:, None, :2] - 1
        boxes = regressed(boxes, shift, one=1)
        keep = suppress_each(owner, boxes, scores, 0.7, smaller=True)
        return owner[keep], boxes[keep], points[keep], scores[keep]


class MTCNNFeatures(Network):
    """Reading 'features': the 256 activations before the last layers of MTCNN's output network, on a fixed window of the picture.

    No face is looked for, so that every picture has features. crop: the window as (left, top, right, bottom) in fractions of the
    side; by default about the box that MTCNN finds in portraits that fill the frame, (0.14, 0.12, 0.86, 1.07) on average on the
    faces of digiface, cut at the frame. Differentiable.
    """

    def __init__(self, crop: tuple[float, float, float, float] = (0.125, 0.125, 0.875, 1.0)) -> None:
        super().__init__()
        left, top, right, bottom = crop
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise InputError(f"a crop is (left, top, right, bottom) in fractions of the picture, not {crop}")
        self.name, self.readings, self.crop = "mtcnn-onet", frozenset({"features"}), crop
        self.onet = load_stage("onet")
        self.register_buffer("window", torch.tensor(crop))  # part of the state, so that the fingerprint knows it

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Features [N, 256] of pictures [N, 3, R, R] in [-1, 1], float32."""
        side = images.shape[-1]
        left, top, right, bottom = (round(edge * side) for edge in self.crop)
        x = _normal((images[:, :, top:bottom, left:right].float().clamp(-1, 1) + 1) * 127.5)
        x = F.interpolate(x, size=(48, 48), mode="bilinear", align_corners=False, antialias=True)
        net = self.onet
        for i in (1, 2, 3):
            x = net.get_submodule(f"pool{i}")(net.get_submodule(f"prelu{i}")(net.get_submodule(f"conv{i}")(x)))
        x = net.prelu4(net.conv4(x)).permute(0, 3, 2, 1).flatten(1)  # the published weights count columns before rows
        return {"features": net.prelu5(net.dense5(x))}


def load_stage(name: str) -> nn.Module:
    """One of facenet-pytorch's 'pnet', 'rnet', 'onet', frozen. Raises UnsupportedError where the package is not installed."""
    ensure_torchvision()
    spec = find_spec("facenet_pytorch")
    if spec is None or spec.origin is None:
        raise UnsupportedError("facenet-pytorch is not installed: pip install facenet-pytorch")
    from facenet_pytorch.models import mtcnn as published

    network = {"pnet": published.PNet, "rnet": published.RNet, "onet": published.ONet}[name](pretrained=False)
    path = Path(spec.origin).parent / "data" / f"{name}.pt"
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    # On CPUs max pooling is several times faster over this layout, and the networks spend half their time there.
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def resized(images: Tensor, size: int) -> Tensor:
    """Pictures [N, 3, R, R] at another side, bilinear, with antialiasing downwards, float32."""
    side = images.shape[-1]
    if side == size:
        return images.float()
    return F.interpolate(images.float(), size=(size, size), mode="bilinear", align_corners=False, antialias=side > size)


def area(boxes: np.ndarray, one: int = 0) -> np.ndarray:
    """Areas [K] of boxes [K, 4]; one: 1 where the last pixel is counted in."""
    return (boxes[:, 2] - boxes[:, 0] + one) * (boxes[:, 3] - boxes[:, 1] + one)


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float, *, smaller: bool = False) -> np.ndarray:
    """Indices that greedy suppression keeps, by falling score. boxes [K, 4], scores [K].

    A box falls where its overlap with a better one is above the threshold: intersection over union, or, with `smaller`, over the
    smaller of the two, last pixels counted in (which removes a face within a face).
    """
    order = np.argsort(-scores, kind="stable")
    boxes, one = boxes[order], int(smaller)
    first, last = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared, own = np.clip(last - first + one, 0, None).prod(2), area(boxes, one)
    whole = np.minimum(own[:, None], own[None]) if smaller else own[:, None] + own[None] - shared
    above = shared > threshold * whole
    alive = np.ones(len(boxes), bool)
    for i in range(len(boxes)):
        if alive[i]:
            alive[i + 1 :] &= ~above[i, i + 1 :]
    return order[alive]


def suppress_each(
    owner: np.ndarray, boxes: np.ndarray, scores: np.ndarray, threshold: float, *, smaller: bool = False
) -> np.ndarray:
    """`suppress` within each picture; owner [K] says whose a box is."""
    groups = (np.flatnonzero(owner == n) for n in np.unique(owner))
    kept = [mine[suppress(boxes[mine], scores[mine], threshold, smaller=smaller)] for mine in groups]
    return np.concatenate(kept) if kept else np.empty(0, np.int64)


def regressed(boxes: np.ndarray, shift: np.ndarray, *, one: int) -> np.ndarray:
    """Boxes [K, 4] with each edge moved by `shift` [K, 4] in units of the side, the last pixel counted in where one is 1."""
    sides = boxes[:, 2:] - boxes[:, :2] + one
    return boxes + shift * np.concatenate([sides, sides], 1)


def squared(boxes: np.ndarray) -> np.ndarray:
    """The squares of the longer side about the centres of boxes [K, 4]."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longest = sides.max(1, keepdims=True, initial=0)
    first = boxes[:, :2] + sides * 0.5 - longest * 0.5
    return np.concatenate([first, first + longest], 1)


def cut(pixels: Tensor, owner: np.ndarray, boxes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """The windows of pictures [N, 3, S, S] under boxes [K, 4], area-averaged to `size`, normalised, [K', 3, size, size].

    Boxes are cut at the frame; those wholly outside are left out, so owner and boxes come back with the rows that remain.
    """
    side = pixels.shape[-1]
    edges = np.trunc(boxes).astype(np.int64)
    first, last = np.maximum(edges[:, :2], 1) - 1, np.minimum(edges[:, 2:], side)
    keep = np.flatnonzero((last > first).all(1))
    windows = (pixels[owner[k], :, first[k, 1] : last[k, 1], first[k, 0] : last[k, 0]] for k in keep)
    crops = [F.adaptive_avg_pool2d(window, size)[None] for window in windows]
    stacked = torch.cat(crops) if crops else pixels.new_empty(0, 3, size, size)
    return owner[keep], boxes[keep], _normal(stacked)


def _bytes(images: Tensor) -> Tensor:
    """[-1, 1] to whole numbers in 0..255, as in a stored picture; NaN stays."""
    return ((images + 1) * 127.5).round().clamp(0, 255)


def _normal(pixels: Tensor) -> Tensor:
    """0..255 to the networks' range, in the layout that suits them."""
    return ((pixels - 127.5) / 128).contiguous(memory_format=torch.channels_last)
