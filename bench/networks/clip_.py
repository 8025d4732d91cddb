"""CLIP (Radford et al. 2021) by open_clip: image-text scores, and attribute scores from pairs of prompts, without training.

Weights are local files; nothing is asked of a hub.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.cards import DomainInfo
from bench.domains.base import Network
from bench.errors import InputError, UnsupportedError
from bench.fetch import cached, entry
from bench.fetch.places import offline
from bench.torchvision_shim import ensure_torchvision

# The catalogue's names and open_clip's architectures. OpenAI's weights were trained with another activation.
ARCHITECTURES = {"open-clip-vit-b-32-laion2b": "ViT-B-32", "clip-vit-b-32": "ViT-B-32-quickgelu"}
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


class Clip(nn.Module):
    """Unit vectors of pictures and of texts, and their scores. Differentiable with respect to the pictures.

    model: open_clip's. tokenize: texts to [T, context] ids. side: the pictures' side that the model reads, in px.
    """

    def __init__(self, model: nn.Module, tokenize: Callable[[list[str]], Tensor], side: int) -> None:
        super().__init__()
        self.model, self.tokenize, self.side = model.eval().requires_grad_(False), tokenize, side
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None])

    def images(self, images: Tensor) -> Tensor:
        """Unit vectors [N, D] of pictures [N, 3, R, R] in [-1, 1]; bicubic with antialiasing to the model's side."""
        if images.dim() != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
            raise InputError(f"CLIP reads pictures [N, 3, R, R], got {list(images.shape)}")
        x = images.float().clamp(-1, 1)
        if x.shape[-1] != self.side:
            x = F.interpolate(x, size=(self.side, self.side), mode="bicubic", align_corners=False, antialias=True)
        x = ((x + 1) / 2).clamp(0, 1)
        return F.normalize(self.model.encode_image((x - self.mean) / self.deviation).float(), dim=1)

    @torch.no_grad()
    def texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [T, D]."""
        ids = self.tokenize(list(texts)).to(self.mean.device)
        return F.normalize(self.model.encode_text(ids).float(), dim=1)

    def scores(self, images: Tensor, texts: Sequence[str]) -> Tensor:
        """Cosines of pictures and texts, [N, T], in [-1, 1]."""
        return self.images(images) @ self.texts(texts).T

    @property
    def scale(self) -> float:
        """What cosines are multiplied with to be logits of a softmax."""
        return float(self.model.logit_scale.exp())


class ClipAttributes(Network):
    """Attributes of a domain, each a logit: scale times (cosine with the positive prompt - cosine with the negative one).

    That is the log odds of a softmax over the two. Every attribute is a logit here, a continuous one too: it has no unit.
    Attributes without both prompts are left out. Raises UnsupportedError where none is left.
    """

    def __init__(self, name: str, clip: Clip, domain: DomainInfo) -> None:
        super().__init__()
        self.name, self.readings = name, frozenset({"attributes"})
        pairs = {one.name: one.prompts for one in domain.attributes if all(one.prompts)}
        if not pairs:
            raise UnsupportedError(f"the attributes of {domain.name} have no prompts: CLIP cannot score them")
        self.names = tuple(pairs)
        self.clip = clip
        negative, positive = (clip.texts([pair[i] for pair in pairs.values()]) for i in (0, 1))
        # Part of the state, so that other prompts are another fingerprint.
        self.register_buffer("directions", (positive - negative) * clip.scale)

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        return {"attributes": self.clip.images(images) @ self.directions.T}


def load_clip(name: str = "open-clip-vit-b-32-laion2b", path: Path | None = None) -> Clip:
    """A catalogued CLIP, from the fetched file or from `path`.

    OpenAI's file is a TorchScript archive, and loading one runs what it holds: it is read only from the cache, where its hash is
    checked. Raises UnsupportedError where open_clip or the file is missing, InputError where the file is another one.
    """
    if name not in ARCHITECTURES:
        raise InputError(f"CLIP has the weights {', '.join(ARCHITECTURES)}, not {name}")
    source = cached(name) if path is None else Path(path)
    open_clip = import_open_clip()
    architecture = ARCHITECTURES[name]
    model = open_clip.create_model(architecture, load_weights=False)
    try:
        if path is None and entry(name).format == "torchscript":
            state = torch.jit.load(str(source), map_location="cpu").state_dict()
            spare = ("input_resolution", "context_length", "vocab_size")
            model.load_state_dict({key: value.float() for key, value in state.items() if key not in spare})
        else:
            open_clip.load_checkpoint(model, str(source), weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:160]
        raise InputError(f"{source} does not hold the weights of {architecture}: {said}") from error
    return Clip(model, open_clip.get_tokenizer(architecture), model.visual.image_size[0])


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
