"""The judge of digiface: MTCNN finds the face, its five landmarks say how the head stands, and where to look for colours."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.domains.base import Network
from bench.domains.digiface.colours import disc_means, lab
from bench.networks.mtcnn import MTCNN, Faces

NAMES = (
    "yaw", "pitch", "roll", "mouth_width", "face_score", "skin_lightness", "skin_warmth", "hair_lightness",
    "background_lightness",
)  # fmt: skip
# Probabilities this near to 0 and 1 are not told apart.
CERTAIN = 1e-6
# The discs that colours are read in. cheeks: on the line from an eye to the mouth corner below it, this share of the way; hair:
# above the middle of the eyes, by this many distances from eyes to mouth; corners: of the picture, upper left and upper right.
CHEEK, CHEEK_RADIUS = 0.55, 0.18
HAIR, HAIR_RADIUS = 1.0, 0.30
CORNERS, CORNER_RADIUS = ((0.06, 0.06), (0.94, 0.06)), 0.06


class DigifaceJudge(Network):
    """Reading 'attributes': NAMES, in the units of the domain's card. A picture without a face gets NaN throughout."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.readings, self.names = "digiface-mtcnn", frozenset({"attributes"}), NAMES
        self.mtcnn = MTCNN()

    def measure(self, images: Tensor) -> dict[str, Tensor]:
        """Scores [N, 9] of pictures [N, 3, R, R] in [-1, 1]."""
        faces = self.mtcnn.detect(images)
        return {"attributes": torch.cat([pose(faces), colours(images, faces.landmarks)], 1)}


def pose(faces: Faces) -> Tensor:
    """yaw, pitch, roll, mouth_width and face_score [N, 5] of detected faces; NaN where none was found.

    yaw: how far the nose stands to the right of the middle of the eyes; pitch: how far down the way from eyes to mouth it is;
    roll: degrees by which the right eye is lower than the left; mouth_width: all lengths in distances between the eyes;
    face_score: logit of the detection probability. Right and left are the picture's.
    """
    left, right, nose, mouth_left, mouth_right = faces.landmarks.unbind(1)
    eyes, mouth, between = (left + right) / 2, (mouth_left + mouth_right) / 2, right - left
    apart = between.norm(dim=1)
    # Along and across the line of the eyes, so that a head that leans does not look turned.
    along = between / apart[:, None]
    across = torch.stack([-along[:, 1], along[:, 0]], 1)
    yaw = ((nose - eyes) * along).sum(1) / apart
    pitch = ((nose - eyes) * across).sum(1) / ((mouth - eyes) * across).sum(1)
    roll = torch.rad2deg(torch.atan2(between[:, 1], between[:, 0]))
    width = (mouth_right - mouth_left).norm(dim=1) / apart
    score = torch.logit(faces.probability.double().clamp(CERTAIN, 1 - CERTAIN)).to(yaw)
    score = torch.where(faces.found, score, torch.nan)
    return torch.stack([yaw, pitch, roll, width, score], 1)


def colours(images: Tensor, landmarks: Tensor) -> Tensor:
    """skin_lightness, skin_warmth, hair_lightness, background_lightness [N, 4]: L*, b*, L*, L* of their discs; NaN if no face.

    images: [N, 3, R, R] in [-1, 1]; landmarks: [N, 5, 2] in fractions of the side.
    """
    left, right, _, mouth_left, mouth_right = landmarks.unbind(1)
    eyes, mouth = (left + right) / 2, (mouth_left + mouth_right) / 2
    apart, tall = (right - left).norm(dim=1), (mouth - eyes).norm(dim=1)
    cheeks = [torch.lerp(left, mouth_left, CHEEK), torch.lerp(right, mouth_right, CHEEK)]
    hair = eyes + (eyes - mouth) * HAIR
    corners = landmarks.new_tensor(CORNERS).expand(len(landmarks), 2, 2)
    centres = torch.cat([torch.stack([*cheeks, hair.clamp(0.02, 0.98)], 1), corners], 1)
    corner = torch.full_like(apart, CORNER_RADIUS)
    radii = torch.stack([CHEEK_RADIUS * apart, CHEEK_RADIUS * apart, HAIR_RADIUS * tall, corner, corner], 1)
    means = disc_means(lab(images.to(landmarks)), centres, radii)
    skin, background = means[:, :2].mean(1), means[:, 3:].mean(1)
    found = torch.stack([skin[:, 0], skin[:, 2], means[:, 2, 0], background[:, 0]], 1)
    return torch.where(landmarks.isfinite().all((1, 2))[:, None], found, torch.nan)
