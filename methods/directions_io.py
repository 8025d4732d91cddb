"""Directions on disk: the formats in which papers released theirs, read into one form, and the same formats written.

Read are InterFaceGAN's .npy boundaries, .pt tensors and component files of e4e (also GANSpace's .npz dumps and exported
directions), HiGAN's boundaries gathered in an .npz, and safetensors; a JSON card says what the numbers alone do not. No pickle is
ever loaded: .pt files are read as weights only, numpy files without objects.
"""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bench.codes import Space
from bench.errors import InputError

CARD = "directions.json"
SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".safetensors")
# What the names of InterFaceGAN's files say: the attribute after model and data set, what it is conditioned on, and the space.
BOUNDARY = re.compile(r"(?:(?:pggan|stylegan2?)_[a-z0-9]+_)?(?P<name>.+?)(?P<w>_w)?_boundary")


@dataclass(frozen=True)
class Direction:
    """One released direction.

    values: [D], or [L, D] with a row per layer, as released (unit length or not). space: None where nothing says it. rows: of the
    layered space, where it moves these alone. scale: the length of a step of strength 1, in lengths of `values`.
    """

    name: str
    values: Tensor
    file: str
    space: Space | None = None
    rows: tuple[int, ...] | None = None
    scale: float = 1.0


def read_directions(path: Path, match: Sequence[str] = ("*",), *, layered: bool = False) -> list[Direction]:
    """All directions of a file, or of the files of a folder, whose file name or own name matches any pattern, file by file.

    layered: whether an array [n, D] is one direction with n rows, and not n directions. A folder with a card (directions.json) is
    read as the card says. Raises InputError for files that cannot be read, hold no numbers, or match nothing.
    """
    path = Path(path)
    card = read_card(path)
    found = []
    for file in direction_files(path):
        for one in _apply_card(list(_read(file, layered)), file, card):
            # A file's name picks among files; a direction's own name picks within one.
            if any(fnmatchcase(name, pattern) for name in (file.name, file.stem, one.name) for pattern in match):
                found.append(one)
    if not found:
        raise InputError(f"{path} holds no direction that matches {' or '.join(match)}")
    return found


