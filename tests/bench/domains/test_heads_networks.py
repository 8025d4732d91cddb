"""The shipped guides and judges of heads: they read what their cards say, row by row, and damage ends in one clear error."""

import hashlib
import json
import shutil

import pytest
import torch

from bench.domains.base import READINGS
from bench.domains.heads.domain import WEIGHTS, HeadsDomain, heads, heads_info
from bench.domains.heads.factors import CLASSES, FACTORS, NAMES
from bench.domains.heads.networks import N_FEATURES, SPECS, HeadsNetwork, Trunk, folded_state, prepared, scales, spec
from bench.errors import InputError
from bench.generators.weights import load_card
from bench.tasks.editing.judged import judges_of
from bench.tasks.editing.protocol import READINGS as READINGS_OF_EDITING
from bench.tasks.editing.protocol import REGIONS, EditingSettings
from bench.tasks.editing.task import EditingTask
from bench.training.heads_cards import figures, sweep
from bench.training.heads_pool import Pool, person_factors, render_bytes


@pytest.fixture(scope="module")
def domain() -> HeadsDomain:
    return heads()


def rendered(pairs: int, seed: int, independent: bool) -> Pool:
    rows = person_factors(pairs, seed=seed, independent=independent)
    return Pool(render_bytes(rows), rows)


@pytest.fixture(scope="module")
def pools() -> dict[str, Pool]:
    """Renders that neither training nor the cards have seen."""
    return {"independent": rendered(500, 31, True), "correlated": rendered(100, 32, False), "one_factor": sweep(10, seed=33)}


def near(measured, stated, path: str, tolerance) -> None:
    """Compare two trees of numbers leaf by leaf; `tolerance` gives the allowed difference for a path and its stated value."""
    if isinstance(stated, dict):
        for key in stated:
            near(measured[key], stated[key], f"{path}.{key}", tolerance)
    elif isinstance(stated, list):
        for i, (a, b) in enumerate(zip(measured, stated, strict=True)):
            near(a, b, f"{path}.{i}", tolerance)
    else:
        assert abs(measured - stated) <= tolerance(path, stated), f"{path}: measured {measured}, the card says {stated}"


def allowed(path: str, stated: float) -> float:
    """Somewhat more than samples of this size were seen to differ by."""
    if "auc" in path:
        return 0.01
    if "r2" in path:
        return (0.06 if "probe" in path else 0.02) + 0.25 * (1 - stated)  # a probe fitted on fewer rows reads a little less
    if "floor" in path:
        return 0.05
    return 0.2 + 0.25 * abs(stated)  # changes over a factor's range, from ten bases


@pytest.mark.parametrize("name", SPECS)
def test_figures_are_the_cards(domain, pools, name):
    card = load_card(WEIGHTS / f"{name}.json")
    measured = figures(domain.network(name), **pools)
    for key, value in measured.items():
        near(value, card[key], key, allowed)


def test_judge_of_attributes_is_good_enough():
    held_out = load_card(WEIGHTS / "heads-attributes.json")["held_out"]["independent"]
    assert sum(v >= 0.95 for v in held_out["r2"].values()) >= 12 and min(held_out["r2"].values()) > 0.8
    assert min(held_out["auc"].values()) >= 0.995


def test_identity_holds_across_everything_else():
    for name in ("heads-id", "heads-guide-id"):
        assert load_card(WEIGHTS / f"{name}.json")["held_out"]["independent"]["verification_auc"] >= 0.95


def test_judge_confuses_little_and_reads_the_factor_that_moved():
    talk = torch.tensor(load_card(WEIGHTS / "heads-attributes.json")["cross_talk"])
    assert (talk.argmax(0) == torch.arange(len(FACTORS))).all() and (talk.argmax(1) == torch.arange(len(FACTORS))).all()
    off = talk - torch.diag(talk.diag())
    assert off.sum() / (off.numel() - len(FACTORS)) < 0.15 * talk.diag().mean()


@pytest.mark.parametrize("name", SPECS)
def test_card_belongs_to_its_weights(domain, name):
    card, network = load_card(WEIGHTS / f"{name}.json"), domain.network(name)
    assert card["sha256"] == hashlib.sha256((WEIGHTS / f"{name}.safetensors").read_bytes()).hexdigest()
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert card["architecture"]["widths"] == list(spec(name).widths)
    assert card["drop_on_gan_pictures"] is not None or card["drop_on_gan_pictures_reason"]


def test_weights_are_small():
    assert sum(path.stat().st_size for path in WEIGHTS.glob("heads-*.safetensors") if path.stem in SPECS) < 6e6


@pytest.mark.parametrize("name", SPECS)
def test_readings_have_their_shapes_and_a_row_is_its_pictures_alone(domain, pools, name):
    network, images = domain.network(name), pools["independent"].pictures(slice(0, 9))
    together = network.measure(images)
    assert set(together) == network.readings <= set(READINGS)
    for key, value in together.items():
        assert value.dtype == torch.float32 and value.shape[0] == 9 and value.dim() == 2
        scale = value.std(0).clamp_min(1e-3) if key == "attributes" else 1.0
        for row in (0, 4):
            alone = network.measure(images[row : row + 1])[key]
            assert ((alone[0] - value[row]) / scale).abs().max() < 1e-5
    if network.spec.kind == "attributes":
        assert network.names == NAMES and together["attributes"].shape[1] == len(NAMES)
    if network.spec.kind == "identity":
        assert torch.allclose(together["identity"].norm(dim=1), torch.ones(9), atol=1e-5)
    if network.spec.kind == "features":
        assert together["features"].shape[1] == N_FEATURES


