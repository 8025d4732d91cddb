"""load_generator: by name, from files, and every published list of parameters."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.codes import Codes
from bench.errors import InputError
from bench.generators import load_generator
from bench.generators.forms import known_forms

GOLDEN = Path(__file__).parents[2] / "golden"
LISTS = sorted((GOLDEN / "parameter_shapes").glob("*.txt"))
# Architecture, resolution, and the shapes of z and of w+ (z+ where there is no w), as the lists' first lines say or imply.
FACTS = {
    "stylegan2_ada_ffhq_1024_stylegan2": ("stylegan2", 1024, (512,), (18, 512)),
    "stylegan2_ada_afhq_512_paper512": ("stylegan2", 512, (512,), (16, 512)),
    "stylegan2_ada_ffhq_256_paper256": ("stylegan2", 256, (512,), (14, 512)),
    "stylegan2_ada_cifar10_cond_32": ("stylegan2", 32, (512,), (8, 512)),
    "rosinality_stylegan2_1024": ("stylegan2", 1024, (512,), (18, 512)),
    "rosinality_stylegan2_256": ("stylegan2", 256, (512,), (14, 512)),
    "genforce_stylegan2_1024": ("stylegan2", 1024, (512,), (18, 512)),
    "genforce_stylegan2_256": ("stylegan2", 256, (512,), (14, 512)),
    "genforce_stylegan_1024": ("stylegan", 1024, (512,), (18, 512)),
    "genforce_stylegan_256": ("stylegan", 256, (512,), (14, 512)),
    "interfacegan_stylegan_1024": ("stylegan", 1024, (512,), (18, 512)),
    "genforce_pggan_1024": ("pggan", 1024, (512,), None),
    "interfacegan_pggan_1024": ("pggan", 1024, (512,), None),
    "biggan_deep_128": ("biggan-deep", 128, (128,), (11, 128)),
    "eigengan_256": ("eigengan", 256, (548,), (7, 548)),
}


def lazy_state(path):
    """A state dict of a list's names and shapes, whose tensors repeat one value and so take no memory."""
    state = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, shape = line.split("\t")
            sizes = () if shape == "scalar" else tuple(map(int, shape.split("x")))
            state[name] = torch.full((1,) * len(sizes), 0.01).expand(sizes)
    return state


@pytest.fixture
def ada(tmp_path):
    with np.load(GOLDEN / "stylegan2_ada.npz", allow_pickle=False) as file:
        state = {key[3:]: torch.from_numpy(file[key]) for key in file.files if key.startswith("sd/")}
    torch.save({"G_ema": state}, tmp_path / "ada.pt")
    return tmp_path / "ada.pt", state


def test_every_list_is_named():
    assert {path.stem for path in LISTS} == set(FACTS)


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_published_list_of_parameters_loads(path, tmp_path):
    state = lazy_state(path)
    assert sum(form.fits(state) for form in known_forms()) == 1
    torch.save(state, tmp_path / f"{path.stem}.pt")
    info = load_generator(tmp_path / f"{path.stem}.pt").info
    architecture, resolution, z, rows = FACTS[path.stem]
    assert (info.architecture, info.resolution, info.spaces["z"]) == (architecture, resolution, z)
    assert (info.name, info.domain) == (path.stem, "images")
    assert info.spaces.get("w+", info.spaces.get("z+")) == rows
    assert max((layer.resolution for layer in info.layers), default=0) == resolution


def test_a_registered_name_a_snapshot_and_the_same_weights_in_other_files(ada, tmp_path):
    path, state = ada
    assert load_generator("heads-oracle").info.name == "heads-oracle"
    snapshot = load_generator(str(GOLDEN / "stylegan2_ada_layout.pkl"), domain="heads", name="ours")
    assert (snapshot.info.name, snapshot.info.domain) == ("ours", "heads")
    z = Codes("z", torch.randn(2, 32, generator=torch.Generator().manual_seed(0)), torch.arange(2))
    pictures = snapshot.synthesize(z)
    assert pictures.shape == (2, 3, 32, 32) and torch.equal(load_generator(path).synthesize(z), pictures)
    torch.save({f"module.{key}": value.half() for key, value in state.items()}, tmp_path / "half.pth")
    half = load_generator(tmp_path / "half.pth").synthesize(z)
    assert float((half - pictures).abs().max()) < 0.02 * float(pictures.abs().max())


def test_the_mean_w_that_rosinality_keeps_beside_its_generator(tmp_path):
    with np.load(GOLDEN / "stylegan2_rosinality.npz", allow_pickle=False) as file:
        state = {key[3:]: torch.from_numpy(file[key]) for key in file.files if key.startswith("sd/")}
        meta = json.loads(str(file["meta"]))
        z, mean, official = (torch.from_numpy(file[key]) for key in ("z", "truncation_latent", "out/img_truncated"))
    torch.save({"g_ema": state, "latent_avg": mean.flatten()}, tmp_path / "a.pt")
    generator = load_generator(tmp_path / "a.pt").truncated(meta["truncation"])
    pictures = generator.synthesize(Codes("z", z, torch.arange(len(z))))
    assert float((pictures - official).abs().max()) < 1e-5 * float(official.abs().max())


def test_arguments_that_contradict_the_weights(ada):
    path, _ = ada
    path.with_suffix(".json").write_text('{"z_dim": 512}')
    with pytest.raises(InputError, match=r"ada\.pt \(G_ema\): .*z_dim"):
        load_generator(path)
    path.with_suffix(".json").write_text('{"z_dimension": 32}')
    with pytest.raises(InputError, match="z_dimension"):
        load_generator(path)


def test_weights_that_do_not_fit_are_named(ada, tmp_path):
    path, state = ada
    torch.save({key: value for key, value in state.items() if key != "synthesis.b8.conv0.bias"}, path)
    with pytest.raises(InputError, match=r"ada\.pt.*synthesis\.b8\.conv0\.bias"):
        load_generator(path)
    torch.save({**state, "synthesis.b8.conv0.bias": torch.ones(3)}, path)
    with pytest.raises(InputError, match=r"ada\.pt.*synthesis\.b8\.conv0\.bias"):
        load_generator(path)


@pytest.mark.parametrize(
    "given, message",
    [
        ("heads-stylegam2", "unknown generator 'heads-stylegam2': did you mean heads-stylegan2"),
        ("absent.pt", "absent.pt: there is no such file"),
        ("no/folder", "no/folder: there is no such file"),
    ],
)
def test_neither_name_nor_file(given, message):
    with pytest.raises(InputError) as caught:
        load_generator(given)
    assert message in str(caught.value)


def test_only_a_file_takes_a_domain_and_a_part(tmp_path):
    with pytest.raises(
        InputError, match="heads-oracle is a registered generator: domain, name and part are for checkpoint files"
    ):
        load_generator("heads-oracle", domain="heads")
    torch.save(
        {"encoder": {"input_layer.0.weight": torch.ones(1), "body.0.res_layer.1.weight": torch.ones(1)}}, tmp_path / "a.pt"
    )
    with pytest.raises(InputError, match=r"a\.pt \(encoder\): it holds an IR-SE encoder"):
        load_generator(tmp_path / "a.pt", part="encoder")
