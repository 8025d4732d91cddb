"""CLIPs of open_clip in small, with random weights: the model itself, its own preprocessing and tokenizer, and files of it."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from bench.errors import UnsupportedError
from bench.networks.clip_ import import_open_clip

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VISION = {
    "vit": {"layers": 1, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 32},
    "resnet": {"layers": [1, 1, 1, 1], "width": 8, "patch_size": None, "image_size": 64},
}
PREPROCESS = {
    "vit": {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711], "interpolation": "bicubic",
            "resize_mode": "shortest"},
    "resnet": {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.2], "interpolation": "bilinear", "resize_mode": "squash"},
}  # fmt: skip


def open_clip_or_skip():
    try:
        return import_open_clip()
    except UnsupportedError as error:
        pytest.skip(str(error))


def write(folder, kind="vit", seed=0, name="tiny.safetensors", edit=lambda state: state, **config):
    """A file of weights with its open_clip_config.json. edit: of the state dict, before it is written."""
    open_clip = open_clip_or_skip()
    folder.mkdir(parents=True, exist_ok=True)
    model_cfg = {"embed_dim": 16, "vision_cfg": VISION[kind], "text_cfg": TEXT, **config}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model_cfg, "preprocess_cfg": PREPROCESS[kind]}))
    torch.manual_seed(seed)
    model = (open_clip.CustomTextCLIP if model_cfg.pop("custom_text", False) else open_clip.CLIP)(**model_cfg)
    with torch.no_grad():
        for one in model.parameters():  # as they are drawn, towers start nearly blind and deaf
            one.add_(0.2 * torch.randn_like(one))
    state = edit({key: value.detach().clone() for key, value in model.state_dict().items()})
    path = folder / name
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


def official(folder):
    """open_clip's own model, preprocessing and tokenizer of such a folder."""
    open_clip = open_clip_or_skip()
    place = f"local-dir:{folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(place)
    return model.eval(), preprocess, open_clip.get_tokenizer(place)
