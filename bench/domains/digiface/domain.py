"""Domain `digiface`: synthetic portraits as in DigiFace-1M (Bae et al. 2023), judged by what registry packages ship.

Identity and perceptual distance come from the field's own networks where their weights were fetched; where not, the headlines
that need them are skipped with that reason.
"""

from __future__ import annotations

from bench.cards import Attribute, DomainInfo
from bench.domains.base import Domain, Network
from bench.errors import InputError

ATTRIBUTES = (
    Attribute("yaw", "continuous", -1.0, 1.0, description="nose to the right of the middle of the eyes, in eye distances"),
    Attribute("pitch", "continuous", 0.0, 1.0, description="how far down the way from eyes to mouth the nose is"),
    Attribute("roll", "continuous", -45.0, 45.0, description="degrees by which the right eye is lower than the left"),
    Attribute("mouth_width", "continuous", 0.0, 2.0, description="distance of the mouth corners, in eye distances"),
    Attribute("face_score", "continuous", -14.0, 14.0, description="logit of the detection probability"),
    Attribute("skin_lightness", "continuous", 0.0, 100.0, description="L* of the cheeks"),
    Attribute("skin_warmth", "continuous", -100.0, 100.0, description="b* of the cheeks"),
    Attribute("hair_lightness", "continuous", 0.0, 100.0, description="L* above the forehead"),
    Attribute("background_lightness", "continuous", 0.0, 100.0, description="L* of the upper corners of the picture"),
)
GUIDES = {"attributes": "digiface-guide"}
JUDGES = {
    "attributes": "digiface-mtcnn",
    "features": "mtcnn-onet",
    "identity": "facenet-vggface2",
    "perceptual": "lpips-alex",
}


class DigifaceDomain(Domain):
    """Judges: MTCNN (attributes, features), facenet (identity), LPIPS (perceptual). Guide: see bench.domains.digiface.guide."""

    info = DomainInfo("digiface", ATTRIBUTES, GUIDES, JUDGES)

    def load(self, name: str) -> Network:
        """The network of that name. UnsupportedError where its weights were not fetched; InputError for another name."""
        if name == "digiface-guide":
            from bench.domains.digiface.guide import DigifaceGuide
            from bench.domains.heads.domain import heads

            return DigifaceGuide(heads().network("heads-guide-attributes"))
        if name == "digiface-mtcnn":
            from bench.domains.digiface.judge import DigifaceJudge

            return DigifaceJudge()
        if name == "mtcnn-onet":
            from bench.networks.mtcnn import MTCNNFeatures

            return MTCNNFeatures()
        if name == "facenet-vggface2":
            from bench.networks.facenet import load_facenet

            return load_facenet("vggface2")
        if name == "lpips-alex":
            from bench.networks.lpips_ import load_lpips

            return load_lpips("alex")
        raise InputError(f"domain digiface has no network '{name}'")


def digiface() -> DigifaceDomain:
    """The domain of the registry."""
    return DigifaceDomain()
