"""MTCNN on pictures: against facenet-pytorch's own cascade, against a known pose, and one picture at a time against a batch."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.domains.heads.factors import NAMES, sample_factors
from bench.domains.heads.renderer import render
from bench.errors import InputError
from bench.networks.mtcnn import MTCNN, MTCNNFeatures, area, cut, regressed, squared, suppress, suppress_each
from bench.torchvision_shim import ensure_torchvision, nms


@pytest.fixture(scope="module")
def factors():
    return sample_factors(torch.arange(24), seed=0)


@pytest.fixture(scope="module")
def pictures(factors):
    return render(factors, size=128)[0]


@pytest.fixture(scope="module")
def faces(pictures):
    return MTCNN().detect(pictures)


def published(images, size, smallest):
    """facenet-pytorch's own detection, one picture at a time: landmarks, box, probability as `Faces` has them."""
    ensure_torchvision()
    from facenet_pytorch import MTCNN as Published

    net = Published(min_face_size=smallest, select_largest=True)
    big = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    pixels = ((big + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    points, boxes, chances = np.full((len(images), 5, 2), np.nan), np.full((len(images), 4), np.nan), np.zeros(len(images))
    for i in range(len(images)):
        box, chance, point = net.detect(pixels[i : i + 1], landmarks=True)
        if box[0] is not None:
            points[i], boxes[i], chances[i] = point[0][0] / size, box[0][0] / size, chance[0][0]
    return points, boxes, chances


@pytest.mark.parametrize("size, smallest", [(128, 40), (256, 80)])
def test_it_finds_what_the_package_finds(pictures, size, smallest):
    some = pictures[:8]
    points, boxes, chances = published(some, size, smallest)
    ours = MTCNN(size, smallest).detect(some)
    assert 0 < ours.found.sum() < len(some)  # both kinds are compared
    np.testing.assert_allclose(ours.landmarks, points, atol=2e-6)
    np.testing.assert_allclose(ours.box, boxes, atol=2e-6)
    np.testing.assert_allclose(ours.probability, chances, atol=2e-6)


def test_landmarks_turn_with_the_head(factors, faces):
    ok = faces.found
    assert ok.float().mean() > 0.8
    x, y = faces.landmarks[ok].unbind(2)
    assert ((x[:, 0] < x[:, 1]) & (y[:, 0] < y[:, 2]) & (y[:, 2] < y[:, 3])).float().mean() > 0.9  # eyes, nose, mouth
    proxy = (x[:, 2] - (x[:, 0] + x[:, 1]) / 2) / (x[:, 1] - x[:, 0])
    yaw = factors[ok, NAMES.index("yaw")]
    assert abs(torch.corrcoef(torch.stack([proxy, yaw]))[0, 1]) > 0.75


def test_a_row_does_not_depend_on_its_batch(pictures, faces):
    network = MTCNN()
    some = [0, 2, 3, 9, 12]
    alone = [network.detect(pictures[i : i + 1]) for i in some]
    np.testing.assert_allclose(torch.cat([one.landmarks for one in alone]), faces.landmarks[some], atol=2e-6)
    np.testing.assert_allclose(torch.cat([one.probability for one in alone]), faces.probability[some], atol=2e-6)
    turned = network.detect(pictures[some].flip(0))
    np.testing.assert_allclose(turned.box.flip(0), faces.box[some], atol=2e-6)


def test_no_face_and_no_number_are_no_face():
    noise = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    noise[1] = float("nan")
    found = MTCNN().detect(noise)
    assert found.landmarks.isnan().all() and found.box.isnan().all() and (found.probability == 0).all()
    assert found.landmarks.shape == (3, 5, 2) and not found.found.any()
    assert MTCNN().detect(noise[:0]).box.shape == (0, 4)


def test_wrong_pictures_and_wrong_sizes_say_so():
    with pytest.raises(InputError, match=r"\[N, 3, R, R\]"):
        MTCNN().detect(torch.zeros(2, 1, 64, 64))
    with pytest.raises(InputError, match="both or neither"):
        MTCNN(size=128)
    with pytest.raises(InputError, match="at least 12"):
        MTCNN(128, 8)
    with pytest.raises(InputError, match="crop"):
        MTCNNFeatures((0.5, 0, 0.4, 1))


@pytest.mark.parametrize("seed", range(4))
def test_suppression_agrees_with_the_one_of_torchvision(seed):
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 40, (50, 2)).astype(np.float32)
    boxes = np.concatenate([corner, corner + random.uniform(5, 30, (50, 2)).astype(np.float32)], 1)
    scores = random.permutation(50).astype(np.float32)
    kept = suppress(boxes, scores, 0.5)
    assert kept.tolist() == nms(torch.from_numpy(boxes), torch.from_numpy(scores), 0.5).tolist()
    owner = np.arange(50) % 2
    both = suppress_each(owner, boxes, scores, 0.5)
    assert both.tolist() == [i for n in (0, 1) for i in np.flatnonzero(owner == n)[suppress(boxes[n::2], scores[n::2], 0.5)]]


def test_a_box_within_a_box_falls_only_by_the_smaller_area():
    boxes = np.array([[0, 0, 100, 100], [40, 40, 60, 60]], np.float32)
    assert suppress(boxes, np.array([0.9, 0.8]), 0.7).tolist() == [0, 1]
    assert suppress(boxes, np.array([0.9, 0.8]), 0.7, smaller=True).tolist() == [0]


def test_boxes_outside_the_frame_are_left_out_and_others_are_cut_at_it():
    pixels = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 3, 4, 4)
    owner, boxes, crops = cut(pixels, np.zeros(2, int), np.array([[-9, 1, -5, 4], [0, 0, 2.9, 2]], np.float32), 2)
    assert len(owner) == len(boxes) == 1 and crops.shape == (1, 3, 2, 2)
    torch.testing.assert_close(crops[0, 0] * 128 + 127.5, torch.tensor([[0.0, 1], [4, 5]]))  # pixels 1 to 2 of both axes


def test_box_arithmetic():
    box = np.array([[0.0, 0, 10, 20]])
    assert area(box)[0] == 200 and area(box, 1)[0] == 231
    assert squared(box).tolist() == [[-5, 0, 15, 20]]
    assert regressed(box, np.array([[0.1, 0, -0.1, 0.5]]), one=0).tolist() == [[1, 0, 9, 30]]


def test_features_are_those_the_published_network_reads_its_answers_from(pictures):
    network = MTCNNFeatures((0, 0, 1, 1))
    small = F.interpolate(pictures[:3], size=(48, 48), mode="bilinear", antialias=True)
    features = network.measure(small)["features"]
    assert features.shape == (3, 256) and features.dtype == torch.float32
    shift, points, _ = network.onet(((small + 1) * 127.5 - 127.5) / 128)
    torch.testing.assert_close(network.onet.dense6_2(features), shift, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network.onet.dense6_3(features), points, atol=1e-5, rtol=1e-5)


def test_features_differ_between_pictures_have_gradients_and_know_their_crop(pictures):
    network = MTCNNFeatures()
    images = pictures[:3].clone().requires_grad_()
    features = network.measure(images)["features"]
    features.square().sum().backward()
    assert images.grad.abs().sum((1, 2, 3)).min() > 0
    assert (features[0] - features[1]).norm() > 0.1
    assert network.fingerprint == MTCNNFeatures().fingerprint != MTCNNFeatures((0, 0, 1, 1)).fingerprint
    assert not any(one.requires_grad for one in network.parameters())
