"""Makes torchvision usable where its compiled library cannot load beside the torch at hand (a CUDA build beside a CPU torch).

There `import torchvision` ends in "operator torchvision::nms does not exist", and with it everything that imports torchvision:
facenet-pytorch, lpips, clean-fid, open_clip. Non-maximum suppression is the only compiled operator that they reach, so it alone
is supplied, in plain torch. A torchvision whose library loads is left as it is.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from bench.errors import UnsupportedError

# qnms is nms of quantised boxes: torchvision describes both when it is imported, so both must have a schema.
SCHEMAS = ("nms", "qnms")
SUFFIXES = tuple(dict.fromkeys((*EXTENSION_SUFFIXES, ".so", ".pyd", ".dll", ".dylib")))


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices [k] of the boxes that greedy suppression keeps, by falling score.

    boxes: [n, 4] as (x1, y1, x2, y2); scores: [n]. The best box left removes every box whose intersection over union with it is
    above the threshold. Equal scores keep their order, and a ratio that is no number (two empty boxes) removes nothing.
    """
    order = torch.argsort(scores, descending=True, stable=True)
    x1, y1, x2, y2 = boxes[order].unbind(1)
    area = (x2 - x1) * (y2 - y1)
    alive = torch.ones_like(order, dtype=torch.bool)
    keep: list[int] = []
    for i in range(len(order)):
        if not alive[i]:
            continue
        keep.append(i)
        later = slice(i + 1, None)
        width = (torch.minimum(x2[i], x2[later]) - torch.maximum(x1[i], x1[later])).clamp(min=0)
        height = (torch.minimum(y2[i], y2[later]) - torch.maximum(y1[i], y1[later])).clamp(min=0)
        shared = width * height
        # The ratio keeps the boxes' precision; the comparison is in double, where the threshold is exact.
        alive[later] &= ~((shared / (area[i] + area[later] - shared)).double() > iou_threshold)
    return order[torch.tensor(keep, dtype=torch.long, device=order.device)]


def ensure_torchvision() -> None:
    """Call before importing torchvision or anything that imports it; in every process, as often as you like.

    Raises UnsupportedError where torchvision is not installed.
    """
    if "torchvision" not in sys.modules and not library_loads():
        _register()
    extension = import_module("torchvision.extension")
    if not extension._has_ops():
        # boxes.nms asks this before it calls the operator. _has_ops itself stays False: roi_align looks at it to take its own
        # plain-torch way, which a True would close.
        import_module("torchvision.ops.boxes")._assert_has_ops = _nothing_to_assert


def library_loads() -> bool:
    """Whether torchvision's compiled operators load beside this torch. Raises UnsupportedError where it is not installed."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise UnsupportedError("torchvision is not installed: pip install torchvision")
    for path in (Path(spec.origin).with_name(f"_C{suffix}") for suffix in SUFFIXES):
        if path.is_file():
            try:
                torch.ops.load_library(str(path))
            except (OSError, ImportError):
                return False
            return True
    return False


def _nothing_to_assert() -> None:
    """Stands for torchvision.ops.boxes._assert_has_ops where nms comes from here."""


@cache
def _register() -> torch.library.Library:
    """Define and implement the operators, once a process. The library object must live on: the cache holds it."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in SCHEMAS:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for device in ("CPU", "CUDA"):
        library.impl("nms", nms, device)
    return library
