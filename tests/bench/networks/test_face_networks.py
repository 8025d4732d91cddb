"""The small face networks: inputs, shapes and layers on random weights; what they read where their files are at hand."""

import hashlib
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.domains.heads.factors import NAMES, sample_factors
from bench.domains.heads.renderer import render
from bench.errors import InputError, UnsupportedError
from bench.networks.composite import Composite
from bench.networks.faces import face_api, files, mini_xception, onnx, squeezenet, threeddfa
from bench.networks.faces.layers import log_odds, max_pool_same, same_padded

FOLDER = os.environ.get(files.FOLDER)
needs_files = pytest.mark.skipif(not FOLDER, reason=f"{files.FOLDER} names no folder of weights")


@pytest.fixture(scope="module")
def pictures():
    return render(sample_factors(torch.arange(6), seed=0), size=128)[0]


def random_weights(shapes):
    random = np.random.default_rng(0)
    scaled = {name: random.normal(size=shape) / np.sqrt(max(np.prod(shape[:-1]), 1)) for name, shape in shapes.items()}
    return {name: np.abs(value) if "variance" in name else value for name, value in scaled.items()}


def separable(name, inputs, outputs):
    shapes = {"depthwise_filter": (3, 3, inputs, 1), "pointwise_filter": (1, 1, inputs, outputs), "bias": (outputs,)}
    return {f"{name}/{part}": shape for part, shape in shapes.items()}


def conv(name, kernel, inputs, outputs):
    return {f"{name}/filters": (kernel, kernel, inputs, outputs), f"{name}/bias": (outputs,)}


def dense_weights(blocks, layers, outputs):
    widths = (3, 32, 64, 128, 256)
    shapes = {}
    for b in range(blocks):
        shapes |= conv("dense0/conv0", 3, 3, 32) if b == 0 else separable(f"dense{b}/conv0", widths[b], widths[b + 1])
        for i in range(1, layers):
            shapes |= separable(f"dense{b}/conv{i}", widths[b + 1], widths[b + 1])
    return random_weights(shapes | {"fc/weights": (widths[blocks], outputs), "fc/bias": (outputs,)})


def age_gender_weights():
    shapes = conv("entry_flow/conv_in", 3, 3, 32)
    for name, inputs, outputs in (("entry_flow/reduction_block_0", 32, 64), ("entry_flow/reduction_block_1", 64, 128)):
        shapes |= separable(f"{name}/separable_conv0", inputs, outputs) | separable(f"{name}/separable_conv1", outputs, outputs)
        shapes |= conv(f"{name}/expansion_conv", 1, inputs, outputs)
    for b in range(2):
        for i in range(3):
            shapes |= separable(f"middle_flow/main_block_{b}/separable_conv{i}", 128, 128)
    shapes |= separable("exit_flow/reduction_block/separable_conv0", 128, 256)
    shapes |= separable("exit_flow/reduction_block/separable_conv1", 256, 256)
    shapes |= conv("exit_flow/reduction_block/expansion_conv", 1, 128, 256) | separable("exit_flow/separable_conv", 256, 512)
    for name, outputs in (("age", 1), ("gender", 2)):
        shapes |= {f"fc/{name}/weights": (512, outputs), f"fc/{name}/bias": (outputs,)}
    return random_weights(shapes)


def xception_weights(classes, suffix):
    def norm(i, width):
        return {
            f"batch_normalization_{i}/batch_normalization_{i}{suffix}/{part}:0": (width,)
            for part in ("beta", "gamma", "moving_mean", "moving_variance")
        }

    shapes = norm(1, 8) | norm(2, 8)
    convs = [(3, 1, 8), (3, 8, 8), (1, 8, 16), (1, 16, 32), (1, 32, 64), (1, 64, 128), (3, 128, classes)]
    for i, (kernel, inputs, outputs) in enumerate(convs, 1):
        shapes[f"conv2d_{i}/conv2d_{i}{suffix}/kernel:0"] = (kernel, kernel, inputs, outputs)
    shapes[f"conv2d_7/conv2d_7{suffix}/bias:0"] = (classes,)
    for k, (inputs, outputs) in enumerate([(8, 16), (16, 32), (32, 64), (64, 128)]):
        for j, width in ((1, inputs), (2, outputs)):
            name = f"separable_conv2d_{2 * k + j}/separable_conv2d_{2 * k + j}{suffix}"
            shapes |= {f"{name}/depthwise_kernel:0": (3, 3, width, 1), f"{name}/pointwise_kernel:0": (1, 1, width, outputs)}
        for j in range(3):
            shapes |= norm(3 * k + 3 + j, outputs)
    return random_weights(shapes)


