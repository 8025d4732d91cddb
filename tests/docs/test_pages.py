"""The pages against the code: every public function of metrics has a page, and no page names what does not exist."""

import ast
import csv
import importlib
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
METRIC_PAGES = [page for page in PAGES if page.parent.parent == DOCS / "metrics"]
PARTS = ("What it can see", "What it cannot see", "Validity")
SHOWN = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)]+)\)")


def name_of(page):
    return str(page.relative_to(DOCS))


def public(module):
    """The public functions and classes that a module itself defines."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


def shown_names():
    return {name for page in PAGES for name in SHOWN.findall(page.read_text())}


def prose(page):
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def rows_of(page):
    return dict(re.findall(r"^\| (source|takes|range|judge|in records) \| (.+) \|$", page.read_text(), re.MULTILINE))


def documented_metrics():
    """The names of metrics that pages stand for: those of their records and of their rows in the validity table."""
    # A count that is no metric is explained with its task.
    found = set(re.findall(r"`([a-z]\w+)`", (DOCS / "other-tasks.md").read_text()))
    for page in METRIC_PAGES:
        found |= set(re.findall(r"`([a-z]\w+)(?:\[\w+\])?`", rows_of(page).get("in records", "")))
        found |= set(marked(page))
    return found


def marked(page):
    """The metrics whose rows of the validity table a page shows."""
    marks = re.findall(r"^<!-- validity: (.+) -->$", page.read_text(), re.MULTILINE)
    return [name.strip() for mark in marks for name in mark.split(",")]


def metrics_in(path):
    """The metrics that a table has rows of, without what stands in brackets."""
    with path.open(newline="") as file:
        return {row["metric"].partition("[")[0] for row in csv.DictReader(file)} - {""}


@pytest.mark.parametrize("module", sorted(path.stem for path in (ROOT / "metrics").glob("*.py") if path.stem != "__init__"))
def test_every_public_name_of_metrics_is_on_a_page(module):
    shown = shown_names()
    missing = {name for name in public(f"metrics.{module}") if f"metrics.{module}.{name}" not in shown}
    assert f"metrics.{module}" in shown or not missing, f"no page shows {sorted(missing)} of metrics.{module}"


def test_every_shown_name_exists():
    for name in sorted(shown_names()):
        path = ROOT / name.replace(".", "/")
        if path.with_suffix(".py").exists():
            continue
        module, _, attribute = name.rpartition(".")
        module = f"{module}.__init__" if (ROOT / module.replace(".", "/")).is_dir() else module
        assert attribute in public(module), f"{name} does not exist"


@pytest.mark.parametrize("page", METRIC_PAGES, ids=name_of)
def test_a_metric_page_has_all_parts(page):
    text, rows = page.read_text(), rows_of(page)
    assert text.startswith("# ") and text.split("\n")[2].strip(), "a title and the question under it"
    assert "\n```text\n" in text, "a formula"
    assert {"source", "takes", "range", "judge"} <= set(rows), rows
    assert re.search(r"[\[(][−\d].*[\])]|interval", rows["range"]), "a range"
    for part in PARTS:
        assert len(re.findall(rf"^## {part}$", text, re.MULTILINE)) == 1, part
        body = text.split(f"## {part}\n")[1].split("\n## ")[0]
        assert body.strip(), f"{part} is empty"
    assert bool(marked(page)) == (page.parent.name != "statistics"), "a row of the validity table, or for statistics a word"
    assert len(text.split("\n")) <= 60


def test_no_metric_page_names_what_does_not_exist():
    sources = [*(ROOT / "metrics").glob("*.py"), *(ROOT / "bench").rglob("*.py"), *(ROOT / "leaderboards").rglob("*.py")]
    known = set(re.findall(r"\w+", " ".join(path.read_text() for path in sources)))
    for page in METRIC_PAGES:
        for code in re.findall(r"`([\w.]+)`", prose(page)):
            unknown = [word for word in code.split(".") if "_" in word and word not in known]
            assert not unknown, f"{name_of(page)} names {unknown}"


@pytest.mark.parametrize("path", sorted((ROOT / "leaderboards/results").glob("*/results.csv")), ids=lambda path: path.parent.name)
def test_every_metric_of_the_reference_results_has_a_page(path):
    measured = metrics_in(path)
    assert measured, "there are results to look at"
    assert measured <= documented_metrics(), f"no page for {sorted(measured - documented_metrics())}"


def test_every_metric_of_the_validity_table_has_a_page():
    path = ROOT / "leaderboards/results/validity/validity.csv"
    if not path.exists():
        pytest.skip("the validity table is not in this checkout")
    missing = metrics_in(path) - {name for page in METRIC_PAGES for name in marked(page)}
    assert not missing, f"no page shows the rows of {sorted(missing)}"


@pytest.mark.parametrize("task", ["editing", "inversion", "sampling", "dissection", "text", "naming", "validity"])
def test_every_metric_of_a_task_has_a_page(task):
    module = importlib.import_module(f"bench.tasks.{task}.quantities")
    named = set(module.BY_NAME) if task == "validity" else set(module.metric_names())
    assert len(named) > 8
    known = {name for page in METRIC_PAGES for name in marked(page)} if task == "validity" else documented_metrics()
    assert named <= known, f"no page for {sorted(named - known)}"


def test_every_metric_of_the_registry_has_a_page():
    from bench.registry import BUILT_IN

    assert set(BUILT_IN["metrics"]) <= documented_metrics()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in LINK.findall(prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        assert (page.parent / target.partition("#")[0]).is_file(), f"{name_of(page)} links to {target}"


def test_the_navigation_holds_every_page_once():
    class Loader(yaml.SafeLoader):
        pass

    def flat(entry):
        if isinstance(entry, str):
            return [entry]
        return [page for part in (entry.values() if isinstance(entry, dict) else entry) for page in flat(part)]

    listed = flat(yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"])
    assert sorted(listed) == [name_of(page) for page in PAGES]


def test_no_page_loads_anything_from_elsewhere():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert config["theme"]["font"] is False and config["strict"] is True
    assert not {"extra_javascript", "extra_css", "repo_url"} & set(config)
    for page in PAGES:
        assert "mermaid" not in page.read_text() and "<script" not in page.read_text(), name_of(page)
