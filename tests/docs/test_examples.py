"""What pages show as Python runs, and says what the pages say."""

import re
from pathlib import Path

import numpy as np

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def test_metrics_work_alone(capsys):
    (block,) = blocks("getting-started.md")
    names = {}
    exec(block, names)
    said = capsys.readouterr().out.split("\n")
    assert 0.8 < float(said[0]) <= 1, "one code a factor with a little noise"
    assert said[1].startswith("PairedDifference(diff=")


def test_the_example_of_a_metric_works():
    from metrics.base import EditBatch

    (block,) = blocks("extending.md")
    names = {}
    exec(block, names)
    metric = names["Spread"]()
    before = np.zeros((3, 3))
    after = np.array([[1.0, 0.0, 0.0], [1.0, -0.5, 0.4], [np.nan, 0.0, 0.0]])
    metric.update(EditBatch({"attributes": before}, {"attributes": after}, ("a", "b", "c"), np.array([1.0, 1.0, 5.0]), "a", 1))
    score = metric.compute()["spread"]
    # The first picture changes one attribute, the second two (0.4 is less than 0.1 of its sigma), the third is unreadable.
    assert (score.value, score.n, score.n_failed) == (1.5, 3, 1)
