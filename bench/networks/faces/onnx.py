"""Face networks that are published as graphs, run by onnxruntime on the CPU: identity, pose, age and segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.domains.base import Network
from bench.errors import UnsupportedError
from bench.networks.faces.files import convention, locate, prepared, window
from bench.networks.windows import WHOLE, Window


class Session(Protocol):
    """What is used of onnxruntime.InferenceSession."""

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> Sequence[np.ndarray]: ...

    def get_inputs(self) -> Sequence: ...


class Graphs(Network):
    """One or several graphs of the same input. Answers carry no gradient: onnxruntime has none.

    files: names of the table; sessions: one each. The fingerprint is over the files' hashes.
    """

    def __init__(self, name: str, reading: str, files: Sequence[str], sessions: Sequence[Session], frame: Window = WHOLE) -> None:
        super().__init__()
        self.name, self.readings, self.frame = name, frozenset({reading}), frame
        self.files, self.sessions = tuple(files), tuple(sessions)
        hashes = b"".join(bytes.fromhex(convention(one).sha256) for one in files)
        self.register_buffer("hashes", torch.from_numpy(np.frombuffer(hashes, np.uint8).copy()))
        self.register_buffer("window", torch.tensor(window(files[0], frame)))

    def outputs(self, images: Tensor) -> list[Tensor]:
        """The first output of every graph, [N, ...] float32, on the pictures' device."""
        with torch.no_grad():
            x = prepared(images, self.files[0], self.frame).cpu().numpy()
        return [torch.from_numpy(_run(session, x)).to(images.device) for session in self.sessions]


class MobileFace(Graphs):
    """Identity: unit vectors [N, 256]. Between different people the cosine is about 0.07, up to 0.56 in one pair of a hundred."""

    def __init__(self, session: Session, frame: Window = WHOLE) -> None:
        super().__init__("mobileface", "identity", ("mobileface",), (session,), frame)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        return {"identity": F.normalize(self.outputs(images)[0], dim=1)}


class FSANet(Graphs):
    """Attributes yaw, pitch, roll in degrees (Yang et al. 2019): the mean of the two published graphs, as their authors use them.

    Signs as in threeddfa.angles; the published ones of yaw and roll are the opposite.
    """

    names = ("yaw", "pitch", "roll")

    def __init__(self, sessions: Sequence[Session], frame: Window = WHOLE) -> None:
        super().__init__("fsanet", "attributes", ("fsanet-1x1", "fsanet-var"), sessions, frame)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        mean = torch.stack(self.outputs(images)).mean(0)
        return {"attributes": mean * mean.new_tensor([-1.0, 1.0, -1.0])}


class SSRNet(Graphs):
    """Attribute age in years (Yang et al. 2018). Weak: a second opinion."""

    names = ("age",)

    def __init__(self, session: Session, frame: Window = WHOLE) -> None:
        super().__init__("ssrnet-age", "attributes", ("ssrnet-age",), (session,), frame)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        return {"attributes": self.outputs(images)[0].reshape(len(images), 1)}


class Selfie(Graphs):
    """Segmentation: logits [N, 2, 256, 256] of background (always 0) and person (MediaPipe selfie segmentation)."""

    def __init__(self, session: Session) -> None:
        super().__init__("selfie-segmentation", "segmentation", ("selfie-segmentation",), (session,))

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        person = self.outputs(images)[0].reshape(len(images), 1, 256, 256)
        # Single precision rounds a sure pixel to exactly 0 or 1, whose logit would be infinite.
        logit = torch.logit(person, eps=1e-6)
        return {"segmentation": torch.cat([torch.zeros_like(logit), logit], 1)}


def session(name: str, folder: Path | None = None) -> Session:
    """The graph of the table's line, on one thread. Raises UnsupportedError where onnxruntime or the file is missing."""
    path = locate(name, folder)
    try:
        import onnxruntime
    except ImportError as error:
        raise UnsupportedError(f"{name} needs onnxruntime: pip install 'latentbench[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def load_mobileface(folder: Path | None = None, frame: Window = WHOLE) -> MobileFace:
    return MobileFace(session("mobileface", folder), frame)


def load_fsanet(folder: Path | None = None, frame: Window = WHOLE) -> FSANet:
    return FSANet([session(name, folder) for name in ("fsanet-1x1", "fsanet-var")], frame)


def load_ssrnet(folder: Path | None = None, frame: Window = WHOLE) -> SSRNet:
    return SSRNet(session("ssrnet-age", folder), frame)


def load_selfie(folder: Path | None = None) -> Selfie:
    return Selfie(session("selfie-segmentation", folder))


def _run(session: Session, x: np.ndarray) -> np.ndarray:
    """The first output, row by row where the graph was published for one picture at a time."""
    given = session.get_inputs()[0]
    if given.shape[0] == 1 and len(x) != 1:
        rows = [session.run(None, {given.name: row})[0] for row in np.split(x, len(x))] if len(x) else []
        return np.concatenate(rows) if rows else np.empty((0,), np.float32)
    return session.run(None, {given.name: x})[0]
