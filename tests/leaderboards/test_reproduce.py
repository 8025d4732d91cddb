"""`latentbench reproduce`: a paper's page beside results."""

import re
import shutil
from pathlib import Path

import pytest

from bench.cli import main
from leaderboards import folder as folders
from leaderboards import reproduce
from leaderboards.claims import papers

ROOT = Path(__file__).parents[2]
QUICK = ROOT / "leaderboards" / "results" / "quick"


@pytest.fixture(scope="module")
def interfacegan(tmp_path_factory):
    """The page of the paper beside the quick results, made once, with few replicates to be fast."""
    out = tmp_path_factory.mktemp("page") / "interfacegan.md"

    def load(folder):
        results = folders.load(folder)
        results.run["suite"]["tasks"]["editing"]["replicates"] = 40
        return results

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproduce, "load", load)
        assert main(["reproduce", "interfacegan", "--results", str(QUICK), "--out", str(out)]) == 0
    return out.read_text()


def test_reported_figures_stand_beside_what_was_measured(interfacegan):
    assert interfacegan.startswith("# Interpreting the Latent Space of GANs")
    part = interfacegan[interfacegan.index("### boundary-accuracy-pggan") : interfacegan.index("### boundary-cosine-pggan")]
    assert "CVPR paper, Table 1; **unverified**." in part and "| PGGAN Z, all | 90.3 | 78.5 | 75.3 | 84.2 | 80.1 |" in part
    assert "Measured in quick" in part and re.search(r"\| smile \| 0\.\d{3} \| [01]\.\d{3} \| 0\.\d{3} \|", part)
    released = interfacegan[interfacegan.index("### boundary-cosine-summary") :]
    assert "released boundary files; verified: computed from genforce/interfacegan" in released
    assert "| StyleGAN FFHQ W | 0.0422 |" in released


def test_claims_have_verdicts_and_the_others_reasons(interfacegan):
    claims = interfacegan[interfacegan.index("## Claims") :]
    assert re.search(r"`w-edits-better-than-z`: .*verified\)\* Read here: at equal judged effect", claims)
    assert re.search(r"\| heads-stylegan2 \| interfacegan \| interfacegan \(space=z\) \| leakage, attributes\[", claims)
    assert re.search(
        r"`attributes-linearly-separable`: .*\*\*unverified\*\*\)\* Why: the bound of 95% is a recalled figure", claims
    )
    ids = {claim.id for claim in next(paper for paper in papers() if paper.id == "interfacegan").claims}
    assert ids <= set(re.findall(r"`([\w-]+)`: ", claims))


def test_tables_of_the_page_are_tables(interfacegan):
    for block in interfacegan.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1, rows[:1]


def test_what_was_not_measured_says_what_it_asks_for(capsys):
    assert main(["reproduce", "image2stylegan", "--results", str(QUICK)]) == 0
    text = capsys.readouterr().out
    assert "### Not measured in these results" in text and "These results have no entry of the paper's method." in text
    assert "Asks for the task inversion with (method optimise; space w+) and (method optimise; space w)." in text


def test_an_unknown_paper_lists_them_all(capsys):
    assert main(["reproduce", "interfacegam"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "unknown paper 'interfacegam'" in error
    assert all(paper.id in error for paper in papers())


def test_a_folder_that_is_none(tmp_path, capsys):
    assert main(["reproduce", "sefa", "--results", str(tmp_path)]) == 2
    assert "holds no run.json" in capsys.readouterr().err


def test_without_a_checkout_results_are_asked_for(tmp_path, monkeypatch, capsys):
    installed = tmp_path / "leaderboards"
    installed.mkdir()
    shutil.copy(reproduce.__file__, installed)
    monkeypatch.setattr(reproduce, "__file__", str(installed / "reproduce.py"))
    monkeypatch.chdir(tmp_path / "leaderboards")
    assert main(["reproduce", "sefa"]) == 2
    assert "give --results DIR" in capsys.readouterr().err


def test_the_reference_results_are_the_default(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert QUICK in [folder.resolve() for folder in reproduce.reference_folders()]
