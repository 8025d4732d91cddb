"""Metrics of a latent space and of its directions against known or judged factors, under one name.

Codes are [N, D], factors [N, K], one row a sample. Each family has a module of its own; this one hands their names on.
"""

from metrics.dci import DCI, dci, dci_from_importance
from metrics.effects import attribute_dependency
from metrics.hessian import hessian_penalties, hessian_penalty, rademacher
from metrics.information import (
    gaussian_total_correlation,
    gaussian_wasserstein_correlation,
    mig,
    modularity,
    mutual_information,
)
from metrics.irs import irs, robustness
from metrics.path_length import PathLength, filtered_mean, lerp, perceptual_path_length, slerp
from metrics.predictability import explicitness, explicitness_per_factor, sap, sap_matrix
from metrics.purity import component_purity, effect_purity
from metrics.separability import (
    Boundary,
    boundary_accuracy,
    conditional_entropy,
    fit_boundary,
    linear_separability,
    separability_entropies,
)
from metrics.vae_scores import (
    beta_vae_batches,
    beta_vae_batches_from,
    beta_vae_score,
    factor_vae_batches,
    factor_vae_batches_from,
    factor_vae_score,
    mean_differences,
    minibatch_variances,
)

__all__ = [
    "DCI",
    "Boundary",
    "PathLength",
    "attribute_dependency",
    "beta_vae_batches",
    "beta_vae_batches_from",
    "beta_vae_score",
    "boundary_accuracy",
    "component_purity",
    "conditional_entropy",
    "dci",
    "dci_from_importance",
    "effect_purity",
    "explicitness",
    "explicitness_per_factor",
    "factor_vae_batches",
    "factor_vae_batches_from",
    "factor_vae_score",
    "filtered_mean",
    "fit_boundary",
    "gaussian_total_correlation",
    "gaussian_wasserstein_correlation",
    "hessian_penalties",
    "hessian_penalty",
    "irs",
    "lerp",
    "linear_separability",
    "mean_differences",
    "mig",
    "minibatch_variances",
    "modularity",
    "mutual_information",
    "perceptual_path_length",
    "rademacher",
    "robustness",
    "sap",
    "sap_matrix",
    "separability_entropies",
    "slerp",
]
