"""What every metric is expected to do under every fault, and why: written down from definitions, before anything was measured.

worse: it moves monotonically toward worse. better: it moves toward better, so that it misleads. unchanged: the fault is none to
it (an invariance). blind: the fault is one, and the metric is known not to see it. A pair that is not listed is not measured.
Where a measurement disagrees the disagreement is reported; a word is corrected only where the thought behind it was wrong, and
then `was` keeps the first word and the reason says what was overlooked.
"""

from __future__ import annotations

from dataclasses import dataclass

WORDS = ("worse", "better", "unchanged", "blind")


@dataclass(frozen=True)
class Expectation:
    """One pair. was: the word that stood here before the first measurement, where it has been corrected since."""

    fault: str
    metric: str
    word: str
    reason: str
    was: str = ""


def _rows(fault: str, *lines: tuple[str, ...]) -> tuple[Expectation, ...]:
    """Lines of (word, metrics, reason), and for a corrected word the first one."""
    return tuple(Expectation(fault, metric, word, why, *was) for word, metrics, why, *was in lines for metric in metrics.split())


MEANS = "attribute_change rescoring_matrix effect_purity assignment_confidence"

EDITS = (
    *_rows(
        "edit_rotation",
        ("worse", "target_effect rescoring_delta reach monotonicity clip_score directional_similarity",
         "a turned step has less of the target in it"),
        ("worse", f"leakage leakage_at_effect attribute_dependency {MEANS} mse_outside locality perceptual",
         "what the step no longer gives the target it gives to all others"),
        ("worse", "identity identity_at_effect verification_rate", "a turned step moves factors of identity too"),
        ("worse", "realism_loss", "a turned step leads along axes on which samples hardly vary"),
        ("blind", "guide_gap_abs", "guide and judge see the same wrong edit"),
    ),
    *_rows(
        "edit_leak",
        ("worse", f"leakage leakage_at_effect attribute_dependency {MEANS}", "another attribute changes along with the target"),
        ("worse", "mse_outside locality perceptual directional_similarity", "the picture also changes where the target is not"),
        ("worse", "realism_loss", "all edited pictures lie at one end of another attribute"),
        ("blind", "target_effect rescoring_delta reach monotonicity clip_score", "they look at the target alone"),
        ("blind", "identity identity_at_effect verification_rate", "what leaks is no part of identity"),
        ("blind", "guide_gap_abs", "guide and judge see the same leak"),
    ),
    *_rows(
        "edit_shrink",
        ("worse", "target_effect rescoring_delta reach clip_score", "less of the target changes"),
        ("better", "leakage perceptual mse_outside realism_loss",
         "an edit that does less also harms less: why edits are compared at equal effect"),
        ("blind", "attribute_change rescoring_matrix identity verification_rate",
         "the true edit costs next to none of these, so that a shorter one saves none", "better"),
        ("better", "guide_gap_abs", "a gap in proportion to the effect"),
        ("unchanged", "leakage_at_effect identity_at_effect attribute_dependency",
         "read at an equal effect, the step's length falls out"),
        ("unchanged", "effect_purity assignment_confidence monotonicity directional_similarity",
         "shares, ranks and directions do not depend on the step's length"),
        ("better", "locality", "a shorter step moves outlines less far, and less of its change leaves the region", "unchanged"),
    ),
    *_rows(
        "edit_noise",
        ("worse", "leakage leakage_at_effect attribute_dependency perceptual mse_outside locality directional_similarity",
         "every code's other attributes change, another way in each"),
        ("worse", MEANS, "what goes another way in each code cancels in a mean over few codes only in part"),
        ("worse", "identity identity_at_effect verification_rate", "noise moves factors of identity"),
        ("worse", "monotonicity", "noise grows with strength and moves the target back and forth"),
        ("worse", "realism_loss", "codes scatter wider than samples do"),
        ("blind", "target_effect rescoring_delta reach clip_score guide_gap_abs",
         "in the mean noise pushes the target neither way"),
    ),
    *_rows(
        "edit_identity",
        ("worse", "identity identity_at_effect verification_rate", "another person"),
        ("worse", "leakage leakage_at_effect attribute_dependency", "factors of identity are judged attributes"),
        ("worse", MEANS, "what goes another way in each code cancels in a mean over few codes only in part"),
        ("worse", "perceptual mse_outside locality directional_similarity", "the whole face changes"),
        ("blind", "target_effect rescoring_delta reach monotonicity clip_score", "they look at the target alone"),
        ("blind", "realism_loss", "another person is as likely as this one"),
        ("blind", "guide_gap_abs", "guide and judge see the same person"),
    ),
    *_rows(
        "edit_wrong_way",
        ("worse", "target_effect rescoring_delta reach monotonicity clip_score directional_similarity",
         "the target falls where it should rise"),
        ("worse", "leakage_at_effect identity_at_effect", "the mean effect needs a longer step"),
        ("worse", "effect_purity assignment_confidence", "the mean effect cancels, its noise does not"),
        ("blind", "attribute_change rescoring_matrix",
         "side effects of either way would cancel in the mean, but the true edit has none", "better"),
        ("better", "realism_loss", "up and down together keep the mean of the pictures where it was"),
        ("blind", "leakage identity verification_rate perceptual mse_outside locality guide_gap_abs",
         "they do not ask which way"),
        ("blind", "attribute_dependency", "codes that do not get to the effect are left out"),
    ),
    *_rows(
        "edit_shuffle",
        ("worse", "target_effect rescoring_delta reach monotonicity clip_score directional_similarity",
         "half of the codes keep their target as it was"),
        ("worse", f"leakage leakage_at_effect identity_at_effect {MEANS}", "another attribute changes in the target's place"),
        ("worse", "mse_outside locality", "the change lies in another target's region"),
        ("better", "guide_gap_abs", "no effect, no gap"),
        ("blind", "attribute_dependency", "codes that do not get to the effect are left out"),
        ("unchanged", "identity verification_rate perceptual", "the same pictures under other names"),
        ("better", "realism_loss", "a mix of edits shifts the mean of the pictures less than one edit does", "unchanged"),
    ),
    *_rows(
        "edit_blur",
        ("worse", "realism_loss perceptual mse_outside locality directional_similarity", "the whole picture is damaged"),
        ("worse", f"leakage leakage_at_effect attribute_dependency {MEANS}", "judges take blur for other attributes"),
        ("worse", "identity identity_at_effect verification_rate", "what makes a face is blurred away"),
        ("worse", "target_effect rescoring_delta reach", "small features are blurred away"),
        ("worse", "guide_gap_abs", "two networks read a blurred picture in two ways"),
        ("worse", "monotonicity", "the unedited picture is not blurred: the first step carries all of the damage", "blind"),
        ("blind", "clip_score", "what the text says can still be seen"),
    ),
    *_rows(
        "edit_fooling",
        ("worse", "guide_gap_abs", "the guide is pleased, the judge should not be"),
        ("worse", "realism_loss perceptual mse_outside locality directional_similarity", "a pattern lies over the whole picture"),
        ("blind", "target_effect rescoring_delta reach monotonicity clip_score", "a judge of other weights is not fooled"),
        ("blind", f"leakage leakage_at_effect attribute_dependency {MEANS}", "the pattern shows no attribute"),
        ("blind", "identity identity_at_effect verification_rate", "the pattern shows no person"),
    ),
    *_rows("edit_order", ("worse", "edit_consistency", "the result depends on the order of edits")),
)  # fmt: skip

