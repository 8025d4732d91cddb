"""CLIP (Radford et al. 2021) by open_clip: image-text scores, and attribute scores from pairs of prompts, without training.

Weights are local files (bench/networks/clip_files.py); nothing is asked of a hub.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cards import DomainInfo
from bench.domains.base import TextImageNetwork
from bench.errors import InputError, UnsupportedError
from bench.fetch.places import offline
from bench.networks.clean_resize import Kernel
from bench.networks.pil_resize import pil_resize
from bench.torchvision_shim import ensure_torchvision

CHUNK = 16  # texts a pass: a vector does not depend on the texts beside it
SHOWN = 60  # letters of a text in messages


@dataclass(frozen=True)
class Preprocess:
    """How a checkpoint wants its pictures. side: in px. mean, std: by channel, of values in 0..1."""

    side: int
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    interpolation: Kernel = "bicubic"


class Clip(nn.Module):
    """Unit vectors of pictures and of texts. Differentiable with respect to the pictures.

    name: in messages. model, tokenizer: open_clip's. settings: whatever else decides the values (the activation, say, which no
    weight tells); it becomes part of the state, so that other settings are another fingerprint.
    """

    def __init__(
        self, name: str, model: nn.Module, tokenizer: Any, preprocess: Preprocess, settings: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.name, self.tokenizer, self.preprocess = name, tokenizer, preprocess
        self.model = model.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(preprocess.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(preprocess.std)[:, None, None])
        said = json.dumps({**asdict(preprocess), **(settings or {})}, sort_keys=True)
        self.register_buffer("settings", torch.tensor(list(said.encode()), dtype=torch.uint8))
        # What cosines are multiplied with to be logits of a softmax.
        self.scale = float(model.logit_scale.detach().exp())

    def images(self, images: Tensor) -> Tensor:
        """Unit vectors [N, D] float32 of pictures [N, 3, R, R] in [-1, 1].

        Pictures are read as open_clip reads their files: as bytes, resized by PIL. Gradients pass rounding by.
        """
        if images.dim() != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
            raise InputError(f"CLIP reads pictures [N, 3, R, R], got {list(images.shape)}")
        x = pil_resize((images.double() + 1) * 127.5, self.preprocess.side, self.preprocess.interpolation).float() / 255
        return F.normalize(self.model.encode_image((x - self.mean) / self.std).float(), dim=1)

    def check(self, texts: Sequence[str]) -> None:
        """Raise InputError for a text that is longer than CLIP reads: cut off, it would say something else."""
        if isinstance(texts, str):
            raise InputError("CLIP reads a list of texts, got one text")
        most = self.tokenizer.context_length
        for text in texts:
            count = len(self.tokenizer.encode(text)) + 2  # the start and the end have tokens of their own
            if count > most:
                shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
                raise InputError(f"the text '{shown}' has {count} tokens, and {self.name} reads {most}: shorten it")

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [T, D] float32; a row depends on its own text alone. Raises InputError for a text that is too long."""
        self.check(texts)
        parts = []
        for start in range(0, max(len(texts), 1), CHUNK):
            some = list(texts[start : start + CHUNK])
            ids = self.tokenizer(some + [""] * (CHUNK - len(some))).to(self.mean.device)
            parts.append(F.normalize(self.model.encode_text(ids).float(), dim=1)[: len(some)])
        return torch.cat(parts)


class ClipTextImage(TextImageNetwork):
    """CLIP as a domain's text-image network. An attribute is scale times (cosine with the positive prompt - with the negative).

    That is the log odds of a softmax over the two prompts. Every attribute is a logit here, a continuous one too: it has no unit.
    Attributes without both prompts are left out. Raises UnsupportedError where none is left, InputError for a prompt that is too
    long.
    """

    readings = frozenset({"attributes", "text_image"})

    def __init__(self, name: str, clip: Clip, domain: DomainInfo) -> None:
        super().__init__()
        pairs = {one.name: one.prompts for one in domain.attributes if all(one.prompts)}
        if not pairs:
            raise UnsupportedError(f"the attributes of {domain.name} have no prompts: CLIP cannot score them")
        self.name, self.names = name, tuple(pairs)
        self.clip, self.scale = clip, clip.scale
        negative, positive = (clip.texts([pair[i] for pair in pairs.values()]) for i in (0, 1))
        # Part of the state, so that other prompts are another fingerprint.
        self.register_buffer("directions", (positive - negative) * clip.scale)

    def encode_image(self, images: Tensor) -> Tensor:
        """Unit vectors [N, D] of pictures [N, 3, R, R] in [-1, 1], float32, differentiable."""
        return self.clip.images(images)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [T, D], float32. Raises InputError for a text that is too long."""
        return self.clip.texts(texts)

    def check_texts(self, texts: Sequence[str]) -> None:
        """Raise InputError for a text that is too long."""
        self.clip.check(texts)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        vectors = self.clip.images(images)
        return {"attributes": vectors @ self.directions.T, "text_image": vectors}


def import_open_clip() -> Any:
    """The package. Raises UnsupportedError where it is not installed."""
    if offline():
        # Read when huggingface_hub is first imported; without it a missing model costs half a minute of attempts.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    ensure_torchvision()
    try:
        import open_clip
    except ImportError as error:
        raise UnsupportedError("CLIP needs open_clip: pip install 'latentbench[clip]'") from error
    return open_clip
