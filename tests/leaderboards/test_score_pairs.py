"""`latentbench score` on picture pairs: planted edits are found, strangers are told apart, bad folders end in one line."""

import csv
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from bench.cards import Attribute, DomainInfo
from bench.cli import main
from bench.domains.base import Domain, Network
from bench.domains.heads.factors import INDEX, sample_factors
from bench.domains.heads.renderer import render
from bench.registry import Registry
from leaderboards.records import read_records
from leaderboards.scoring import spread
from leaderboards.scoring.numbers import KID_PAIRS, kid_of_pairs
from leaderboards.scoring.score_pairs import asked, score_pairs
from metrics.kernel_distance import mmd2


def save(images, folder):
    """Pictures [N, 3, R, R] in [-1, 1] as 000.png, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, pixels in enumerate(((images.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).byte().numpy()):
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
    return folder


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """KID_PAIRS heads without glasses; with glasses, smiling more, and 16 other heads beside their first 16."""
    root = tmp_path_factory.mktemp("heads")
    rows = sample_factors(torch.arange(KID_PAIRS), seed=3, independent=True)
    rows[:, INDEX["glasses"]] = 0
    smiling, glasses = rows.clone(), rows.clone()
    smiling[:, INDEX["smile"]] += 0.3
    glasses[:, INDEX["glasses"]] = 1
    for name, some in (("before", rows), ("smiling", smiling), ("glasses", glasses), ("few", rows[:16])):
        save(render(some).rgb, root / name)
    save(render(sample_factors(torch.arange(500, 516), seed=3, independent=True)).rgb, root / "others")
    return root


def scored(heads, after, before="before", **more):
    registry = Registry(plugins=False)
    how = {key: more.pop(key) for key in ("reference", "seed") if key in more}
    return score_pairs(asked("heads", heads / before, heads / after, registry, **more), registry, **how)


def numbers(found):
    return {(r.metric, r.attribute): r for r in found.records}


def test_a_planted_edit_changes_what_was_planted(heads):
    found = numbers(scored(heads, "smiling", target="smile"))
    # The factor rose by 0.3 of a range of 2 whose standard deviation is 2 / 12 ** 0.5: 0.52 sigma.
    effect = found["target_effect", ""]
    assert effect.value == pytest.approx(0.52, abs=0.06) and effect.ci_low < effect.value < effect.ci_high
    assert (effect.judge, effect.n, effect.n_failed, effect.ci_over) == ("attributes[heads-attributes]", KID_PAIRS, 0, "pairs")
    assert found["leakage", ""].value < 0.05 and found["identity", ""].value > 0.99
    assert found["identity", ""].headline and found["leakage", ""].headline
    sizes = {name: r.value for (metric, name), r in found.items() if metric == "attribute_change_size"}
    assert max(sizes, key=sizes.get) == "smile" and sorted(sizes.values())[-2] < sizes["smile"] / 4
    assert found["score_change", "smile"].value == pytest.approx(0.3, abs=0.05)  # in the factor's own units
    assert found["identity_of_others", ""].value < 0.6 < found["identity", ""].value
    down = numbers(scored(heads, "before", before="smiling", target="smile", sign=-1))
    assert down["target_effect", ""].value == pytest.approx(effect.value, rel=0.1)


def test_other_heads_are_not_the_same_person(heads):
    found = numbers(scored(heads, "others", before="few"))
    assert found["identity", ""].value < 0.65 and found["perceptual", ""].value > 1
    assert found["leakage", ""].status == "skipped" and "--target" in found["leakage", ""].reason
    assert found["kid_of_pairs", ""].reason == f"16 pairs cannot tell a kernel distance: it takes {KID_PAIRS}"


def test_sigma_of_one_class_is_that_of_the_judges_border(heads, monkeypatch):
    """All before pictures lack glasses: their scatter is a tenth of the distance to those that have them."""
    monkeypatch.setattr(spread, "CODES", 64)
    own = scored(heads, "glasses", target="glasses")
    known = scored(heads, "glasses", target="glasses", reference="heads-oracle")
    column = own.panel.names.index("glasses")
    assert "border" in own.spread.rules[column] and known.spread.rules[column] == "class means"
    values = [numbers(one)["target_effect", ""] for one in (own, known)]
    assert [one.value for one in values] == [pytest.approx(1.1, abs=0.2)] * 2
    assert "of one class" in values[0].reason and not values[1].reason
    scatter = own.readings.before["attributes"][:, column].std()
    assert own.spread.sigma[column] > 5 * scatter
    # Only glasses change, which lie beside the beaten track of neither: realism is lost by both readings.
    assert numbers(known)["realism_loss", ""].value > 0 and numbers(own)["kid_of_pairs", ""].ci_low > 0


def test_few_pictures_make_a_doubtful_sigma_and_one_makes_none(heads, tmp_path):
    assert "16 pictures and uncertain by 18 %" in scored(heads, "others", before="few").spread.doubt["yaw"]
    for side in ("before", "smiling"):
        (tmp_path / side).mkdir()
        shutil.copy(heads / side / "000.png", tmp_path / side)
    found = numbers(scored(tmp_path, "smiling", target="smile"))
    assert found["target_effect", ""].status == "skipped" and "two before pictures" in found["target_effect", ""].reason
    one = found["score_change", "smile"]
    assert one.n == 1 and one.value > 0.1 and one.ci_low is None and one.reason == "one pair alone has no interval"


def test_files_name_judges_and_hold_every_pair(heads, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--domain", "heads", "--before", str(heads / "few"), "--after", str(heads / "others"), "--target", "smile"]
    assert main(["score", *arguments, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "identity[heads-id]" in said and "n failed" in said and "sigma in doubt" in said
    with (out / "pairs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["pair"] for row in rows] == [f"{i:03d}" for i in range(16)]
    records = {(r.metric, r.attribute): r for r in read_records(out / "summary.csv")}
    identity = records["identity", ""]
    assert np.mean([float(row["identity"]) for row in rows]) == pytest.approx(identity.value, abs=1e-5)
    rise = [float(row["after/smile"]) - float(row["before/smile"]) for row in rows]
    assert np.mean(rise) == pytest.approx(records["score_change", "smile"].value, abs=1e-5)
    assert (identity.task, identity.sign, identity.domain) == ("pairs", "+", "heads") and identity.protocol_hash
    text = (out / "README.md").read_text()
    assert "## Sigma" in text and "identity[heads-id]" in text and (out / "pictures" / "pairs.png").stat().st_size > 1000
    # The table is a side of a comparison: with itself nothing is worse.
    assert main(["compare", str(out / "summary.csv"), str(out / "summary.csv")]) == 0
    assert "same protocol" in capsys.readouterr().out


class Shy(Network):
    """Reads the mean brightness, and nothing of dark pictures; the left half is the class `left`."""

    name, names = "shy", ("light", "red")
    readings = frozenset({"attributes", "identity", "segmentation"})

    def measure(self, images):
        light = images.mean((1, 2, 3))
        seen = torch.where(light > -0.9, light, torch.nan)
        red = images[:, 0].mean((1, 2)) + 0 * seen
        left = torch.zeros(len(images), 2, *images.shape[2:])
        left[:, 1, :, : images.shape[3] // 2] = 1.0
        left[:, 0] = 0.5
        vectors = torch.stack([torch.ones_like(seen), 0 * seen], 1)
        return {"attributes": torch.stack([seen, red], 1), "identity": vectors, "segmentation": left}


class ShyDomain(Domain):
    info = DomainInfo(
        "shy", (Attribute("light", "continuous", region=("left",)), Attribute("red", "continuous")), {},
        {"attributes": "shy", "identity": "shy", "segmentation": "shy"}, ("right", "left"),
    )  # fmt: skip

    def load(self, name):
        return Shy()


@pytest.fixture
def shy(tmp_path):
    """Four pairs: lit on the left; nobody there before; nobody there after; lit all over. And the registry."""
    before = torch.linspace(-0.4, 0.2, 4)[:, None, None, None].expand(4, 3, 16, 16).clone()
    after = before.clone()
    after[0, :, :, :8] += 0.5
    after[3] += 0.5
    before[1], after[2] = -1, -1
    save(before, tmp_path / "before"), save(after, tmp_path / "after")
    registry = Registry(plugins=False)
    registry.add("domains", "shy", ShyDomain())
    return tmp_path, registry


def test_unreadable_pictures_are_counted_as_the_edits_doing_and_no_one_elses(shy):
    folder, registry = shy
    found = score_pairs(asked("shy", folder / "before", folder / "after", registry, target="light"), registry)
    records = numbers(found)
    identity, leakage = records["identity", ""], records["leakage", ""]
    assert (identity.n, identity.n_failed, identity.value) == (3, 1, pytest.approx((1 + 1 - 1) / 3))
    assert "1 pair passed over: no before picture to read" in identity.reason
    assert (leakage.n, leakage.n_failed) == (3, 1) and leakage.value > 10 / 3
    change = records["score_change", "light"]
    assert (change.n, change.n_failed, change.value) == (3, 1, pytest.approx((0.25 + 0.5) / 2, abs=0.01))
    assert found.readings.columns["locality"][[0, 3]] == pytest.approx([1, 0.5], abs=1e-6)
    assert records["region_share", ""].value == 0.5 and records["locality", ""].judge == "segmentation[shy]"
    assert records["perceptual", ""].status == "skipped" and "no judge for perceptual" in records["perceptual", ""].reason
    plain = score_pairs(asked("shy", folder / "before", folder / "after", registry, target="red"), registry)
    assert numbers(plain)["locality", ""].reason == "the domain names no region of red"


def test_what_was_not_edited_is_as_it_was(heads, tmp_path):
    shutil.copytree(heads / "few", tmp_path / "same")
    shutil.copytree(heads / "few", tmp_path / "few")
    found = numbers(scored(tmp_path, "same", before="few", target="yaw"))
    assert found["mse", ""].value == found["leakage", ""].value == found["target_effect", ""].value == 0
    assert found["identity", ""].value == pytest.approx(1) and found["ssim", ""].value == 1
    assert found["psnr", ""].status == "skipped" and "16 pairs left out" in found["psnr", ""].reason


def test_kid_of_pairs_leaves_out_pairs_of_one_original():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 3)), rng.normal(size=(40, 3)) + 0.5
    one = kid_of_pairs(a, b, np.ones((1, 40)))[0]
    kernel = (a @ b.T / 3 + 1) ** 3
    across = (kernel.sum() - np.trace(kernel)) / (40 * 39)
    assert one == pytest.approx(mmd2(a, b) + 2 * kernel.mean() - 2 * across)
    assert kid_of_pairs(a, a.copy(), np.ones((1, 40)))[0] == pytest.approx(0, abs=1e-12)


def broken(folder, what):
    """A folder of two pictures of 32 px, one of them spoilt."""
    save(torch.zeros(2, 3, 32, 32), folder)
    path = folder / "001.png"
    data = path.read_bytes()
    path.unlink()
    if what == "empty file":
        path.write_bytes(b"")
    elif what == "text":
        path.write_text("hello")
    elif what == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif what == "loop":
        path.symlink_to("001.png")
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "two":
        path.write_bytes(data), (folder / "001.PNG").write_bytes(data)
    elif what == "16 bits":
        Image.fromarray(np.zeros((32, 32), np.uint16)).save(path)
    elif what == "glass":
        Image.fromarray(np.zeros((32, 32, 4), np.uint8)).save(path)
    elif what == "size":
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path)
    elif what == "oblong":
        Image.fromarray(np.zeros((32, 16, 3), np.uint8)).save(path)
    elif what == "nothing":
        (folder / "000.png").unlink()
        (folder / "notes.txt").write_text("")
    return folder


@pytest.mark.parametrize(
    "what,message",
    [
        ("empty file", "001.png cannot be read as a picture (it is empty)"),
        ("text", "001.png cannot be read as a picture (no format is known)"),
        ("cut", "001.png cannot be read as a picture"),
        ("loop", "001.png is a broken or circular link"),
        ("folder", "001.png is no file"),
        ("pipe", "001.png is no file"),
        ("two", "001.PNG and 001.png: which one?"),
        ("16 bits", "pixel format I;16: save it with eight bits a channel"),
        ("glass", "001.png has transparent pixels"),
        ("size", "000.png has 32 x 32 px and"),
        ("oblong", "001.png is 16 x 32 px: crop pictures to squares"),
        ("gone", "--before has 2 pictures and --after 1; without a partner of the same name (endings aside): 001.png in"),
        ("nothing", ".bmp, .ppm, .tif, .tiff); it holds 1 other thing, such as notes.txt"),
    ],
)
def test_a_bad_folder_ends_in_one_line(tmp_path, capsys, what, message):
    before, after = save(torch.zeros(2, 3, 32, 32), tmp_path / "before"), broken(tmp_path / "after", what)
    out = tmp_path / "out"
    arguments = ["score", "--domain", "heads", "--before", str(before), "--after", str(after), "--out", str(out)]
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1] and lines[-1].startswith("latentbench: ") and not any("Traceback" in line for line in lines)
    assert not (out / "README.md").exists()


def test_folders_that_lead_back_to_themselves_are_passed_over(tmp_path, capsys):
    before, after = (save(torch.zeros(2, 3, 32, 32), tmp_path / name) for name in ("before", "after"))
    (after / "loop").symlink_to("..")
    (after / "._000.png").write_text("left by a file manager")
    out = str(tmp_path / "out")
    assert main(["score", "--domain", "heads", "--before", str(before), "--after", str(after), "--out", out]) == 0
    assert "2 pairs of heads" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments,message",
    [
        ([], "score directions with --directions FILE --generator NAME, or picture pairs with --domain NAME --before"),
        (["--before", "a"], "--before needs --after too"),
        (["--before", "a", "--after", "b", "--against", "sefa"], "--against is for directions and --before for picture pairs"),
        (["--before", "a", "--after", "b"], "what are the pictures of? Say it with --domain: digiface, faces, heads"),
        (["--before", "a", "--after", "a", "--domain", "heads"], "--before and --after are one folder"),
        (["--before", "a", "--after", "c", "--domain", "heads"], "--after c is no folder of pictures"),
        (["--before", "a", "--after", "b", "--domain", "heds"], "unknown domain 'heds': did you mean heads?"),
        (["--before", "a", "--after", "b", "--domain", "page.yaml"], "no domain file page.yaml"),
        (["--before", "a", "--after", "b", "--domain", "heads", "--target", "smil"], "did you mean smile?"),
        (["--before", "a", "--after", "b", "--domain", "heads", "--target", "smile,age"], "have one target, not 2"),
        (["--before", "a", "--after", "b", "--domain", "heads", "--sign", "-"], "name it with --target"),
        (["--before", "a", "--after", "b", "--domain", "heads", "--reference", "c"], "--reference c is no folder of pictures"),
        (["--before", "a", "--after", "b", "--domain", "heads", "--device", "tpu9"], "the device 'tpu9' cannot be used"),
    ],
)  # fmt: skip
def test_bad_options_end_in_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        save(torch.zeros(2, 3, 32, 32), tmp_path / name)
    assert main(["score", *arguments]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_page_of_prompts_is_a_domain_and_what_was_not_fetched_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LATENTBENCH_OFFLINE", "1")
    for name in ("LATENTBENCH_CACHE", "TORCH_HOME", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    page = "name: rooms\nattributes:\n  - {name: light, prompts: [a dark room, a bright room]}\n"
    (tmp_path / "rooms.yaml").write_text(page)
    save(torch.zeros(2, 3, 32, 32), tmp_path / "a"), save(torch.full((2, 3, 32, 32), 0.5), tmp_path / "b")
    assert main(["score", "--domain", "rooms.yaml", "--before", "a", "--after", "b", "--target", "light"]) == 0
    said = capsys.readouterr().out
    assert "effect, leakage, attribute dependency: the weights open-clip-vit-b-16-laion2b are not at hand" in said
    rows = read_records(tmp_path / "results" / "score-b" / "summary.csv")
    mse = next(r for r in rows if r.metric == "mse")
    assert mse.value == pytest.approx((63 / 127.5) ** 2, rel=1e-5) and mse.domain == "rooms"
