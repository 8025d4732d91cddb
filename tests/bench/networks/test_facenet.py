"""FaceNet's adapter, with random weights: inputs, alignment, unreadable pictures, files."""

import numpy as np
import pytest
import torch

from bench.domains.heads.factors import sample_factors
from bench.domains.heads.renderer import render
from bench.errors import InputError, UnsupportedError
from bench.networks.facenet import Facenet, build, load_facenet, widened
from bench.networks.mtcnn import MTCNN
from bench.networks.windows import take
from bench.torchvision_shim import ensure_torchvision
from metrics.effects import identity_cosine


@pytest.fixture(scope="module")
def state():
    ensure_torchvision()
    from facenet_pytorch import InceptionResnetV1

    torch.manual_seed(0)
    return InceptionResnetV1(pretrained=None).state_dict()


@pytest.fixture(scope="module")
def pictures():
    return render(sample_factors(torch.arange(4), seed=0), size=128)[0]


def test_it_reads_what_the_package_reads(state, pictures):
    network = Facenet("vggface2", state)
    bytes_ = (take(pictures[:2], (0, 0, 1, 1), 160) + 1) * 127.5
    wanted = build(state).eval()((bytes_ - 127.5) / 128)
    found = network.measure(pictures[:2])["identity"]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    assert network.name == "facenet-vggface2" and network.readings == {"identity"} and found.shape == (2, 512)


def test_a_picture_without_a_face_is_a_row_of_nan_and_others_are_read_at_their_box(state, pictures):
    network = Facenet("casia-webface", state, align=True)
    mixed = torch.cat([pictures[:2], torch.zeros(1, 3, 128, 128)])
    found = network.measure(mixed)["identity"]
    assert network.name == "facenet-casia-webface"
    assert found[2].isnan().all() and found[:2].isfinite().all()
    box = MTCNN().detect(pictures[:1]).box[0].tolist()
    crop = take(pictures[:1], widened(box, 14), 160)
    torch.testing.assert_close(found[:1], Facenet("casia-webface", state).measure(crop)["identity"], atol=1e-5, rtol=1e-4)
    similarity = identity_cosine(found.numpy(), found.numpy())
    np.testing.assert_allclose(similarity[:2], 1, atol=1e-6)
    assert np.isnan(similarity[2])
    assert network.measure(mixed[2:])["identity"].isnan().all()


def test_the_margin_is_a_share_of_what_is_read():
    assert widened([0.3, 0.3, 0.3 + 0.146, 0.3 + 0.292], 14) == pytest.approx((0.293, 0.286, 0.453, 0.606))
    assert widened([0.0, -0.1, 1.0, 1.2], 14) == (0.0, 0.0, 1.0, 1.0)
    assert widened([0.2, 0.2, 0.8, 0.8], 0) == (0.2, 0.2, 0.8, 0.8)


def test_settings_are_part_of_the_fingerprint_and_gradients_flow(state, pictures):
    plain, cut = Facenet("vggface2", state), Facenet("vggface2", state, window=(0.1, 0.1, 0.9, 0.9))
    assert plain.fingerprint != cut.fingerprint
    images = pictures[:1].clone().requires_grad_()
    plain.measure(images)["identity"][0, 0].backward()
    assert images.grad.abs().sum() > 0


def test_files(state, tmp_path, monkeypatch):
    file = tmp_path / "net.pt"
    torch.save({**state, "logits.weight": torch.zeros(5, 512), "logits.bias": torch.zeros(5)}, file)
    assert load_facenet("vggface2", file).fingerprint == Facenet("vggface2", state).fingerprint
    torch.save({name: value for name, value in state.items() if name != "last_bn.weight"}, file)
    with pytest.raises(InputError, match="last_bn.weight"):
        load_facenet("vggface2", file)
    torch.save([1, 2], file)
    with pytest.raises(InputError, match="no state dict"):
        load_facenet("vggface2", file)
    file.write_bytes(b"<!doctype html>")
    with pytest.raises(InputError, match="damaged"):
        load_facenet("vggface2", file)
    with pytest.raises(InputError, match="no file"):
        load_facenet("vggface2", tmp_path / "gone.pt")
    with pytest.raises(InputError, match="vggface2 or casia-webface"):
        load_facenet("imagenet")
    for name in ("TORCH_HOME", "LATENTBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(UnsupportedError, match="latentbench fetch facenet-vggface2"):
        load_facenet()