def squeezenet_weights():
    shapes = {"conv1/conv1_3/kernel:0": (3, 3, 3, 64), "conv1/conv1_3/bias:0": (64,)}
    inputs = 64
    for fire, (squeeze, expand) in zip(range(2, 10), [(16, 64)] * 2 + [(32, 128)] * 2 + [(48, 192)] * 2 + [(64, 256)] * 2):
        sizes = (("squeeze1x1", 1, inputs, squeeze), ("expand1x1", 1, squeeze, expand), ("expand3x3", 3, squeeze, expand))
        for part, kernel, a, b in sizes:
            name = f"fire{fire}/{part}/fire{fire}/{part}_3"
            shapes |= {f"{name}/kernel:0": (kernel, kernel, a, b), f"{name}/bias:0": (b,)}
        inputs = 2 * expand
    return random_weights(shapes)


def pose_network():
    torch.manual_seed(0)
    net = threeddfa.MobileNetV1(0.25)
    for one in net.parameters():
        if one.dim() == 4:
            torch.nn.init.kaiming_normal_(one)  # or nothing is left after 27 layers
    state = {f"module.{name}": value for name, value in net.state_dict().items()}
    return threeddfa.Pose(state, torch.zeros(62), torch.ones(62))


MAKERS = {
    "face-api-age-gender": lambda: face_api.AgeGender(age_gender_weights()),
    "face-api-expression": lambda: face_api.Expression(dense_weights(4, 4, 7)),
    "face-api-landmark68": lambda: face_api.Landmarks68(dense_weights(4, 4, 136)),
    "face-api-landmark68-tiny": lambda: face_api.Landmarks68(dense_weights(3, 3, 136), tiny=True),
    "mini-xception-expression": lambda: mini_xception.MiniXception("expression", xception_weights(7, "_1")),
    "mini-xception-gender": lambda: mini_xception.MiniXception("gender", xception_weights(2, "")),
    "3ddfa-v2": pose_network,
}


@pytest.mark.parametrize("name", MAKERS)
def test_attributes_of_torch_networks_stand_alone_and_have_gradients(name, pictures):
    network = MAKERS[name]()
    images = pictures.clone().requires_grad_()
    scores = network.measure(images)["attributes"]
    assert network.name == name and network.readings == {"attributes"}
    assert scores.shape == (6, len(network.names)) and scores.dtype == torch.float32 and scores.isfinite().all()
    alone = network.measure(images[2:3])["attributes"]
    torch.testing.assert_close(alone, scores[2:3], atol=1e-4, rtol=1e-3)
    assert scores.std(0).min() > 0
    scores.sum().backward()
    assert images.grad.isfinite().all() and images.grad.abs().sum() > 0
    with pytest.raises(InputError, match="reads pictures"):
        network.measure(pictures[:, :1])