READERS = "explicitness linear_separability boundary_accuracy"
CORRELATIONS = "total_correlation wasserstein_correlation"
ALIGNED = "mig sap dci_disentanglement dci_completeness modularity irs factor_vae"

REPRESENTATIONS = (
    *_rows(
        "codes_rotation",
        ("worse", f"{ALIGNED} dci_informativeness", "no code stands for one factor; trees split along codes"),
        ("blind", "beta_vae", "a linear reader of differences finds the fixed factor in any basis"),
        ("unchanged", READERS, "linear readers undo a rotation"),
        ("blind", CORRELATIONS, "independent normals stay so in any basis"),
    ),
    *_rows(
        "codes_noise",
        ("worse", f"mig sap irs dci_informativeness {READERS}", "factors are told less surely"),
        ("worse", "dci_disentanglement dci_completeness modularity", "chance takes a larger share of what little is told"),
        ("worse", "factor_vae beta_vae",
         "noise as large as the code halves the fixed factor's part of the variance, which 64 rows do not always tell", "blind"),
        ("blind", "total_correlation", "independent noise correlates with nothing"),
        ("worse", "wasserstein_correlation", "it is in squared units, and noise makes the codes larger", "blind"),
    ),
    *_rows(
        "codes_leak",
        ("worse", "mig sap dci_disentanglement dci_completeness dci_informativeness modularity irs", "a code tells two factors"),
        ("blind", "factor_vae", "what a code tells beside its main factor is not asked"),
        ("blind", "beta_vae", "a linear reader of differences undoes the mix"),
        ("unchanged", READERS, "linear readers undo an invertible mix"),
        ("worse", CORRELATIONS, "neighbours share a factor"),
    ),
    *_rows(
        "codes_drop",
        ("worse", f"mig sap dci_disentanglement dci_completeness dci_informativeness factor_vae beta_vae {READERS}",
         "half of the factors are not told"),
        ("blind", "modularity irs", "they ask what codes tell, not whether all factors are told"),
        ("better", CORRELATIONS, "fewer codes, fewer chance correlations"),
    ),
    *_rows(
        "codes_copy",
        ("worse", "mig sap dci_completeness", "two codes tell each factor"),
        ("blind", f"dci_disentanglement dci_informativeness modularity irs factor_vae beta_vae {READERS}",
         "each code still tells one factor, and all are told"),
        ("worse", CORRELATIONS, "a copy correlates with its original"),
    ),
    *_rows(
        "codes_padding",
        ("worse", "modularity irs", "means over codes count those that tell nothing"),
        ("blind", f"mig sap dci_disentanglement dci_completeness dci_informativeness factor_vae beta_vae {READERS}",
         "codes that tell nothing hardly weigh"),
        ("worse", CORRELATIONS, "more codes, more chance correlations"),
    ),
    *_rows(
        "codes_permutation",
        ("unchanged", f"{ALIGNED} dci_informativeness beta_vae {READERS} {CORRELATIONS}", "names of codes do not count"),
    ),
    *_rows(
        "codes_scaling",
        ("unchanged", f"{ALIGNED} dci_informativeness beta_vae {READERS} total_correlation", "units of codes should not count"),
        ("worse", "wasserstein_correlation", "it is in squared units of the codes"),
    ),
)  # fmt: skip