def direction_files(path: Path) -> list[Path]:
    """The files that a path names, by name. Raises InputError where there is none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"there is no file or folder {path}")
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise InputError(f"the folder {path} holds no directions ({', '.join(SUFFIXES)})")
    return files


def read_card(path: Path) -> dict[str, Any] | None:
    """The card beside a file or in a folder, or None where there is none. Raises InputError for one that is not as written."""
    file = (path if path.is_dir() else path.parent) / CARD
    if not file.is_file():
        return None
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
        for one in card["directions"]:
            Space(card["space"]), str(one["name"]), str(one["file"]), float(one["scale"])
            tuple(map(int, one["rows"] or ()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the card {file} is damaged ({type(error).__name__}: {error}): export the directions again") from error
    return card


def _apply_card(found: list[Direction], file: Path, card: Mapping[str, Any] | None) -> list[Direction]:
    """Directions as their card names and scales them; those that the card does not know stay as they are."""
    if card is None:
        return found
    lines = [one for one in card["directions"] if one["file"] == file.name]
    by_key = {one.get("key") or "": one for one in lines}
    told = []
    for one in found:
        line = by_key.get(one.name) or (by_key.get("") if len(found) == 1 else None)
        if line is None:
            told.append(one)
        else:
            rows = None if line["rows"] is None else tuple(line["rows"])
            told.append(Direction(line["name"], one.values, file.name, Space(card["space"]), rows, float(line["scale"])))
    return told


def _read(file: Path, layered: bool) -> Iterator[Direction]:
    """The directions of one file."""
    try:
        if file.suffix == ".npy":
            named = {"": np.load(file, allow_pickle=False)}
        elif file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as data:
                named = {key: data[key] for key in data.files}
        elif file.suffix in (".pt", ".pth"):
            named = _named(torch.load(file, map_location="cpu", weights_only=True))
        elif file.suffix == ".safetensors":
            with safe_open(file, framework="pt") as data:
                named = {key: data.get_tensor(key) for key in data.keys()}
        else:
            raise InputError(f"{file} is of no format that directions come in ({', '.join(SUFFIXES)})")
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, SafetensorError, pickle.UnpicklingError) as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{file} cannot be read as directions ({why}): it is damaged, or holds more than numbers") from error
    yield from _split({key: torch.from_numpy(v) if _numeric(v) else v for key, v in named.items()}, file, layered)


def _named(loaded: Any) -> dict[str, Any]:
    if isinstance(loaded, Tensor):
        return {"": loaded}
    if isinstance(loaded, dict):
        return {str(key): value for key, value in loaded.items()}
    raise ValueError(f"a {type(loaded).__name__} and not a tensor or a dict of tensors")


def _numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biuf"


def _split(named: dict[str, Any], file: Path, layered: bool) -> Iterator[Direction]:
    """What kind of file it is, by the names in it."""
    if {"comp", "std"} <= named.keys():  # e4e's component files
        yield from _components(named["comp"], named["std"], file, None)
    elif {"lat_comp", "lat_stdev"} <= named.keys():  # GANSpace: a dump, or an exported direction
        space = {"W": Space.W, "Z": Space.Z}.get(str(named.get("latent_space", "")))
        if "edit_start" in named:
            rows = tuple(range(int(named["edit_start"]), int(named["edit_end"])))
            name = str(named.get("name", file.stem))
            values = _vectors(named["lat_comp"], file, name, False)
            yield Direction(name, values[0], file.name, space, rows or None, float(named["lat_stdev"]))
        else:
            yield from _components(named["lat_comp"], named["lat_stdev"], file, space)
    elif any(key.endswith("/boundary") for key in named):  # HiGAN
        for key in sorted(one for one in named if one.endswith("/boundary")):
            name = key.removesuffix("/boundary")
            rows = _indices(named.get(f"{name}/meta_data/manipulate_layers"), file)
            yield Direction(name, _vectors(named[key], file, name, False)[0], file.name, Space.W, rows)
    else:
        for key, value in named.items():
            space, name = None, key
            if not key:
                told = BOUNDARY.fullmatch(file.stem)
                name = told["name"] if told else file.stem
                space = (Space.W if told["w"] else Space.Z) if told else None
            vectors = _vectors(value, file, name, layered)
            names = [name] if len(vectors) == 1 else [f"{key}/{i}" if key else str(i) for i in range(len(vectors))]
            yield from (Direction(n, v, file.name, space) for n, v in zip(names, vectors, strict=True))


def _components(components: Any, stdev: Any, file: Path, space: Space | None) -> Iterator[Direction]:
    vectors = _vectors(components, file, "components", False)
    stdev = torch.as_tensor(stdev).flatten()
    if len(stdev) != len(vectors):
        raise InputError(f"{file} holds {len(vectors)} components and {len(stdev)} standard deviations")
    for i, (vector, sd) in enumerate(zip(vectors, stdev.tolist(), strict=True)):
        yield Direction(str(i), vector, file.name, space, None, sd)


def _vectors(value: Any, file: Path, name: str, layered: bool) -> Tensor:
    """An array as directions [K, D] or [K, L, D], float32. [D], [1, D], [K, 1, D] and [1, L, D] are what papers released."""
    if not isinstance(value, Tensor) or value.is_complex() or value.dtype == torch.bool or not value.numel():
        raise InputError(f"{file}: {name or 'its content'} is no array of numbers")
    value = value.detach().float()
    if value.dim() == 3 and value.shape[2] == 1:  # a column, as walks of BigGAN are
        value = value[:, :, 0]
    if value.dim() == 1:
        value = value[None]
    elif value.dim() == 2 and layered and len(value) > 1:
        value = value[None]
    elif value.dim() == 3 and value.shape[1] == 1:
        value = value[:, 0]
    if value.dim() not in (2, 3):
        raise InputError(f"{file}: {name or 'its array'} has the shape {list(value.shape)}, which is no direction's")
    if not bool(value.isfinite().all()) or not bool(value.flatten(1).norm(dim=1).gt(0).all()):
        raise InputError(f"{file}: {name or 'its array'} holds a direction of length zero, a NaN or an infinity")
    return value


def _indices(text: Any, file: Path) -> tuple[int, ...] | None:
    """Layers of '6-11,13': both ends are meant."""
    if text is None or not str(text):
        return None
    rows: list[int] = []
    for part in str(text).split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or "0").isdecimal():
            raise InputError(f"{file}: the layers '{text}' are not numbers and ranges")
        rows += range(int(first), int(last or first) + 1)
    return tuple(rows)


def write_directions(folder: Path, directions: list[Direction], kind: str, card: Mapping[str, Any], prefix: str) -> list[Path]:
    """Write directions and their card; gives back the files. kind: npy or pt (a file each), or safetensors.

    Arrays are [1, D], or [1, L, D] with a row per layer. Raises InputError where the folder cannot be written.
    """
    if kind not in ("npy", "pt", "safetensors"):
        raise InputError(f"unknown format '{kind}': npy, pt or safetensors")
    space = Space(card["space"])
    lines: list[dict[str, Any]] = []
    files: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if kind == "safetensors":
            from safetensors.torch import save_file

            files.append(folder / f"{prefix}.safetensors")
            save_file({one.name: one.values[None].contiguous() for one in directions}, files[0], {"card": json.dumps(dict(card))})
        for one in directions:
            if kind != "safetensors":
                file = folder / f"{prefix}_{_safe(one.name)}{'_w' if space == Space.W else ''}_boundary.{kind}"
                if file in files:
                    raise InputError(f"the directions' names are too alike for files: {file.name} is there twice")
                files.append(file)
                values = one.values[None].contiguous()
                np.save(file, values.numpy(), allow_pickle=False) if kind == "npy" else torch.save(values, file)
            key = {"key": one.name} if kind == "safetensors" else {}
            rows = None if one.rows is None else list(one.rows)
            lines.append({"name": one.name, "file": files[-1].name, **key, "rows": rows, "scale": one.scale})
        text = json.dumps({**card, "directions": lines}, indent=2) + "\n"
        (folder / CARD).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"nothing can be written to {folder} ({error.strerror or error}): choose another with --out") from error
    return [*files, folder / CARD]


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", name).strip("_") or "direction"