@pytest.mark.parametrize("name", ["heads-features", "heads-guide-features"])
def test_perceptual_distance_grows_with_the_change(domain, pools, name):
    images = pools["independent"].pictures(slice(0, 16))
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    base = domain.network(name).measure(images)["perceptual"]
    distances = []
    for strength in (0.0, 0.02, 0.1, 0.5):
        other = domain.network(name).measure((images + strength * noise).clamp(-1, 1))["perceptual"]
        distances.append(float((other - base).square().sum(1).mean()))
    assert distances[0] == 0 and distances == sorted(distances) and 1e-4 < distances[1] < distances[3] < 12


def test_pictures_of_other_sizes_and_values(domain, pools):
    images = pools["independent"].pictures(slice(0, 4))
    judge = domain.judge("attributes")
    doubled = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(judge.measure(doubled)["attributes"], judge.measure(images)["attributes"], atol=1e-3)
    assert prepared(images[:, :, :48, :48]).shape == (4, 3, 64, 64)
    assert torch.equal(prepared(images * 3), (images * 3).clamp(-1, 1))
    for shape in ((4, 1, 64, 64), (3, 64, 64), (1, 3, 64, 32)):
        with pytest.raises(InputError, match="reads pictures"):
            prepared(torch.zeros(shape))


def test_guides_are_differentiable_and_frozen(domain, pools):
    guide = domain.guide("attributes")
    assert not any(p.requires_grad for p in guide.parameters()) and not guide.training
    images = pools["independent"].pictures(slice(0, 2)).mul(0.9).requires_grad_()
    guide.measure(images)["attributes"][:, NAMES.index("smile")].sum().backward()
    assert torch.isfinite(images.grad).all() and images.grad.abs().sum() > 0


def test_card_of_the_domain():
    info = heads_info()
    assert info.names == NAMES and info.regions == CLASSES
    assert info.judges == {
        "attributes": "heads-attributes", "identity": "heads-id", "perceptual": "heads-features", "features": "heads-features",
        "segmentation": "heads-segmentation", "text_image": "heads-text",
    }  # fmt: skip
    assert info.guides == {role: name.replace("heads-", "heads-guide-") for role, name in info.judges.items()}
    assert info.attribute("glasses").kind == "binary" and info.attribute("yaw").low == -35
    with pytest.raises(InputError, match="did you mean smile"):
        info.attribute("smille")


def test_a_guide_is_no_judge(domain):
    for role in ("attributes", "identity", "features"):
        guide, judge = domain.guide(role), domain.judge(role)
        assert guide.fingerprint != judge.fingerprint and guide.spec.family != judge.spec.family
        assert judge.spec.independent and not guide.spec.independent


def test_words_do_not_judge_edits(domain):
    """A reading enters a task's question by that task's will alone, and not because a domain learnt it."""
    assert "text_image" in domain.info.judges and set(judges_of(domain)) == {*READINGS_OF_EDITING, REGIONS}
    asked = EditingTask().protocol(EditingSettings(targets=("smile",)), domain, 0)
    assert set(asked["judges"]) == {"attributes", "identity", "perceptual", "features", "segmentation"}


def test_scales_are_those_of_the_table():
    centre, spread = scales()
    assert centre[NAMES.index("yaw")] == 0 and spread[NAMES.index("yaw")] == pytest.approx(70 / 12**0.5)
    assert spread[NAMES.index("glasses")] == 1


@pytest.mark.parametrize("name", ["heads-id", "heads-guide-id"])
def test_folding_changes_nothing(name):
    trunk = Trunk(spec(name), folded=False)
    generator = torch.Generator().manual_seed(0)
    for module in trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
            module.bias.data.normal_(generator=generator)
    images = torch.rand(3, 3, 64, 64, generator=generator) * 2 - 1
    folded = Trunk(spec(name))
    folded.load_state_dict(folded_state(trunk))
    with torch.no_grad():
        assert torch.allclose(trunk.eval()(images)[1], folded(images)[1], atol=1e-3, rtol=1e-3)


def copied(tmp_path, name="heads-id") -> HeadsDomain:
    for suffix in ("json", "safetensors"):
        shutil.copy(WEIGHTS / f"{name}.{suffix}", tmp_path)
    return HeadsDomain(tmp_path)


def test_missing_and_damaged_weights(tmp_path):
    with pytest.raises(InputError, match="not installed"):
        HeadsDomain(tmp_path).network("heads-id")
    domain = copied(tmp_path)
    path = tmp_path / "heads-id.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="SHA-256"):
        domain.network("heads-id")
    path.write_bytes(whole)
    assert isinstance(domain.network("heads-id"), HeadsNetwork)
    path.unlink()
    with pytest.raises(InputError, match="no weights"):
        HeadsDomain(tmp_path).network("heads-id")


def test_weights_of_another_network(tmp_path):
    for suffix in ("json", "safetensors"):
        shutil.copy(WEIGHTS / f"heads-guide-id.{suffix}", tmp_path / f"heads-id.{suffix}")
    with pytest.raises(InputError, match="do not fit"):
        HeadsDomain(tmp_path).network("heads-id")


def test_broken_card(tmp_path):
    domain = copied(tmp_path)
    (tmp_path / "heads-id.json").write_text(json.dumps(["no", "card"]))
    with pytest.raises(InputError, match="install the package again"):
        domain.network("heads-id")


def test_unknown_network(domain):
    with pytest.raises(InputError, match="did you mean heads-id"):
        domain.network("heads-di")