MAPS = (
    *_rows(
        "map_rough",
        ("worse", "ppl", "small steps of the code make large steps of the picture"),
        ("worse", "hessian_penalty", "factors interact in the picture, and the ripple makes their steps larger"),
    ),
    *_rows(
        "map_bent",
        ("worse", "ppl", "small steps of the code make large steps of the picture"),
        ("worse", "hessian_penalty", "what a coordinate does depends on another"),
    ),
    *_rows("map_collapse", ("better", "ppl hessian_penalty", "a generator that hardly varies is smooth")),
)

PAIRS = "mse psnr ssim ms_ssim_3 perceptual identity"
NEIGHBOURS = "precision recall density coverage"

PICTURES = (
    *_rows(
        "pictures_blur",
        ("worse", f"{PAIRS} fid kid {NEIGHBOURS} sliced_wasserstein", "damage that every picture shows"),
        ("worse", "inception_score", "classes are told less surely"),
    ),
    *_rows(
        "pictures_noise",
        ("worse", f"{PAIRS} fid kid {NEIGHBOURS} sliced_wasserstein", "damage that every picture shows"),
        ("worse", "inception_score", "classes are told less surely"),
    ),
    *_rows(
        "pictures_brightness",
        ("worse", f"{PAIRS} fid kid {NEIGHBOURS}", "damage that every picture shows"),
        ("blind", "sliced_wasserstein", "patches are brought to zero mean over each set"),
        ("blind", "inception_score", "the classes are still told"),
    ),
    *_rows(
        "pictures_shift",
        ("worse", f"{PAIRS} fid kid {NEIGHBOURS}", "features and pixels know where things are"),
        ("worse", "sliced_wasserstein", "at 16 px a patch of 7 px holds half of the face: there it sees the layout", "blind"),
        ("blind", "inception_score", "the classes are still told"),
    ),
    *_rows(
        "set_mode",
        ("worse", "fid kid recall coverage sliced_wasserstein", "a part of the real pictures has no like"),
        ("blind", "precision density", "what is left is real"),
        ("worse", "inception_score", "a class is lost"),
    ),
    *_rows(
        "set_truncation",
        ("worse", "fid kid recall coverage sliced_wasserstein", "the pictures vary less than real ones"),
        ("better", "precision density", "the middle of the distribution is the safest place"),
        ("worse", "inception_score", "classes are less sure and less even near the middle"),
    ),
    *_rows(
        "set_copies",
        ("worse", "fid kid recall coverage sliced_wasserstein", "few pictures stand for many"),
        ("blind", "precision density inception_score", "each copy is as real as its original"),
    ),
)  # fmt: skip