def test_the_input_of_every_network_is_cropped_scaled_and_ordered():
    grid = torch.linspace(-1, 1, 128).expand(1, 1, 128, 128)
    picture = torch.cat([grid, torch.zeros_like(grid), -torch.ones_like(grid)], 1)  # red rises to the right, no blue
    for name, one in files.CONVENTIONS.items():
        if not one.size:
            continue
        x = files.prepared(picture, name, files.FRAMES["ffhq"])
        x = x.permute(0, 3, 1, 2) if one.last else x
        assert x.shape == (1, 1 if one.colour == "grey" else 3, one.size, one.size)
        back = x * one.std + torch.tensor(one.mean)[:, None, None]
        left, right = one.crop[0] / 1024, one.crop[2] / 1024
        ramp = ((left + (right - left) * (torch.arange(one.size) + 0.5) / one.size) * 128 - 0.5).clamp(0, 127) / 127 * 255
        red = {"rgb": back[0, 0, 9], "bgr": back[0, -1, 9], "grey": (back[0, 0, 9] - 127.5 * 0.587) / 0.299}[one.colour]
        torch.testing.assert_close(red, ramp, atol=1.0, rtol=0)
        if one.colour != "grey":
            torch.testing.assert_close(back[0, 1], torch.full((one.size, one.size), 127.5), atol=1e-2, rtol=0)
            assert back[0, 0 if one.colour == "bgr" else 2].abs().max() < 1e-3


def test_layers_as_tensorflow_has_them():
    assert same_padded(torch.zeros(1, 1, 6, 7), 3, 2).shape == (1, 1, 7, 9)
    padded = same_padded(torch.ones(1, 1, 6, 6), 3, 2)
    assert padded[0, 0, -1].sum() == 0 and padded[0, 0, 0].sum() == 6  # the odd pixel goes below and right
    assert max_pool_same(-torch.ones(1, 1, 5, 5)).tolist() == (-torch.ones(1, 1, 3, 3)).tolist()
    logits = torch.tensor([[1.0, 2.0, -1.0]])
    chance = logits.softmax(1)
    torch.testing.assert_close(log_odds(logits), (chance / (1 - chance)).log())
    torch.testing.assert_close(log_odds(logits[:, :2])[0], torch.tensor([-1.0, 1.0]))


def test_angles_are_read_off_a_camera():
    def turned(yaw, pitch, roll):
        """A rotation that has these angles by the published formulas, whose yaw and pitch have the other sign."""
        a, b, c = torch.deg2rad(torch.tensor([-yaw, -pitch, roll], dtype=torch.float64))
        third = torch.stack([a.sin(), a.cos() * b.sin(), a.cos() * b.cos()])
        middle = -a.sin() * c.cos()
        first = torch.stack([a.cos() * c.cos(), middle * b.sin() - c.sin() * b.cos(), middle * b.cos() + c.sin() * b.sin()])
        return torch.stack([first, torch.linalg.cross(third, first), third])

    for wanted in ([20.0, 0, 0], [0, -15.0, 0], [0, 0, 10.0], [-30.0, 8.0, -5.0]):
        rotation = turned(*wanted)
        torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64))
        camera = torch.cat([rotation * 0.003, torch.ones(3, 1)], 1)[None]
        found = threeddfa.angles(camera)[0]
        torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), atol=1e-4, rtol=0)
    flat = torch.cat([torch.eye(3), torch.zeros(3, 1)], 1)[None]
    torch.testing.assert_close(threeddfa.angles(flat), torch.zeros(1, 3))
    lean = flat.clone()
    lean[0, 1, 0], lean[0, 0, 1] = 0.2679, -0.2679  # 15 degrees
    torch.testing.assert_close(threeddfa.angles(lean)[0, 2], torch.tensor(15.0), atol=0.01, rtol=0)


def test_landmarks_move_with_the_crop_and_lengths_are_in_eye_distances():
    network = face_api.Landmarks68(dense_weights(4, 4, 136))
    points = torch.zeros(68, 2)
    points[36:42], points[42:48] = torch.tensor([0.3, 0.4]), torch.tensor([0.7, 0.4])
    points[37, 1] = points[38, 1] = 0.38
    points[62], points[66] = torch.tensor([0.5, 0.7]), torch.tensor([0.5, 0.8])
    points[48], points[54] = torch.tensor([0.4, 0.75]), torch.tensor([0.6, 0.75])
    points[19], points[24] = torch.tensor([0.3, 0.3]), torch.tensor([0.7, 0.3])
    network.last = lambda images: points.flatten()[None]
    found = network.landmarks(torch.zeros(1, 3, 8, 8))
    torch.testing.assert_close(found[0, 62], torch.tensor([(212 + 0.5 * 600) / 1024, (272 + 0.7 * 600) / 1024]))
    scores = network.measure(torch.zeros(1, 3, 8, 8))["attributes"][0]
    np.testing.assert_allclose(scores[:2], [0.25, 0.5], rtol=1e-3)
    np.testing.assert_allclose(scores[2], 0.025, rtol=0.2)


