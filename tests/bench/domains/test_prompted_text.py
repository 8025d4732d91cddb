"""A user's generator under a domain of words, from its files to the records: StyleCLIP guided by one CLIP, judged by another.

Networks are random and small, so that what the numbers are means nothing; whose they are, and that they are there, does.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from tiny_clip import write

from bench.cli import main
from bench.domains.prompted import load_domain

GOLDEN = Path(__file__).parents[2] / "golden" / "stylegan2_ada.npz"
DOMAIN = """
name: things
attributes:
  - {name: light, prompts: [a dark thing, a light thing]}
  - {name: round, prompts: [an angular thing, a round thing], kind: binary}
guide: {weights: clips/guide/tiny.safetensors, name: clip-tiny-vit}
judge: {weights: clips/judge/tiny.pt, name: clip-tiny-resnet}
"""
SUITE = """
name: words
generators: [{path: tiny.safetensors, domain: things.yaml}]
methods:
  - {styleclip_global: {beta: 0.0, images: 4, resolution: 8}}
  - {styleclip_optimization: {steps: 4}}
  - random
tasks:
  text: {targets: [light], prompts: {light: {+: [a bright thing]}}, test_codes: 8, per_code_codes: 8, calibrate_codes: 20,
         replicates: 100}
bank: 64
budget: 2
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkpoint of StyleGAN2, a page of its domain with both CLIPs, and a suite."""
    monkeypatch.setenv("LATENTBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("XDG_CACHE_HOME", "TORCH_HOME", "HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    with np.load(GOLDEN, allow_pickle=False) as file:
        save_file(
            {key[3:]: torch.from_numpy(file[key]) for key in file.files if key.startswith("sd/")}, tmp_path / "tiny.safetensors"
        )
        (tmp_path / "tiny.json").write_text(json.dumps(json.loads(str(file["meta"]))["generator_kwargs"]))
    write(tmp_path / "clips" / "guide", "vit")
    write(tmp_path / "clips" / "judge", "resnet", seed=1, name="tiny.pt")
    (tmp_path / "things.yaml").write_text(DOMAIN)
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path


def run(folder, out="out"):
    code = main(["run", str(folder / "suite.yaml"), "--out", str(folder / out)])
    path = folder / out / "results.csv"
    return code, pd.read_csv(path, keep_default_na=False) if path.is_file() else None


def test_styleclip_and_the_text_task_run_on_a_users_generator(folder):
    code, records = run(folder)
    assert code == 0 and set(records.domain) == {"things"} and set(records.status) <= {"ok", "unreached", "skipped"}
    domain = load_domain(folder / "things.yaml")
    for method in ("styleclip_global", "styleclip_optimization", "random"):
        mine = records[records.method == method]
        measured = mine[mine.metric == "directional_similarity"]
        assert len(measured) and set(measured.judge) == {"text_image[clip-tiny-resnet]"}
        assert {"+", "-"} <= set(mine.sign)
        assert set(measured.judge_sha) == {domain.judge("text_image").fingerprint[: len(measured.judge_sha.iloc[0])]}
        assert set(mine[mine.metric == "leakage"].judge) == {"attributes[clip-tiny-resnet]"}
        reach = mine[(mine.metric == "reach") & (mine.point == "summary")]
        assert set(reach.status) == {"ok"} and np.isfinite(reach.value.astype(float)).all()
    assert domain.guide("text_image").name == "clip-tiny-vit"


def test_without_the_guides_weights_its_cells_are_skipped_with_that_reason(folder):
    (folder / "clips" / "guide" / "tiny.safetensors").unlink()
    code, records = run(folder)
    assert code == 0 and set(records.status) == {"skipped"}
    assert records.reason.str.contains("the weights of clip-tiny-vit are not at hand: there is no file").all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name: clip-tiny-resnet", "name: clip-tiny-vit"), "clip-tiny-vit cannot both guide and judge"),
        (("a light thing", "a light thing" * 40), "tokens, and clip-tiny-vit reads 77: shorten it"),
        (("clips/judge/tiny.pt", "clips/copy/other.pt"), "have weights in common: a guide never judges"),
    ],
)
def test_what_cannot_be_asked_ends_in_one_line(folder, capsys, change, message):
    write(folder / "clips" / "copy", "vit", name="other.pt", edit=lambda state: {k: v.half() for k, v in state.items()})
    (folder / "things.yaml").write_text(DOMAIN.replace(*change))
    code, _ = run(folder)
    said = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and message in said[-1] and "Traceback" not in "".join(said)