REBUILT = "mse psnr ssim perceptual identity"
FAR_OUT = "mahalanobis p_norm distance_to_mean"

INVERSIONS = (
    *_rows(
        "inversion_noise",
        ("worse", f"{REBUILT} latent_editing_consistency", "the code is of another picture"),
        ("worse", FAR_OUT, "noise leads outward"),
        ("blind", "editability_ratio editability_excess", "steps from noisy codes do as much"),
    ),
    *_rows(
        "inversion_mean",
        ("worse", f"{REBUILT} latent_editing_consistency", "the code is of another picture"),
        ("better", FAR_OUT, "no code is nearer to the samples' mean than the mean"),
        ("better", "editability_ratio editability_excess", "factors have the most room to move in the middle of their range"),
    ),
    *_rows(
        "inversion_outward",
        ("worse", f"{REBUILT} latent_editing_consistency", "the code is of another picture"),
        ("worse", FAR_OUT, "codes lie farther out than samples"),
        ("worse", "editability_ratio editability_excess", "factors near their ends have no room left to move"),
    ),
)

EFFECTS = "ablation_effect insertion_effect causal_effect"

UNITS = (
    *_rows("units_shift", ("worse", "unit_iou", "units are active beside their concepts")),
    *_rows("units_noise", ("worse", "unit_iou", "the most active pixels lie anywhere")),
    *_rows("units_mix", ("worse", "unit_iou", "only half of a unit's pixels are of one concept")),
    *_rows("units_permutation", ("unchanged", "unit_iou", "names of units do not count")),
    *_rows("units_scaling", ("unchanged", "unit_iou", "a quantile does not depend on scale")),
    *_rows("intervention_weak", ("worse", EFFECTS, "the concept stays as it was")),
    *_rows("intervention_spill", ("blind", EFFECTS, "they look at their own concept alone")),
)

EXPECTATIONS: tuple[Expectation, ...] = (*EDITS, *REPRESENTATIONS, *MAPS, *PICTURES, *INVERSIONS, *UNITS)
EXPECTED = {(one.fault, one.metric): one for one in EXPECTATIONS}