def test_squeezenet_distances_and_features(pictures):
    network = squeezenet.SqueezeNet(squeezenet_weights())
    maps = network.maps(pictures)
    assert [x.shape[1] for x in maps] == [64, 128, 256, 384, 384, 512, 512]
    assert [x.shape[2] for x in maps] == [31, 15, 7, 3, 3, 3, 3]
    read = network.measure(pictures)
    assert read["features"].shape == (6, 512) and read["perceptual"].shape == (6, 118_976)
    a, b = ([x[i] / (x[i].norm(dim=0) + 1e-10) for x in maps] for i in (0, 1))
    wanted = sum((p - q).square().sum(0).mean() for p, q in zip(a, b))
    torch.testing.assert_close((read["perceptual"][0] - read["perceptual"][1]).square().sum(), wanted, rtol=1e-4, atol=1e-5)
    large = squeezenet.SqueezeNet(squeezenet_weights(), side=96)
    assert large.maps(pictures)[0].shape[2] == 47 and large.fingerprint != network.fingerprint


class Graph:
    """In place of onnxruntime's session: remembers its inputs, answers from a function of them."""

    def __init__(self, answer, batch="n"):
        self.answer, self.batch, self.seen = answer, batch, []

    def get_inputs(self):
        return [SimpleNamespace(name="input", shape=[self.batch])]

    def run(self, outputs, inputs):
        assert outputs is None
        self.seen.append(inputs["input"])
        return [self.answer(inputs["input"])]


def test_graphs_read_what_they_are_given(pictures):
    face = Graph(lambda x: np.stack([x.mean((1, 2, 3)), x[:, 0, 0, 0]], 1))
    identity = onnx.MobileFace(face).measure(pictures)["identity"]
    torch.testing.assert_close(identity.norm(dim=1), torch.ones(6))
    assert face.seen[0].shape == (6, 112, 112, 3) and 50 < face.seen[0].max() <= 255.01 and face.seen[0].dtype == np.float32
    single = [Graph(lambda x, k=k: np.full((1, 3), [x.mean() * k, 2.0, 3.0], np.float32), batch=1) for k in (1, 3)]
    pose = onnx.FSANet(single).measure(pictures)["attributes"]
    assert [len(one.seen) for one in single] == [6, 6] and single[0].seen[0].shape == (1, 3, 64, 64)
    wanted = torch.tensor([[-2 * x.mean(), 2.0, -3.0] for x in single[0].seen])
    torch.testing.assert_close(pose, wanted, atol=1e-5, rtol=1e-4)
    age = onnx.SSRNet(Graph(lambda x: x.mean((1, 2, 3))[:, None])).measure(pictures)["attributes"]
    assert age.shape == (6, 1)
    sure = onnx.Selfie(Graph(lambda x: np.ones((1, 256, 256, 1), np.float32), batch=1)).measure(pictures[:2])["segmentation"]
    assert sure.shape == (2, 2, 256, 256) and sure.isfinite().all() and (sure.argmax(1) == 1).all()
    tight = onnx.MobileFace(face, files.FRAMES["tight"])
    assert tight.fingerprint != onnx.MobileFace(face).fingerprint


def test_a_composite_picks_renames_and_refuses(pictures):
    age, mood = MAKERS["face-api-age-gender"](), MAKERS["face-api-expression"]()
    both = Composite("both", [(mood, {"happy": "smile"}), (age, {"male": "male", "age": "age"})])
    scores = both.measure(pictures)["attributes"]
    assert both.names == ("smile", "male", "age")
    torch.testing.assert_close(scores[:, 0], mood.measure(pictures)["attributes"][:, 1])
    torch.testing.assert_close(scores[:, [2, 1]], age.measure(pictures)["attributes"])
    other = Composite("both", [(mood, {"sad": "smile"}), (age, {"male": "male", "age": "age"})])
    assert other.fingerprint != both.fingerprint
    with pytest.raises(InputError, match="does not read grin"):
        Composite("both", [(mood, {"grin": "smile"})])
    with pytest.raises(InputError, match="twice"):
        Composite("both", [(mood, {"happy": "age"}), (age, {"age": "age"})])


