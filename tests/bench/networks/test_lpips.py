"""LPIPS as vectors: against figures of the lpips package under weights of a closed form."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.errors import InputError, UnsupportedError
from bench.networks import lpips_
from bench.networks.lpips_ import Lpips, build, check_hub_name, load_lpips
from bench.torchvision_shim import ensure_torchvision
from metrics.perceptual import squared_distance

GOLDEN = Path(__file__).parents[2] / "golden" / "set_metrics.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN, allow_pickle=False) as file:
        return {name.removeprefix("lpips/"): torch.from_numpy(file[name]) for name in file.files if name.startswith("lpips/")}


def closed_form(trunk):
    """A torchvision state: value i of parameter j is sin(0.3 + j + 12.9898 i + (0.001 i^2 mod 6.283)), scaled by fan-in."""
    ensure_torchvision()
    import lpips

    with torch.device("meta"):
        net = lpips.LPIPS(net=trunk, pretrained=False, pnet_rand=True, verbose=False).net
    shapes = [(name, one.shape) for name, one in net.named_parameters()]
    state = {}
    for j, (name, shape) in enumerate(shapes):
        i = np.arange(shape.numel(), dtype=np.float64)
        wave = np.sin(0.3 + j + 12.9898 * i + np.mod(0.001 * i * i, 6.283))
        factor = np.sqrt(3 / shape[1:].numel()) if len(shape) > 1 else 0.05
        state["features." + name.split(".", 1)[1]] = torch.from_numpy((wave * factor).astype(np.float32)).reshape(shape)
    return state


@pytest.fixture(scope="module", params=["alex", "squeeze"])
def network(request):
    return Lpips(request.param, build(request.param, closed_form(request.param)))


def test_squared_distances_of_the_vectors_are_the_published_distances(golden, network):
    trunk = network.name.removeprefix("lpips-")
    a, b = (network.measure(golden[name])["perceptual"] for name in ("x0", "x1"))
    wanted = golden[f"{trunk}/value"].flatten().numpy()
    np.testing.assert_allclose(squared_distance(a.numpy(), b.numpy()), wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(network.distance(golden["x0"], golden["x1"]), wanted, rtol=1e-6, atol=1e-6)
    assert network.readings == {"perceptual"} and a.dtype == torch.float32


def test_vectors_hold_one_stretch_for_every_map(golden, network):
    trunk = network.name.removeprefix("lpips-")
    a, b = (network.measure(golden[name])["perceptual"] for name in ("x0", "x1"))
    lengths = [x[0].numel() for x in network.maps(golden["x0"][:1])]
    each = torch.stack([part.square().sum(1) for part in (a - b).split(lengths, 1)])
    np.testing.assert_allclose(each, golden[f"{trunk}/per_layer"], rtol=1e-5, atol=1e-6)
    if trunk == "alex":
        assert a.shape[1] == 31_872


def test_rows_stand_alone_and_gradients_are_finite_where_all_channels_are_zero(network):
    pictures = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1
    pictures[0] = 0
    pictures.requires_grad_()
    vectors = network.measure(pictures)["perceptual"]
    torch.testing.assert_close(vectors[1:2], network.measure(pictures[1:2])["perceptual"], atol=1e-6, rtol=1e-4)
    vectors.square().sum().backward()
    assert pictures.grad.isfinite().all() and not any(one.requires_grad for one in network.parameters())


def test_vectors_need_weights_that_are_not_negative(network):
    net = build("alex", closed_form("alex"))
    net.lins[2].model[-1].weight.data[0, 5] = -0.1
    with pytest.raises(InputError, match="map 2 are negative"):
        Lpips("alex", net)


def test_a_trunk_is_checked_against_the_hash_in_its_name(tmp_path):
    torch.save(closed_form("alex"), tmp_path / "net.pth")
    data = (tmp_path / "net.pth").read_bytes()
    right = tmp_path / f"alexnet-owt-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    right.write_bytes(data)
    assert load_lpips("alex", right).name == "lpips-alex"
    wrong = tmp_path / "alexnet-owt-7be5be79.pth"
    wrong.write_bytes(data)
    with pytest.raises(InputError, match="damaged or another file"):
        load_lpips("alex", wrong)
    with pytest.raises(InputError, match="no hash in its name"):
        check_hub_name(tmp_path / "net.pth")
    with pytest.raises(InputError, match="cannot be read"):
        check_hub_name(tmp_path / "gone-7be5be79.pth")


def test_weights_of_another_trunk_and_unknown_trunks_say_so():
    with pytest.raises(InputError, match=r"LPIPS's squeeze: features\.\d"):
        build("squeeze", closed_form("alex"))
    with pytest.raises(InputError, match="alex, vgg, squeeze"):
        load_lpips("resnet")


def test_without_the_trunk_the_command_that_fetches_it_is_named(tmp_path, monkeypatch):
    for name in ("TORCH_HOME", "LATENTBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(UnsupportedError, match="latentbench fetch lpips-alex"):
        load_lpips("alex")
    assert lpips_.TRUNKS == ("alex", "vgg", "squeeze")
