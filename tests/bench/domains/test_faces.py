"""The domain `faces`: its card, and what happens without its files."""

import os

import pytest
import torch

from bench.domains.faces.domain import GUIDE, IDENTITIES, JUDGE, LOADERS, FacesDomain, faces, faces_info
from bench.domains.heads.factors import sample_factors
from bench.domains.heads.renderer import render
from bench.errors import InputError, UnsupportedError
from bench.networks.faces.files import FOLDER
from bench.registry import Registry


@pytest.mark.parametrize("identity", IDENTITIES)
def test_no_network_is_on_both_sides(identity):
    info = faces_info(identity)
    assert not set(info.guides.values()) & set(info.judges.values())
    assert {*info.guides.values(), *info.judges.values()} <= set(LOADERS)
    assert info.judges["identity"] == identity != info.guides["identity"]
    # FaceNet's alignment is MTCNN's: where it judges, MTCNN's features do not guide.
    assert ("mtcnn-onet" in info.guides.values()) == (identity == "mobileface")


def test_the_card_names_every_attribute_and_its_region():
    info = faces_info()
    assert info.names == ("yaw", "pitch", "age", "male", "smile", "surprise")
    assert all(set(one.region) <= set(info.regions) and all(one.prompts) and one.low < one.high for one in info.attributes)


def test_unknown_names_say_so_and_the_registry_has_it():
    with pytest.raises(InputError, match="did you mean mobileface"):
        FacesDomain(identity="mobilface")
    with pytest.raises(InputError, match="framing"):
        FacesDomain(framing="wide")
    with pytest.raises(InputError, match="network of faces"):
        faces().load("resnet")
    assert Registry(plugins=False).load("domains", "faces") is faces


@pytest.mark.parametrize("name", sorted(set(LOADERS) - {"mtcnn-onet"}))
def test_without_its_file_a_network_is_unsupported(name, tmp_path, monkeypatch):
    for variable in (FOLDER, "TORCH_HOME", "LATENTBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    fetched = name in ("facenet-vggface2", "lpips-alex")
    with pytest.raises(UnsupportedError, match="latentbench fetch" if fetched else str(tmp_path)):
        FacesDomain().load(name)
    monkeypatch.delenv(FOLDER)
    with pytest.raises(UnsupportedError, match="LATENTBENCH_WEIGHTS|latentbench fetch"):
        FacesDomain().load(name)


def test_the_guide_of_features_needs_no_file():
    network = faces().guide("features")
    images = render(sample_factors(torch.arange(2), seed=0), size=64)[0]
    assert network.measure(images)["features"].shape == (2, 256)
    assert FacesDomain(framing="tight").guide("features").fingerprint != network.fingerprint


@pytest.mark.skipif(not os.environ.get(FOLDER), reason=f"{FOLDER} names no folder of weights")
def test_guide_and_judge_read_the_attributes_of_the_card_in_its_order():
    pytest.importorskip("onnxruntime")
    domain = faces()
    images = render(sample_factors(torch.arange(24), seed=0), size=128)[0]
    guide, judge = domain.guide("attributes"), domain.judge("attributes")
    assert (guide.name, judge.name) == (GUIDE, JUDGE)
    assert guide.names == judge.names == domain.info.names
    a, b = (network.measure(images)["attributes"] for network in (guide, judge))
    assert torch.corrcoef(torch.stack([a[:, 0], b[:, 0]]))[0, 1] > 0.6
    assert not {id(one) for one in guide.modules()} & {id(one) for one in judge.modules()}
    shapes = {reading: tuple(domain.judge(reading).measure(images[:2])[reading].shape) for reading in domain.info.judges}
    assert shapes["identity"] == (2, 256) and shapes["features"] == (2, 512) and shapes["segmentation"] == (2, 2, 256, 256)
