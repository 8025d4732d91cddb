"""CLIPs by name or from files of the user: which architecture, which preprocessing, and the weights, read as data.

Nothing is downloaded here. What a file does not tell (the activation, how pictures were prepared) comes from open_clip's own
table by architecture and tag, or from the open_clip_config.json that hubs keep beside the weights.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import pydantic
import torch
from torch import Tensor, nn

from bench.checkpoints.parts import find_parts
from bench.checkpoints.reading import file_format, one_line, single
from bench.checkpoints.torch_files import load_torch_legacy, load_torch_zip
from bench.errors import InputError, UnsupportedError, unknown
from bench.fetch import cached, entry
from bench.generators.weights import load_safetensors
from bench.networks.clip_ import Clip, Preprocess, import_open_clip
from bench.suite import NAME

# The catalogue's names, with open_clip's architecture and tag.
CATALOGUED = {
    "clip-vit-b-32": ("ViT-B-32", "openai"),
    "clip-vit-b-16": ("ViT-B-16", "openai"),
    "clip-rn50": ("RN50", "openai"),
    "open-clip-vit-b-32-laion2b": ("ViT-B-32", "laion2b_s34b_b79k"),
    "open-clip-vit-b-16-laion2b": ("ViT-B-16", "laion2b_s34b_b88k"),
}
BESIDE = "open_clip_config.json"
VOCABULARY = 49408  # of CLIP's byte-pair tokenizer, which is the one that comes with open_clip
# What files hold beside the weights: OpenAI's settings, and what is the same in every model.
SPARE = re.compile(r"input_resolution|context_length|vocab_size|(.*\.)?attn_mask")

Word = Annotated[str, pydantic.Field(min_length=1)]


class ClipChoice(pydantic.BaseModel):
    """A CLIP. In YAML: a catalogued name, or {weights: FILE, architecture: ViT-B-16, pretrained: TAG, name: NAME}.

    architecture, pretrained: open_clip's names of them; without an architecture an open_clip_config.json lies beside the weights.
    Without `pretrained` pictures are prepared as OpenAI's are, and the activation is the architecture's. name: in records, by
    default clip-ARCHITECTURE-TAG in lower case.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, pydantic.Field(pattern=NAME)] | None = None
    weights: Word | None = None
    architecture: Word | None = None
    pretrained: Word | None = None

    @pydantic.model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @pydantic.model_validator(mode="after")
    def _fits(self) -> ClipChoice:
        if self.weights is None:
            if self.name is None or self.architecture or self.pretrained:
                raise ValueError("a CLIP is a catalogued name, or {weights: FILE, architecture: NAME, pretrained: TAG}")
            if self.name not in CATALOGUED:
                raise ValueError(str(unknown("CLIP", self.name, CATALOGUED)))
        elif self.architecture is None and self.pretrained is not None:
            raise ValueError(f"the tag {self.pretrained} needs its architecture")
        elif self.architecture is None and self.name is None:
            raise ValueError(f"without an architecture the file {self.weights} needs a name")
        elif self.name in CATALOGUED:
            raise ValueError(f"{self.name} is a catalogued CLIP: give the file {self.weights} another name")
        return self

    @property
    def label(self) -> str:
        """The name in records."""
        if self.name is not None:
            return self.name
        said = f"clip-{self.architecture}-{self.pretrained or Path(str(self.weights)).stem}"
        return re.sub(r"[^a-z0-9._-]+", "-", said.lower())

    @property
    def kind(self) -> tuple[str, str] | None:
        """Architecture and tag, None where they are not known. The activation goes with the tag, whatever it is written as."""
        if self.weights is None:
            return CATALOGUED[str(self.name)]
        known = self.architecture and self.pretrained
        return (str(self.architecture).removesuffix("-quickgelu"), str(self.pretrained)) if known else None


@dataclass(frozen=True)
class Design:
    """What a model is made of: open_clip's arguments for it, and how it wants its pictures (what is given of that)."""

    name: str
    model: dict[str, Any]
    preprocess: Mapping[str, Any]


def load_clip(choice: ClipChoice | str, folder: Path = Path()) -> Clip:
    """A CLIP with its weights. folder: what relative paths are seen from.

    OpenAI's files are TorchScript archives, and loading one runs what it holds: they are read only from the cache, where their
    hash is checked. Raises UnsupportedError where the file or open_clip is not at hand, InputError where it is another file.
    """
    choice = ClipChoice(name=choice) if isinstance(choice, str) else choice
    if choice.weights is None:
        path = cached(choice.label)
        script = entry(choice.label).format == "torchscript"
        design = named(*CATALOGUED[choice.label])
    else:
        path, script = folder / Path(choice.weights).expanduser(), False
        if not path.is_file():
            raise UnsupportedError(f"the weights of {choice.label} are not at hand: there is no file {path}")
        design = beside(path) if choice.architecture is None else named(choice.architecture, choice.pretrained)
    model = build(design)
    try:
        fill(model, _run(path) if script else read_state(path))
    except InputError as error:
        raise InputError(f"{path} does not hold the weights of {design.name}: {one_line(str(error))}") from error
    text = design.model["text_cfg"]
    reader = tokenizer(text.get("context_length", 77), text.get("tokenizer_kwargs", {}).get("clean", "lower"))
    return Clip(choice.label, model, reader, _preprocess(design, model), {"model": design.model})


# Designs.


def named(architecture: str, tag: str | None = None) -> Design:
    """The design that open_clip has under an architecture, as the weights of a tag were trained."""
    open_clip = import_open_clip()
    if architecture not in open_clip.list_models():
        raise unknown("architecture of open_clip", architecture, open_clip.list_models())
    model = deepcopy(open_clip.get_model_config(architecture))
    trained = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
    if tag and not trained:
        raise unknown(f"tag of {architecture}", tag, open_clip.list_pretrained_tags_by_model(architecture))
    if trained.get("quick_gelu"):
        model["quick_gelu"] = True
    return Design(architecture, model, trained)