def test_files_are_found_and_checked(tmp_path, monkeypatch):
    monkeypatch.delenv(files.FOLDER, raising=False)
    with pytest.raises(UnsupportedError, match="set LATENTBENCH_WEIGHTS"):
        files.locate("mobileface")
    monkeypatch.setenv(files.FOLDER, str(tmp_path))
    with pytest.raises(UnsupportedError, match="mobileface_256.onnx, which cannot be read"):
        onnx.load_mobileface()
    (tmp_path / "mobileface").mkdir()
    (tmp_path / "mobileface" / "mobileface_256.onnx").write_bytes(b"other")
    with pytest.raises(InputError, match=hashlib.sha256(b"other").hexdigest()[:16]):
        files.locate("mobileface")
    with pytest.raises(InputError, match="did you mean mobileface"):
        files.locate("mobilface")
    assert all(len(one.sha256) == 64 and "@" in one.source for one in files.CONVENTIONS.values())
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        files.arrays(tmp_path / "objects.npz")


@needs_files
def test_the_published_pose_networks_see_rendered_heads_turn():
    pytest.importorskip("onnxruntime")
    factors = sample_factors(torch.arange(40), seed=0)
    images = render(factors, size=128)[0]
    truth = torch.stack([factors[:, NAMES.index(name)] for name in ("yaw", "pitch")])
    pose, second = threeddfa.load_pose(), onnx.load_fsanet()
    for network, least in ((pose, (0.9, 0.7)), (second, (0.7, 0.2))):
        read = network.measure(images)["attributes"].T
        for i in range(2):
            assert torch.corrcoef(torch.stack([read[i], truth[i]]))[0, 1] > least[i], (network.name, i)
    flipped = pose.measure(images.flip(3))["attributes"]
    assert torch.corrcoef(torch.stack([flipped[:, 0], pose.measure(images)["attributes"][:, 0]]))[0, 1] < -0.9
    turned = torch.rot90(images, 1, (2, 3))  # far more than it was trained for: the sign alone
    assert (pose.measure(turned)["attributes"][:, 2] > 0).float().mean() > 0.8


@needs_files
def test_the_published_files_load_and_tell_pictures_apart(pictures):
    pytest.importorskip("onnxruntime")
    loaders = [
        face_api.load_age_gender, face_api.load_expression, face_api.load_landmarks, onnx.load_ssrnet,
        lambda: face_api.load_landmarks(tiny=True),
        *(lambda k=k: mini_xception.load_mini_xception(k) for k in ("expression", "gender")),
    ]  # fmt: skip
    for load in loaders:
        network = load()
        scores = network.measure(pictures)["attributes"]
        assert scores.shape == (6, len(network.names)) and scores.isfinite().all() and scores.std(0).min() > 1e-4
    identity = onnx.load_mobileface().measure(torch.cat([pictures, pictures.flip(3)]))["identity"]
    same = (identity[:6] * identity[6:]).sum(1)
    across = identity[:6] @ identity[:6].T
    assert same.mean() > 0.7 > across[~torch.eye(6, dtype=torch.bool)].mean()
    features = squeezenet.load_squeezenet().measure(pictures)
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
    noisy = squeezenet.load_squeezenet().measure(pictures + 0.02 * noise)
    near = (features["perceptual"] - noisy["perceptual"]).square().sum(1)
    far = (features["perceptual"] - features["perceptual"].roll(1, 0)).square().sum(1)
    assert (near < far).all() and F.relu(features["features"]).sum() > 0
    person = onnx.load_selfie().measure(pictures[:2])["segmentation"].argmax(1)
    assert person[:, 128, 128].all() and person.float().mean() > 0.2
