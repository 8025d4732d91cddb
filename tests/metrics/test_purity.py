"""Purity of effect matrices: closed forms."""

import numpy as np
import pytest

from metrics.purity import component_purity, effect_purity


def test_pure_and_mixed_components():
    assert effect_purity(np.diag([1.0, -2, 3])) == 1
    assert effect_purity(np.ones((2, 4))) == pytest.approx(0.25)
    effects = [[3.0, -1], [0, 0.5]]
    np.testing.assert_allclose(component_purity(effects), [0.75, 1])
    assert effect_purity(effects) == pytest.approx(3.5 / 4.5)
    assert effect_purity(-2 * np.array(effects)[::-1, ::-1]) == pytest.approx(3.5 / 4.5)


def test_a_component_that_does_nothing_counts_for_nothing():
    effects = [[2.0, 2], [0, 0]]
    assert effect_purity(effects) == 0.5
    assert np.isnan(component_purity(effects)[1])
    with pytest.raises(ValueError, match="effects are 0"):
        effect_purity(np.zeros((2, 2)))


@pytest.mark.parametrize("effects", [[[1.0, np.nan]], np.zeros((0, 3)), [1.0, 2.0]])
def test_what_is_no_matrix_is_refused(effects):
    for score in (effect_purity, component_purity):
        with pytest.raises(ValueError, match="effects"):
            score(effects)
