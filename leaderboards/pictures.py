"""Picture strips of real edits: a row per method, a block of strengths per code. Codes are the first ids of the test stream."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

LIMIT = 150_000  # bytes of one sheet
GAP, BLOCK = 1, 7  # pixels between pictures of a block, and between blocks


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)


def sheet(rows: Sequence[tuple[str, np.ndarray | None]], blocks: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """Lay pictures out, uint8 [H, W, 3].

    rows: label and pictures uint8 [blocks, columns, R, R, 3] (None: the row is left empty). blocks, columns: their captions, the
    columns' under each block. Raises ValueError where the shapes do not fit.
    """
    size = next((pictures.shape[2] for _, pictures in rows if pictures is not None), 0)
    if not size:
        raise ValueError("a sheet needs pictures")
    font = _font(max(10, size // 5))
    margin = 8 + max(int(font.getlength(line)) for label, _ in rows for line in label.split("\n"))
    line = font.size + 4
    width_block = len(columns) * (size + GAP) - GAP + BLOCK
    height = 2 * line + len(rows) * (size + GAP) + 2
    canvas = Image.new("RGB", (margin + len(blocks) * width_block - BLOCK, height), "white")
    draw = ImageDraw.Draw(canvas)
    lefts = [margin + b * width_block for b in range(len(blocks))]
    for left, block in zip(lefts, blocks, strict=True):
        draw.text((left + (width_block - BLOCK) / 2, 1), block, "#222222", font, anchor="ma")
        for c, column in enumerate(columns):
            draw.text((left + c * (size + GAP) + size / 2, 1 + line), column, "#555555", font, anchor="ma")
    for r, (label, pictures) in enumerate(rows):
        top = 2 * line + r * (size + GAP)
        draw.multiline_text((margin - 6, top + size / 2), label, "#222222", font, anchor="rm", align="right", spacing=2)
        if pictures is None:
            continue
        wanted = (len(blocks), len(columns), size, size, 3)
        if pictures.shape != wanted or pictures.dtype != np.uint8:
            raise ValueError(f"row {label!r} holds {pictures.dtype} {pictures.shape}, not uint8 {wanted}")
        for left, block in zip(lefts, pictures, strict=True):
            for c, picture in enumerate(block):
                canvas.paste(Image.fromarray(picture), (left + c * (size + GAP), top))
    return np.asarray(canvas)


def small_png(pixels: np.ndarray, limit: int = LIMIT) -> bytes:
    """The sheet as a PNG with a palette, of at most `limit` bytes: with fewer pixels where it would be larger."""
    image, scale = Image.fromarray(pixels), 1.0
    while True:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        part = image if scale == 1 else image.resize(size, Image.Resampling.LANCZOS)
        out = io.BytesIO()
        part.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= limit or size == (1, 1):
            return out.getvalue()
        # Bytes grow about with the area; a step of at least a tenth ends the search soon.
        scale *= min(0.9, 0.98 * (limit / out.tell()) ** 0.5)
