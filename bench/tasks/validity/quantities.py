"""The metrics that are put to the test: units, which way is worse, which judge reads them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A metric. reading: the judge's reading behind it, '' where no network is asked. worse: +1 where more is worse, else -1.

    what: the function that is called, and how where several ways are possible.
    """

    name: str
    worse: int
    unit: str
    reading: str
    what: str


def _all(reading: str, *lines: tuple[str, int, str, str]) -> tuple[Quantity, ...]:
    return tuple(Quantity(name, worse, unit, reading, what) for name, worse, unit, what in lines)


UP, DOWN = 1, -1  # worse when it goes up, worse when it goes down

QUANTITIES: tuple[Quantity, ...] = (
    *_all(
        "attributes",
        ("target_effect", DOWN, "sigma", "metrics.editing.TargetEffect"),
        ("rescoring_delta", DOWN, "sigma", "metrics.rescoring.rescoring_delta of scores in sigma"),
        ("reach", DOWN, "sigma", "metrics.reading.reach, capped at 1 sigma"),
        ("monotonicity", DOWN, "correlation", "metrics.effects.monotonicity along the path"),
        ("leakage", UP, "sigma", "metrics.editing.Leakage at a step of equal length"),
        ("leakage_at_effect", UP, "sigma", "leakage read at an equal judged effect (metrics.reading): the headline's form"),
        ("attribute_dependency", UP, "sigma", "metrics.editing.AttributeDependency"),
        ("attribute_change", UP, "sigma", "metrics.editing.AttributeChange: mean |mean change| of the others"),
        ("rescoring_matrix", UP, "sigma", "metrics.rescoring.rescoring_matrix: mean size off the diagonal"),
        ("effect_purity", DOWN, "share", "metrics.purity.effect_purity of the re-scoring matrix"),
        ("assignment_confidence", DOWN, "share", "metrics.assignment.assign, mean confidence"),
        ("guide_gap_abs", UP, "sigma", "metrics.editing.GuideGap: |guide's effect - judge's effect|"),
        ("edit_consistency", UP, "sigma", "metrics.identity.order_discrepancy of two edits in both orders"),
        ("inception_score", DOWN, "score", "metrics.inception_score of the judge's binary attributes, every combination a class"),
        ("editability_ratio", DOWN, "ratio", "metrics.inversion.editability: effect on inverted over effect on sampled codes"),
        ("editability_excess", UP, "sigma per sigma", "metrics.inversion.editability: leakage over effect, beyond sampled codes"),
    ),
    *_all(
        "identity",
        ("identity", DOWN, "cosine", "metrics.effects.identity_cosine"),
        ("identity_at_effect", DOWN, "cosine", "identity read at an equal judged effect (metrics.reading): the headline's form"),
        ("verification_rate", DOWN, "share", "metrics.identity.verification_rate at 1 % false accepts"),
    ),
    *_all(
        "perceptual",
        ("perceptual", UP, "distance", "metrics.perceptual.squared_distance"),
        ("ppl", UP, "distance", "metrics.path_length.perceptual_path_length, full, step 0.01"),
    ),
    *_all(
        "features",
        ("realism_loss", UP, "KID", "metrics.distribution.kid_difference of edited and unedited pictures"),
        ("fid", UP, "FID", "metrics.distribution.fid"),
        ("kid", UP, "KID", "metrics.distribution.kid over the whole sets"),
        ("precision", DOWN, "share", "metrics.distribution.precision_recall, k = 3"),
        ("recall", DOWN, "share", "metrics.distribution.precision_recall, k = 3"),
        ("density", DOWN, "ratio", "metrics.distribution.density_coverage, k = 5"),
        ("coverage", DOWN, "share", "metrics.distribution.density_coverage, k = 5"),
    ),
    *_all(
        "text_image",
        ("clip_score", DOWN, "score", "metrics.text.clip_score of the edited picture and the target's text"),
        ("directional_similarity", DOWN, "cosine", "metrics.text.directional_similarity"),
    ),
    *_all(
        "",
        ("mse_outside", UP, "squared", "metrics.perceptual.mse outside the target's true region"),
        ("locality", DOWN, "share", "metrics.perceptual.locality in the target's true region"),
        ("mse", UP, "squared", "metrics.perceptual.mse"),
        ("psnr", DOWN, "dB", "metrics.perceptual.psnr"),
        ("ssim", DOWN, "score", "metrics.perceptual.ssim"),
        ("ms_ssim_3", DOWN, "score", "metrics.perceptual.ms_ssim of three scales"),
        ("sliced_wasserstein", UP, "distance", "metrics.distribution.sliced_wasserstein_levels, mean over levels"),
        ("hessian_penalty", UP, "squared", "metrics.hessian.hessian_penalty of the pictures, mean"),
        ("mig", DOWN, "share", "metrics.information.mig"),
        ("sap", DOWN, "share", "metrics.predictability.sap of continuous factors"),
        ("dci_disentanglement", DOWN, "share", "metrics.dci.dci, fast trees"),
        ("dci_completeness", DOWN, "share", "metrics.dci.dci, fast trees"),
        ("dci_informativeness", DOWN, "share", "metrics.dci.dci, fast trees"),
        ("modularity", DOWN, "share", "metrics.information.modularity"),
        ("irs", DOWN, "share", "metrics.irs.irs"),
        ("factor_vae", DOWN, "accuracy", "metrics.vae_scores.factor_vae_score"),
        ("beta_vae", DOWN, "accuracy", "metrics.vae_scores.beta_vae_score"),
        ("explicitness", DOWN, "AUC", "metrics.predictability.explicitness"),
        ("linear_separability", UP, "score", "metrics.separability.linear_separability"),
        ("boundary_accuracy", DOWN, "accuracy", "metrics.separability.boundary_accuracy of fitted boundaries, held out"),
        ("total_correlation", UP, "nats", "metrics.information.gaussian_total_correlation"),
        ("wasserstein_correlation", UP, "squared", "metrics.information.gaussian_wasserstein_correlation"),
        ("mahalanobis", UP, "distance", "metrics.inversion.mahalanobis"),
        ("p_norm", UP, "squared", "metrics.inversion.p_norm"),
        ("distance_to_mean", UP, "distance", "metrics.inversion.distance_to_mean"),
        ("latent_editing_consistency", UP, "distance", "metrics.inversion.latent_editing_consistency"),
        ("unit_iou", DOWN, "share", "metrics.localisation.unit_iou, mean over units of the best label's"),
        ("ablation_effect", DOWN, "share", "metrics.localisation.ablation_effect"),
        ("insertion_effect", DOWN, "share", "metrics.localisation.insertion_effect"),
        ("causal_effect", DOWN, "ratio", "metrics.localisation.causal_effect over the concept's presence"),
    ),
)  # fmt: skip

BY_NAME = {one.name: one for one in QUANTITIES}
