"""Features from memory against clean-fid's own folder mode."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from bench.errors import InputError, UnsupportedError
from bench.networks.inception import CleanFeatures, load_inception, to_bytes
from bench.torchvision_shim import ensure_torchvision
from metrics.distribution import frechet_distance, moments


class Tiny(nn.Module):
    """Eight features of a 299 px picture in 0..255 that fine detail changes; row by row, so that batches cannot matter."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 7, 5)

    def forward(self, x):
        assert x.shape[1:] == (3, 299, 299)
        return torch.cat([self.conv(one[None] / 255).square().mean((2, 3)) for one in x])


@pytest.fixture(scope="module")
def pictures():
    smooth = torch.rand(14, 3, 9, 9, generator=torch.Generator().manual_seed(0)) * 2.4 - 1.2
    return torch.nn.functional.interpolate(smooth, size=(64, 64), mode="bicubic")


def in_folder(pictures, folder):
    folder.mkdir()
    for i, one in enumerate(to_bytes(pictures)):
        Image.fromarray(one).save(folder / f"{i:03}.png")
    return str(folder)


def test_features_and_distance_are_those_of_folder_mode(pictures, tmp_path):
    ensure_torchvision()
    from cleanfid import fid

    first, second = in_folder(pictures[:7], tmp_path / "a"), in_folder(pictures[7:], tmp_path / "b")
    options = {"num_workers": 0, "batch_size": 3, "device": torch.device("cpu"), "mode": "clean", "verbose": False}
    network = CleanFeatures(Tiny(), "tiny")
    ours = [network.measure(part)["features"].numpy() for part in (pictures[:7], pictures[7:])]
    theirs = fid.get_folder_features(first, network.net, **options)
    np.testing.assert_allclose(ours[0], theirs, rtol=1e-9)
    published = fid.compare_folders(first, second, network.net, **options)
    mine = fid.frechet_distance(*(part for one in ours for part in (one.mean(0), np.cov(one, rowvar=False))))
    assert published > 0 and mine == pytest.approx(published, rel=1e-9)
    assert frechet_distance(*moments(ours[0]), *moments(ours[1])) == pytest.approx(published, rel=1e-4)


def test_batches_do_not_matter_and_an_unreadable_picture_is_a_row_of_nan(pictures):
    network = CleanFeatures(Tiny(), "tiny")
    some = pictures[:4].clone()
    some[2, 0, 5, 5] = float("nan")
    features = network.measure(some)["features"]
    assert features[2].isnan().all() and features[[0, 1, 3]].isfinite().all()
    assert torch.equal(features[3:], network.measure(some[3:])["features"])
    assert network.readings == {"features"} and features.dtype == torch.float32


def test_pictures_become_the_nearest_bytes():
    values = torch.tensor([-2.0, -1.0, -0.9922, 0.0, 0.5, 1.0, 1.5]).expand(1, 3, 7, 7)
    assert to_bytes(values)[0, 0, :, 0].tolist() == [0, 0, 1, 128, 191, 255, 255]
    with pytest.raises(InputError, match="pictures are"):
        to_bytes(torch.zeros(2, 1, 4, 4))
    with pytest.raises(InputError, match="no pictures"):
        CleanFeatures(Tiny(), "tiny").measure(torch.zeros(0, 3, 4, 4))


def test_without_the_network_the_command_that_fetches_it_is_named(tmp_path, monkeypatch):
    for name in ("TORCH_HOME", "LATENTBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(UnsupportedError, match="latentbench fetch inception-cleanfid"):
        load_inception()
