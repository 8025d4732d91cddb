"""How editors are asked for a text: those that take prompts by the prompt, others by the attribute's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from bench.codes import Codes
from bench.domains.base import Domain, TextImageNetwork, text_side
from bench.streams import stream_seed
from bench.tasks.base import CellContext
from bench.tasks.editing.moves import Move
from methods.base import Editor, Path, Request
from metrics.text import clip_score, directional_similarity


@dataclass(frozen=True)
class PromptMove(Move):
    """One prompt, toward which strengths above 0 go: turn is the sign that is asked for, so that both signs do."""

    prompt: str = ""

    def path(self, cell: CellContext, codes: Codes) -> Path:
        request = Request(self.name, prompt=self.prompt, hold=cell.method.hold)
        return cell.fitted.editor.path(codes, [request], seed=stream_seed("edit", cell.seed, cell.method.fit_seed))


def takes_prompts(editor: Editor) -> bool:
    """Whether the editor reads Request.prompt: it says so by an attribute `prompts` that is true."""
    return bool(getattr(editor, "prompts", False))


def text_judge(domain: Domain) -> TextImageNetwork:
    """The judge of texts. Raises UnsupportedError where there is none, or it has no text side."""
    return text_side(domain.judge("text_image"))


def text_vectors(judge: TextImageNetwork, texts: Sequence[str]) -> np.ndarray:
    """Unit vectors [T, D] float64."""
    return judge.encode_text(list(texts)).double().cpu().numpy()


def text_curves(before: Tensor, after: Sequence[Tensor], source: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    """score and directional [N, 1 + S] float32 of pictures' vectors [N, D], unedited and at S strengths, and texts [D].

    NaN where the judge could not read a picture; directional is 0 where a picture did not change. At strength 0, where there is
    no step, it is that of the smallest strength, its limit.
    """
    first = before.double().numpy()
    every = [first, *(one.double().numpy() for one in after)]
    score = np.full((len(first), len(every)), np.nan)
    directional = score.copy()
    for s, one in enumerate(every):
        read = np.isfinite(one).all(1)
        if read.any():
            score[read, s] = clip_score(one[read], target[None])
        read &= np.isfinite(first).all(1)
        if s and read.any():
            directional[read, s] = np.nan_to_num(directional_similarity(first[read], one[read], source, target), nan=0.0)
    directional[:, 0] = directional[:, 1]
    return {"score": score.astype(np.float32), "directional": directional.astype(np.float32)}
