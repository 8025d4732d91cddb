"""The embedded text-image networks of `heads`: a guide and a judge that say how well words describe a 64 px picture.

Two towers as in CLIP (Radford et al. 2021): a convolutional trunk for pictures and a word-level encoder for texts, both ending in
unit vectors. The judge reads with a transformer, the guide with a recurrent network. Words that a network does not know are read
as one and the same, with a warning that names them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.domains.base import TextImageNetwork
from bench.domains.heads.networks import Spec, Trunk, prepared
from bench.errors import InputError

# Token 0 fills up, token 1 is any unknown word, known words follow.
PAD, UNKNOWN, SPECIAL = 0, 1, 2
CONTEXT = 64  # words that are read of a text
MOST_SCALE = 100.0  # CLIP's bound of the scale
CHUNK = 16  # texts a pass: a vector does not depend on the texts beside it
WORD = re.compile(r"[^\W_]+", re.UNICODE)


@dataclass(frozen=True)
class TextSpec:
    """One text-image network. trunk: its picture tower. reader: transformer or recurrent. width: of a word's vector."""

    trunk: Spec
    reader: str
    width: int

    @property
    def name(self) -> str:
        return self.trunk.name

    @property
    def role(self) -> str:
        return self.trunk.role

    @property
    def readings(self) -> frozenset[str]:
        return self.trunk.readings


def _spec(name: str, role: str, family: str, widths: tuple[int, int, int, int], hidden: int) -> Spec:
    return Spec(name, role, "text_image", family, widths, hidden, 64, role == "judge", 0.5, frozenset({"text_image"}))


TEXT_SPECS: dict[str, TextSpec] = {
    s.name: s
    for s in (
        TextSpec(_spec("heads-text", "judge", "residual", (24, 40, 72, 96), 96), "transformer", 64),
        TextSpec(_spec("heads-guide-text", "guide", "plain", (32, 48, 64, 96), 96), "recurrent", 56),
    )
}