def beside(path: Path) -> Design:
    """The design of the open_clip_config.json beside a file of weights."""
    card = path.with_name(BESIDE)
    try:
        said = json.loads(card.read_text(encoding="utf-8"))
        design = Design(str(card), dict(said["model_cfg"]), dict(said.get("preprocess_cfg") or {}))
        if not (isinstance(design.model["vision_cfg"], dict) and isinstance(design.model["text_cfg"], dict)):
            raise TypeError("vision_cfg and text_cfg are mappings")
    except OSError as error:
        raise InputError(f"{path}: say its architecture, or put its {BESIDE} beside it ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{card} is no configuration of open_clip ({type(error).__name__}: {error})") from error
    return design


def build(design: Design) -> nn.Module:
    """The model, its weights still to be filled in. Raises InputError where it would ask a hub, or is no CLIP."""
    open_clip = import_open_clip()
    model = deepcopy(design.model)
    vision, text = model["vision_cfg"], model["text_cfg"]
    foreign = {"hf_model_name", "hf_tokenizer_name"} & text.keys() or text.get("vocab_size", VOCABULARY) != VOCABULARY
    if foreign or "siglip" in design.name.lower() or ":" in str(vision.get("timm_model_name", "")):
        raise InputError(f"{design.name} is read with parts of a hub: only CLIPs with CLIP's own tokenizer can be used")
    if "multimodal_cfg" in model:
        raise InputError(f"{design.name} also writes texts: only CLIPs, which compare, can be used")
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False
    kind = open_clip.CustomTextCLIP if model.pop("custom_text", False) else open_clip.CLIP
    try:
        with torch.random.fork_rng(devices=[]):  # first weights are drawn, and nobody's random numbers should depend on that
            return kind(**model)
    except (TypeError, ValueError, RuntimeError, KeyError, AssertionError, ArithmeticError) as error:
        raise InputError(f"{design.name} makes no model of open_clip: {one_line(str(error), 160)}") from error


@cache
def tokenizer(context: int, clean: str) -> Any:
    """open_clip's byte-pair tokenizer, which takes half a second to make. clean: how it reads white space and capitals."""
    return import_open_clip().SimpleTokenizer(context_length=context, clean=clean)


def _preprocess(design: Design, model: nn.Module) -> Preprocess:
    """Pictures are square here, so that it makes no difference which side is resized and what is cut off."""
    said = {key: value for key, value in design.preprocess.items() if value is not None}
    try:
        size = said.get("size", model.visual.image_size)
        sides = {int(side) for side in (size if isinstance(size, (list, tuple)) else [size])}
        mean, std = (tuple(float(v) for v in said.get(key, getattr(Preprocess, key))) for key in ("mean", "std"))
        fits = len(sides) == 1 and len(mean) == len(std) == 3 and min(std) > 0
    except (TypeError, ValueError):
        fits = False
    interpolation = said.get("interpolation", "bicubic")
    if not fits or interpolation not in ("bicubic", "bilinear"):
        raise InputError(f"{design.name} wants its pictures as nobody else: a square side, three means and deviations, bicubic")
    return Preprocess(sides.pop(), mean, std, interpolation)


# Weights.


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a CLIP in a file of torch.save or safetensors, float32. Raises InputError, without the file's name."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                own = ", ".join(name for name, (_, tag) in CATALOGUED.items() if tag == "openai")
                raise InputError(
                    "a TorchScript archive, which is a program: files of OpenAI are read by their catalogued names, which check "
                    f"their hash ({own}; latentbench fetch NAME --from FILE)"
                )
    kind = file_format(path)
    if kind == "stylegan snapshot":
        raise InputError("a pickle, but none that torch.save wrote")
    load = {"safetensors": load_safetensors, "torch zip": load_torch_zip, "torch legacy": load_torch_legacy}[kind]
    parts = [part for part in find_parts(load(path)) if part.within is None and "logit_scale" in part.names]
    if not parts:
        raise InputError("it holds no CLIP in open_clip's form: none of its tensors is logit_scale")
    state = parts[0].load()
    return _checked(state) if kind != "safetensors" else state  # those were looked at when they were read


def _checked(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: single(name, value) for name, value in state.items() if not SPARE.fullmatch(name)}


def _run(path: Path) -> dict[str, Tensor]:
    """The tensors of a TorchScript archive whose hash was checked."""
    try:
        state = torch.jit.load(str(path), map_location="cpu").state_dict()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(" ".join(str(error).split())[:160]) from error
    return _checked(state)


def fill(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a model its weights. Raises InputError, with what is missing, left over or of another shape."""
    own = model.state_dict()
    given = {name: value for name, value in state.items() if not SPARE.fullmatch(name)}
    if "text.positional_embedding" in own and "positional_embedding" in given:  # written before the text side had a name
        given = import_open_clip().model.convert_to_custom_text_state_dict(given)
    if "logit_scale" in given and given["logit_scale"].numel() == 1:
        given["logit_scale"] = given["logit_scale"].reshape(own["logit_scale"].shape)
    shapes = [name for name in own.keys() & given.keys() if own[name].shape != given[name].shape]
    problems = {"it lacks": own.keys() - given.keys(), "it also has": given.keys() - own.keys(), "of another shape:": shapes}
    said = [f"{what} {_few(sorted(names))}" for what, names in problems.items() if names]
    if said:
        raise InputError("; ".join(said))
    model.load_state_dict(given)


def _few(names: list[str], most: int = 3) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
