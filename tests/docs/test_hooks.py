"""What the pages take from elsewhere: rows of a table, sections of files, help of commands; and what is refused."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs/hooks.py")
hooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hooks)

HEADER = "metric,fault,expected,rho,rho_low,rho_high,verdict"
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def test_a_metric_shows_its_rows_of_the_validity_table(tmp_path):
    path = tmp_path / "validity.csv"
    rows = "leakage,leak,rises,0.98765,0.9,1,sees it\nidentity,leak,none,0,0,0,-\nleakage,blur,|any|,nan,,,blind\n"
    path.write_text(f"{HEADER}\n{rows}")
    assert hooks.validity("leakage", path) == (
        "| fault | expected | Spearman [95 %] | verdict |\n"
        "| --- | --- | --- | --- |\n"
        "| leak | rises | 0.99 [0.90, 1.00] | sees it |\n"
        "| blur | \\|any\\| | – | blind |"
    )


def test_several_metrics_of_one_page_are_told_apart_and_judges_are_named(tmp_path):
    path = tmp_path / "validity.csv"
    rows = "precision,noise,falls,-1,-1,-0.9,sees it,features[a],64\nrecall,noise,falls,-0.5,,,sees it,,64\n"
    path.write_text(f"{HEADER},judge,n\n{rows}")
    lines = hooks.validity("precision, recall", path).split("\n")
    assert lines[0] == "| metric | fault | expected | Spearman [95 %] | judge | n | verdict |"
    assert lines[2] == "| precision | noise | falls | -1.00 [-1.00, -0.90] | features[a] | 64 | sees it |"
    assert lines[3] == "| recall | noise | falls | -0.50 | – | 64 | sees it |"


def test_a_name_with_its_settings_in_brackets_is_the_metric_s(tmp_path):
    path = tmp_path / "validity.csv"
    path.write_text(f"{HEADER}\nsap[r2],noise,falls,-1,-1,-1,sees it\nsap_matrix,noise,falls,-1,-1,-1,sees it\n")
    assert hooks.validity("sap", path).split("\n")[2:] == ["| sap[r2] | noise | falls | -1.00 [-1.00, -1.00] | sees it |"]


def test_what_was_not_measured_is_not_shown(tmp_path):
    assert hooks.validity("leakage", tmp_path / "validity.csv") == hooks.NOT_MEASURED
    path = tmp_path / "other.csv"
    path.write_text(f"{HEADER}\nidentity,leak,none,0,0,0,-\n")
    assert hooks.validity("leakage", path) == hooks.NO_ROW


def test_a_table_without_the_columns_is_refused(tmp_path):
    path = tmp_path / "validity.csv"
    path.write_text("metric,fault\nleakage,leak\n")
    with pytest.raises(ValueError, match="validity.csv has no column expected, rho, rho_low, rho_high, verdict"):
        hooks.validity("leakage", path)


def test_a_section_ends_at_the_next_heading_of_its_level_outside_of_code():
    text = "# A\n\n## B\n\none\n\n```sh\n## not a heading\n```\n\n### C\n\ntwo\n\n## D\n\nthree\n"
    assert hooks.section(text, "B") == "one\n\n```sh\n## not a heading\n```\n\n### C\n\ntwo"
    assert hooks.section(text, "D") == "three"
    with pytest.raises(ValueError, match="no heading 'E'"):
        hooks.section(text, "E")


def test_links_into_the_repository_become_names():
    text = "<!-- note -->\nsee [the seam](methods/base.py), [a](a/README.md), [out](https://example.org)\n\n![Edits](p.png)"
    assert hooks.unlinked(text) == (
        "see the seam (`methods/base.py`), `a/README.md`, [out](https://example.org)\n\n*Edits: `p.png`*"
    )


def test_help_is_the_command_line_s_own():
    text = hooks.command_help("compare")
    assert text.startswith("```text\nUsage: latentbench compare") and "--fail-on" in text and text.endswith("\n```")
    with pytest.raises(ValueError, match="no verb nothing"):
        hooks.command_help("nothing")


def test_a_mark_that_cannot_be_filled_names_its_page():
    page = SimpleNamespace(file=SimpleNamespace(src_path="a.md"))
    with pytest.raises(ValueError, match=r"a\.md: <!-- include: README.md#Nowhere -->: there is no heading 'Nowhere'"):
        hooks.on_page_markdown("<!-- include: README.md#Nowhere -->", page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT / "docs")))
def test_every_mark_of_every_page_is_filled(page):
    text = hooks.on_page_markdown(page.read_text())
    assert not re.search(r"<!-- (validity|include|help|metrics)", text)


def test_the_environment_and_the_extra_ask_for_the_same():
    import configparser
    import tomllib

    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["docs"]
    assert set(extra) <= set(tox["testenv:docs"]["deps"].split("\n"))
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert {re.split(r"[\[<>=]", one)[0] for one in extra} <= pinned