def words_of(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters and digits; 'Clean-shaven, 40!' is clean, shaven, 40."""
    return WORD.findall(text.lower())


class Vocabulary:
    """Words to tokens. words: known ones, each once, without white space; the order is their tokens'."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._tokens = {word: i + SPECIAL for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words) + SPECIAL

    def unknown(self, text: str) -> tuple[str, ...]:
        """The words of a text that are not known, each once, in order."""
        return tuple(dict.fromkeys(word for word in words_of(text) if word not in self._tokens))

    def tokens(self, texts: Sequence[str], length: int | None = None) -> Tensor:
        """int64 [T, length], cut or filled up; length: by default the longest text's, at most CONTEXT and at least 1."""
        rows = [[self._tokens.get(word, UNKNOWN) for word in words_of(text)][:CONTEXT] for text in texts]
        length = max([1, *map(len, rows)]) if length is None else length
        return torch.tensor([row[:length] + [PAD] * (length - len(row)) for row in rows], dtype=torch.int64).view(-1, length)

    def as_bytes(self) -> Tensor:
        """The words as uint8, to be kept beside the weights that they belong to."""
        return torch.tensor(list("\n".join(self.words).encode()), dtype=torch.uint8)

    @classmethod
    def from_bytes(cls, data: Tensor) -> Vocabulary:
        return cls(bytes(data.tolist()).decode().split("\n"))


def _not_empty(tokens: Tensor) -> Tensor:
    """Tokens [T, L] in which a text without words is one unknown word, so that there is something to look at."""
    first = torch.arange(tokens.shape[1], device=tokens.device) == 0
    return torch.where((tokens == PAD).all(1, keepdim=True), UNKNOWN * first, tokens)


class TransformerReader(nn.Module):
    """Tokens [T, L] to vectors [T, outputs]: a convolution over neighbours, so that 'without' goes with what follows it wherever
    it stands, two layers of attention (Vaswani et al. 2017), then the mean over words."""

    def __init__(self, count: int, width: int, outputs: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(count, width)
        self.near = nn.Conv1d(width, width, 3, padding=1)
        self.place = nn.Parameter(0.02 * torch.randn(CONTEXT, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
            for _ in range(2)
        )
        self.last = nn.LayerNorm(width)  # not `norm`, which folding drops
        self.out = nn.Linear(width, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = _not_empty(tokens)
        gap = tokens == PAD
        x = self.embed(tokens).masked_fill(gap[..., None], 0.0)
        x = x + F.gelu(self.near(x.transpose(1, 2))).transpose(1, 2) + self.place[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=gap)
        there = (~gap)[..., None].float()
        return self.out((self.last(x) * there).sum(1) / there.sum(1))


class RecurrentReader(nn.Module):
    """Tokens [T, L] to vectors [T, outputs]: gated recurrent units (Cho et al. 2014) from left to right, then the highest and the
    mean activation over words, and the words' own mean, by which training finds what a word means long before what it follows."""

    def __init__(self, count: int, width: int, outputs: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(count, width)
        self.cell = nn.GRU(width, 2 * width, batch_first=True)
        self.out = nn.Linear(5 * width, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = _not_empty(tokens)
        there = (tokens != PAD)[..., None]
        words = self.embed(tokens)
        x, _ = self.cell(words)
        means = (torch.cat([x, words], 2) * there).sum(1) / there.sum(1)
        return self.out(torch.cat([x.masked_fill(~there, -2.0).amax(1), means], 1))


class Towers(nn.Module):
    """Both towers and the scale of their cosines, as they are trained and kept."""

    def __init__(self, spec: TextSpec, count: int, *, folded: bool = True) -> None:
        super().__init__()
        self.trunk = Trunk(spec.trunk, folded=folded)
        reader = TransformerReader if spec.reader == "transformer" else RecurrentReader
        self.reader = reader(count, spec.width, spec.trunk.outputs)
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())  # CLIP's initial value

    @property
    def scale(self) -> Tensor:
        """What cosines are multiplied with to be logits."""
        return self.log_scale.exp().clamp_max(MOST_SCALE)

    def images(self, images: Tensor) -> Tensor:
        """Unit vectors of pictures [N, 3, 64, 64]."""
        return F.normalize(self.trunk(images)[1].float(), dim=1)

    def texts(self, tokens: Tensor) -> Tensor:
        """Unit vectors of tokens [T, L]."""
        return F.normalize(self.reader(tokens).float(), dim=1)


class HeadsTextImage(TextImageNetwork):
    """A frozen text-image network of heads.

    state: of Towers, with the vocabulary's bytes under 'words'. Raises InputError where these are missing.
    """

    def __init__(self, spec: TextSpec, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        state = dict(state)
        words = state.pop("words", None)
        if words is None:
            raise InputError(f"the weights of {spec.name} have no vocabulary: install the package again")
        self.spec, self.name = spec, spec.name
        self.vocabulary = Vocabulary.from_bytes(words)
        self.register_buffer("words", words)  # part of the state, so that another vocabulary is another fingerprint
        self.towers = Towers(spec, len(self.vocabulary))
        self.towers.load_state_dict(state)
        self.towers.trunk.to(memory_format=torch.channels_last)
        self.scale = float(self.towers.scale.detach())
        self.eval().requires_grad_(False)

    def encode_image(self, images: Tensor) -> Tensor:
        """Unit vectors [N, 64] of pictures [N, 3, R, R] in [-1, 1], float32, differentiable; a row is its own picture's alone."""
        return self.towers.images(prepared(images))

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [T, 64], float32.

        Warns (UserWarning) of words that it does not know and reads as one and the same, and of texts that are longer than the
        CONTEXT words it reads.
        """
        if isinstance(texts, str):
            raise InputError("encode_text reads a list of texts, got one text")
        for text in texts:
            missing = self.unknown_words(text)
            if missing:
                warnings.warn(f"{self.name} does not know these words of '{text}': {', '.join(missing)}", stacklevel=2)
            if len(words_of(text)) > CONTEXT:
                warnings.warn(f"{self.name} reads the first {CONTEXT} words of '{text[:40]}...'", stacklevel=2)
        parts = []
        for start in range(0, len(texts), CHUNK):
            some = list(texts[start : start + CHUNK])
            tokens = self.vocabulary.tokens(some + [""] * (CHUNK - len(some)), CONTEXT).to(self.words.device)
            parts.append(self.towers.texts(tokens)[: len(some)])
        return torch.cat(parts) if parts else torch.empty(0, self.spec.trunk.outputs, device=self.words.device)

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """The words of a text that it does not know and reads as one and the same."""
        return self.vocabulary.unknown(text)
