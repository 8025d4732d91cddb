"""Domain digiface: colours against published values, pose of constructed landmarks, and that guide and judge are two things."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.domains.digiface import guide as guide_module
from bench.domains.digiface.colours import disc_means, lab, luma
from bench.domains.digiface.domain import digiface
from bench.domains.digiface.guide import DigifaceGuide, detail_centre
from bench.domains.digiface.judge import colours, pose
from bench.domains.heads.domain import heads
from bench.errors import InputError
from bench.networks.mtcnn import Faces

# A face looking straight ahead, in fractions of the side.
FRONT = torch.tensor([[0.35, 0.48], [0.65, 0.48], [0.5, 0.66], [0.38, 0.84], [0.62, 0.84]])


def faces(landmarks, probability=0.99):
    landmarks = landmarks[None] if landmarks.dim() == 2 else landmarks
    return Faces(landmarks, torch.zeros(len(landmarks), 4), torch.full((len(landmarks),), probability))


def rotated(points, degrees):
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (points - 0.5) @ turn.T + 0.5


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((1, 1, 1), (100.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((0.5, 0.5, 0.5), (53.39, 0.0, 0.0)),
    ],
)
def test_lab_of_known_colours(rgb, expected):
    """Values of the sRGB primaries under D65 as colour science tables give them."""
    image = torch.tensor(rgb, dtype=torch.float64).view(1, 3, 1, 1) * 2 - 1
    assert lab(image).flatten().tolist() == pytest.approx(expected, abs=0.03)


def test_a_disc_mean_is_the_mean_under_the_disc():
    maps = torch.rand(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    centres, radii = torch.tensor([[[0.5, 0.25]], [[0.5, 0.25]]]).double(), torch.full((2, 1), 0.125).double()
    y, x = np.mgrid[0:64, 0:64] + 0.5
    inside = np.clip((0.125 - np.hypot(x / 64 - 0.5, y / 64 - 0.25)) * 64 + 0.5, 0, 1)
    expected = (maps.numpy() * inside).sum((2, 3)) / inside.sum()
    assert np.allclose(disc_means(maps, centres, radii)[:, 0].numpy(), expected, rtol=1e-12)
    assert math.pi * 8**2 == pytest.approx(inside.sum(), rel=0.02)


def test_no_place_has_no_mean():
    maps = torch.rand(1, 1, 8, 8)
    assert disc_means(maps, torch.full((1, 1, 2), float("nan")), torch.ones(1, 1)).isnan().all()
    assert disc_means(maps, torch.full((1, 1, 2), 5.0), torch.full((1, 1), 0.1)).isnan().all()


def test_pose_of_a_straight_face():
    yaw, pitch, roll, width, score = pose(faces(FRONT))[0].tolist()
    assert yaw == pytest.approx(0, abs=1e-6)
    assert pitch == pytest.approx(0.5, abs=1e-6)
    assert roll == pytest.approx(0, abs=1e-5)
    assert width == pytest.approx(0.24 / 0.30, rel=1e-5)
    assert score == pytest.approx(math.log(99), rel=1e-5)


@settings(deadline=None, max_examples=30)
@given(degrees=st.floats(-40, 40), shift=st.floats(-0.1, 0.1), nose=st.floats(-0.1, 0.1), size=st.floats(0.5, 1.5))
def test_only_roll_feels_a_leaning_head(degrees, shift, nose, size):
    face = FRONT + torch.tensor([0.0, 0.0])
    face[2, 0] += nose
    upright = pose(faces(face))[0]
    moved = pose(faces((rotated(face, degrees) - 0.5) * size + 0.5 + shift))[0]
    assert moved[2].item() == pytest.approx(degrees, abs=1e-3)
    others = [0, 1, 3, 4]
    assert torch.allclose(moved[others], upright[others], atol=1e-4)
    assert upright[0].item() == pytest.approx(nose / 0.30, abs=1e-5)


def test_a_picture_without_a_face_has_no_scores():
    nowhere = torch.full((1, 5, 2), float("nan"))
    assert pose(Faces(nowhere, nowhere[:, :4, 0], torch.zeros(1))).isnan().all()
    assert colours(torch.zeros(1, 3, 64, 64), nowhere).isnan().all()


def test_colours_are_read_where_the_face_is():
    """Paint the four places of a straight face and of one that stands elsewhere: each score reads its own place."""
    for shift in (0.0, 0.08):
        image = torch.full((1, 3, 64, 64), -0.2)
        image[:, :, :10, :10] = image[:, :, :10, -10:] = 1.0
        landmarks = FRONT[None] + torch.tensor([shift, 0.0])
        x = slice(round((0.3 + shift) * 64), round((0.7 + shift) * 64))
        image[:, :, :16, x] = -1.0
        image[:, :, 36:52, x] = torch.tensor([1.0, 0.5, 0.0]).view(3, 1, 1)
        skin, warmth, hair, background = colours(image, landmarks)[0].tolist()
        assert hair == pytest.approx(0, abs=1)
        assert background == pytest.approx(100, abs=1)
        expected = lab(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)).flatten().tolist()
        assert (skin, warmth) == pytest.approx((expected[0], expected[2]), abs=1)


def test_detail_centre_follows_the_detail():
    image = torch.zeros(3, 64, 64)
    for row, column in enumerate((20, 32, 44)):
        image[row, 34:50, column] = 1.0
    centres = detail_centre(image)
    assert torch.allclose(centres[2] - centres[0], torch.tensor(24 / 64), atol=1e-3)
    assert centres[0] < centres[1] < centres[2]


def test_guide_yaw_turns_with_the_mirror_and_colours_do_not():
    guide = DigifaceGuide(heads().network("heads-guide-attributes"))
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    yaw, mirrored = guide.heads_yaw(images), guide.heads_yaw(images.flip(-1))
    assert torch.allclose(yaw, -mirrored, atol=1e-3)
    plain, flipped = guide.measure(images)["attributes"], guide.measure(images.flip(-1))["attributes"]
    assert torch.allclose(plain[:, 1:], flipped[:, 1:], atol=1e-5)
    assert plain.shape == (3, len(guide_module.NAMES))
    assert luma(torch.ones(1, 3, 2, 2)).flatten().tolist() == pytest.approx([1.0] * 4)


def test_guide_and_judge_share_no_network():
    domain = digiface()
    guide, judges = domain.guide("attributes"), [domain.judge("attributes"), domain.judge("features")]
    own = {tensor.detach().numpy().tobytes() for tensor in guide.parameters()}
    for judge in judges:
        assert not own & {tensor.detach().numpy().tobytes() for tensor in judge.parameters()}
    assert set(guide.names) <= set(domain.info.names) == set(judges[0].names)
    assert not set(domain.info.guides.values()) & set(domain.info.judges.values())


def test_the_judge_finds_no_face_in_noise():
    judge = digiface().judge("attributes")
    noise = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1
    assert judge.measure(noise)["attributes"].isnan().all()


def test_an_unknown_network_is_refused():
    with pytest.raises(InputError, match="no network 'digiface-other'"):
        digiface().network("digiface-other")
