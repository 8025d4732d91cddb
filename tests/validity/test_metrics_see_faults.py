"""Every metric still sees the fault that it is there for, at a reduced size; one that is broken is found out."""

import numpy as np
import pytest

from bench.tasks.validity import representations
from bench.tasks.validity.expectations import EXPECTED
from bench.tasks.validity.quantities import BY_NAME
from bench.tasks.validity.verdicts import BLIND, MISLED, SEES

# Metric -> the fault that it is there for.
ESSENTIAL = {
    "edit_shrink": "target_effect rescoring_delta reach",
    "edit_wrong_way": "monotonicity",
    "edit_leak": "leakage leakage_at_effect attribute_dependency attribute_change rescoring_matrix effect_purity "
    "assignment_confidence mse_outside locality",
    "edit_identity": "identity identity_at_effect verification_rate",
    "edit_blur": "perceptual realism_loss",
    "edit_fooling": "guide_gap_abs",
    "edit_order": "edit_consistency",
    "codes_rotation": "mig sap dci_disentanglement dci_completeness modularity irs factor_vae",
    "codes_noise": "dci_informativeness explicitness linear_separability boundary_accuracy",
    "codes_drop": "beta_vae",
    "codes_leak": "total_correlation wasserstein_correlation",
    "map_bent": "ppl hessian_penalty",
    "pictures_blur": "mse psnr ssim ms_ssim_3 fid kid precision density sliced_wasserstein",
    "set_mode": "recall coverage inception_score",
    "inversion_outward": "mahalanobis p_norm distance_to_mean editability_ratio editability_excess",
    "inversion_noise": "latent_editing_consistency",
    "units_shift": "unit_iou",
    "intervention_weak": "ablation_effect insertion_effect causal_effect",
}
TEXT = {"clip_score": "edit_shrink", "directional_similarity": "edit_leak"}
PAIRS = [(fault, metric) for fault, metrics in ESSENTIAL.items() for metric in metrics.split()]


@pytest.fixture(scope="module")
def result(planted):
    return planted.run(*ESSENTIAL)


@pytest.fixture(scope="module")
def verdicts(planted, result):
    return planted.verdicts(result)


def test_no_metric_is_forgotten():
    assert {metric for _, metric in PAIRS} | set(TEXT) == set(BY_NAME)


@pytest.mark.parametrize("fault, metric", PAIRS)
def test_sees_its_fault(verdicts, fault, metric):
    assert verdicts[fault, metric] == SEES


@pytest.mark.parametrize("metric, fault", TEXT.items())
def test_text_metrics_see_theirs_where_there_is_a_judge(verdicts, result, metric, fault):
    if metric in result.facts["absent"]:
        assert "text_image" in result.facts["absent"][metric]
        return
    assert verdicts[fault, metric] == SEES


def test_everything_that_is_expected_is_measured(result):
    absent = set(result.facts["absent"])
    wanted = {pair for pair in EXPECTED if pair[0] in ESSENTIAL and pair[1] not in absent}
    assert {(pair["fault"], pair["metric"]) for pair in result.facts["pairs"]} == wanted
    assert set(result.arrays) == {"/".join(pair) for pair in wanted}
    assert all(np.isfinite(values[:, 0]).all() and not np.isnan(values).any() for values in result.arrays.values())


def test_reading_at_equal_effect_is_what_makes_edits_comparable(verdicts):
    assert verdicts["edit_shrink", "leakage"] == MISLED  # at equal strength an edit that does less looks cleaner
    assert verdicts["edit_shrink", "perceptual"] == MISLED
    assert verdicts["edit_shrink", "attribute_dependency"] == BLIND
    assert verdicts["edit_leak", "target_effect"] == BLIND
    assert verdicts["edit_leak", "verification_rate"] == BLIND


def test_a_broken_metric_is_found_out(planted, monkeypatch):
    true = representations.sap
    monkeypatch.setattr(representations, "mig", lambda codes, factors: 0.7)
    monkeypatch.setattr(representations, "sap", lambda *arrays, continuous: -true(*arrays, continuous=continuous))
    found = planted.verdicts(planted.run("codes_noise"))
    assert found["codes_noise", "mig"] == BLIND and found["codes_noise", "sap"] == MISLED
    assert found["codes_noise", "explicitness"] == SEES
