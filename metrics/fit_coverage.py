"""What intervals over few fits hold: the truth to print beside them.

Records of tasks carry the plain percentile interval of replicates that draw codes and fits anew (replicates.over_fits). It never
leaves the range of the fits, so that few of them show too little; how little depends on the share of the uncertainty that is
theirs, which few fits cannot tell. statistics.crossed_bootstrap widens for few fits: coverage_with_fits measures that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.streams import stream_rng
from metrics.replicates import bootstrap_weights, fit_weights, interval


class FitCoverage(NamedTuple):
    """Shares of simulations in which a 95 % interval holds the truth.

    fits_alone, halves, codes_alone: where all, half and none of the variance of the mean comes from fits, the rest from codes.
    """

    fits_alone: float
    halves: float
    codes_alone: float


def percentile_coverage(
    fits: int, *, codes: int = 64, simulations: int = 2000, replicates: int = 1000, seed: int = 0
) -> FitCoverage:
    """Coverage of the percentile interval over so many fits and codes, by simulation (half a second).

    value [f, i] = effect of fit f + effect of code i, all normal; the interval is that of the mean over both, under
    bootstrap_weights times fit_weights. Standard error of a coverage of 95 % from 2,000 simulations: 0.5 %. Raises ValueError for
    fewer than two fits or codes.
    """
    if fits < 2 or codes < 2:
        raise ValueError(f"fits and codes must be at least 2, not {fits} and {codes}")
    rng = stream_rng("percentile-coverage", seed, fits, codes)
    # Effects whose means over fits and over codes have the variance 1.
    of_fits = np.sqrt(fits) * rng.normal(size=(fits, simulations))
    of_codes = np.sqrt(codes) * rng.normal(size=(codes, simulations))
    drawn = bootstrap_weights(np.arange(codes), replicates, seed)
    by_code = (drawn / drawn.sum(1, keepdims=True)) @ of_codes
    by_fit = fit_weights(fits, replicates, seed) / fits @ of_fits

    def holds(share: float) -> float:
        low, high = interval(np.sqrt(share) * by_fit + np.sqrt(1 - share) * by_code)
        return float(np.mean((low <= 0) & (high >= 0)))

    return FitCoverage(holds(1.0), holds(0.5), holds(0.0))


def coverage_note(fits: int) -> str:
    """The sentence to print beside intervals over codes and so many fits."""
    alone, halves, none = (f"{100 * one:.0f} %" for one in percentile_coverage(fits))
    return (
        f"Over {fits} fits a 95 % interval holds the truth less often than it says: {alone} of the time where all of the "
        f"uncertainty comes from the fits, {halves} where half of it does, {none} where none does (2,000 simulations with normal "
        "effects and 64 codes)."
    )
