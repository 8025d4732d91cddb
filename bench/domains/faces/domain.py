"""The domain `faces`: portraits, guided and judged by networks that others trained, from the user's files; none is on both sides.

Attribute networks give a label from a picture with the biases of their training data: they judge edits, not people.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bench.cards import Attribute, DomainInfo
from bench.domains.base import Domain, Network
from bench.errors import unknown
from bench.networks.windows import Window

# No roll: alignment takes it out of portraits, and the two pose networks do not agree on what is left.
ATTRIBUTES = (
    Attribute(
        "yaw", "continuous", -45, 45, ("person",), ("a face turned to the left", "a face turned to the right"),
        "head turn in degrees, positive to the viewer's right",
    ),
    Attribute(
        "pitch", "continuous", -30, 30, ("person",), ("a face looking down", "a face looking up"),
        "head nod in degrees, positive looks up",
    ),
    Attribute("age", "continuous", 0, 80, ("person",), ("the face of a young person", "the face of an old person"), "in years"),
    Attribute(
        "male", "binary", prompts=("the face of a woman", "the face of a man"), region=("person",),
        description="the label that a network trained on two gives",
    ),
    Attribute(
        "smile", "binary", prompts=("a face with a neutral expression", "a smiling face"), region=("person",),
        description="the expression `happy` against six others",
    ),
    Attribute(
        "surprise", "binary", prompts=("a face with a neutral expression", "a surprised face"), region=("person",),
        description="the expression `surprised` against six others",
    ),
)  # fmt: skip
IDENTITIES = ("mobileface", "facenet-vggface2")
GUIDE, JUDGE = "faces-guide-attributes", "faces-attributes"


def faces_info(identity: str = "mobileface") -> DomainInfo:
    """The card. identity: the network that judges identity; the other one of IDENTITIES guides."""
    if identity not in IDENTITIES:
        raise unknown("identity network", identity, IDENTITIES)
    other = next(name for name in IDENTITIES if name != identity)
    guides = {"attributes": GUIDE, "identity": other, "perceptual": "lpips-alex"}
    if identity == "mobileface":  # FaceNet looks for faces with MTCNN, which must not guide where FaceNet judges
        guides["features"] = "mtcnn-onet"
    judges = {
        "attributes": JUDGE,
        "identity": identity,
        "perceptual": "squeezenet-caffe",
        "features": "squeezenet-caffe",
        "segmentation": "selfie-segmentation",
    }
    return DomainInfo("faces", ATTRIBUTES, guides, judges, ("background", "person"))


class FacesDomain(Domain):
    """Portraits in a known framing.

    weights: the folder of the networks' files, by default the one that LATENTBENCH_WEIGHTS names. framing: 'ffhq' (aligned as
    FFHQ is) or 'tight' (the face fills the picture). identity: the judge of identity.
    """

    def __init__(
        self, weights: Path | None = None, framing: Literal["ffhq", "tight"] = "ffhq", identity: str = "mobileface"
    ) -> None:
        super().__init__()
        from bench.networks.faces.files import FRAMES

        if framing not in FRAMES:
            raise unknown("framing", framing, FRAMES)
        self.info = faces_info(identity)
        self.weights, self.frame = weights, FRAMES[framing]

    def load(self, name: str) -> Network:
        """The network of that name.

        Raises UnsupportedError where a file or a package is not at hand, InputError where a file is another one or the name is
        unknown.
        """
        if name not in LOADERS:
            raise unknown("network of faces", name, LOADERS)
        return LOADERS[name](self.weights, self.frame)


def _guide(weights: Path | None, frame: Window) -> Network:
    from bench.networks.composite import Composite
    from bench.networks.faces.face_api import load_age_gender, load_expression
    from bench.networks.faces.threeddfa import load_pose

    parts = [
        (load_pose(weights, frame), {"yaw": "yaw", "pitch": "pitch"}),
        (load_age_gender(weights, frame), {"age": "age", "male": "male"}),
        (load_expression(weights, frame), {"happy": "smile", "surprised": "surprise"}),
    ]
    return Composite(GUIDE, parts)


def _judge(weights: Path | None, frame: Window) -> Network:
    from bench.networks.composite import Composite
    from bench.networks.faces.mini_xception import load_mini_xception
    from bench.networks.faces.onnx import load_fsanet, load_ssrnet

    parts = [
        (load_fsanet(weights, frame), {"yaw": "yaw", "pitch": "pitch"}),
        (load_ssrnet(weights, frame), {"age": "age"}),
        (load_mini_xception("gender", weights, frame), {"male": "male"}),
        (load_mini_xception("expression", weights, frame), {"happy": "smile", "surprise": "surprise"}),
    ]
    return Composite(JUDGE, parts)


def _mobileface(weights: Path | None, frame: Window) -> Network:
    from bench.networks.faces.onnx import load_mobileface

    return load_mobileface(weights, frame)


def _facenet(weights: Path | None, frame: Window) -> Network:
    from bench.networks.facenet import load_facenet

    return load_facenet("vggface2", align=True)


def _lpips(weights: Path | None, frame: Window) -> Network:
    from bench.networks.lpips_ import load_lpips

    return load_lpips("alex")


def _onet(weights: Path | None, frame: Window) -> Network:
    from bench.networks.mtcnn import MTCNNFeatures
    from bench.networks.windows import placed

    # What the detector finds in FFHQ's framing, as far as it lies in this one.
    return MTCNNFeatures(placed((0.22, 0.2, 0.78, 0.9), frame))


def _squeezenet(weights: Path | None, frame: Window) -> Network:
    from bench.networks.faces.squeezenet import load_squeezenet

    return load_squeezenet(weights)


def _selfie(weights: Path | None, frame: Window) -> Network:
    from bench.networks.faces.onnx import load_selfie

    return load_selfie(weights)


LOADERS: dict[str, Callable[[Path | None, Window], Network]] = {
    GUIDE: _guide,
    JUDGE: _judge,
    "mobileface": _mobileface,
    "facenet-vggface2": _facenet,
    "lpips-alex": _lpips,
    "mtcnn-onet": _onet,
    "squeezenet-caffe": _squeezenet,
    "selfie-segmentation": _selfie,
}


def faces() -> FacesDomain:
    """The domain of the registry."""
    return FacesDomain()
