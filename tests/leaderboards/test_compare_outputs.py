"""What a comparison looks like: terminal, plain lines, a comment, CSV, JUnit; and the command's exit codes and refusals."""

import csv
import io
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from rich.console import Console

from bench.cli import main
from leaderboards.compare.comparison import compare
from leaderboards.compare.files import COLUMNS, junit, table
from leaderboards.compare.sides import Side
from leaderboards.compare.text import COMMENT, comment, show
from leaderboards.records import read_records, write_records

ENTRIES = (("alpha", ""), ("beta", "x=1"))


def lower_identity(rows):
    return {q: {n: a - 0.05 if n == "identity" else a for n, a in part.items()} for q, part in rows.items()}


@pytest.fixture(scope="module")
def made():
    """Filled once: folders of a run, and of the same with less identity in alpha."""
    return {}


@pytest.fixture
def folders(toys, made, tmp_path_factory):
    if not made:
        toy, root = toys.Toy(), tmp_path_factory.mktemp("runs")
        entries = {entry: toy.entry(i) for i, entry in enumerate(ENTRIES)}
        made["old"] = toy.folder(entries, root / "old")
        made["new"] = toy.folder({**entries, ENTRIES[0]: lower_identity(entries[ENTRIES[0]])}, root / "new")
        made["sides"] = tuple(
            Side.of(toy.results(one), name)
            for one, name in ((entries, "OLD"), ({**entries, ENTRIES[0]: lower_identity(entries[ENTRIES[0]])}, "NEW"))
        )
    return made


@pytest.fixture
def worse(folders):
    return compare(*folders["sides"], tolerances={"leakage": 0.01})


@pytest.fixture
def mixed(folders):
    """Something of every kind: worse, missing, failed, new, refused."""
    old, new = folders["sides"]
    records = [r for r in new.records if not (r.method == "alpha" and r.metric == "leakage")]
    records += [replace(r, method="gamma", reason="a <b>bold</b> | @reason") for r in new.records if r.method == "beta"]
    records = [replace(r, method_version=2) if r.method == "beta" else r for r in records]
    records += [replace(r, generator="else") for r in new.records if r.method == "alpha"]
    return compare(old, Side("NEW", records, None, "no arrays"))


def printed(comparison, terminal=False, **how):
    out = io.StringIO()
    show(comparison, "worse", Console(file=out, force_terminal=terminal, width=170, highlight=False), **how)
    return out.getvalue()


def test_plain_lines_say_the_protocol_before_any_number(worse):
    lines = printed(worse).splitlines()
    assert lines[:3] == ["OLD: OLD", "NEW: NEW", "editing, toy: same protocol (0123456789ab)"]
    assert "tolerance of leakage: 0.01" in lines
    head = next(i for i, line in enumerate(lines) if line.startswith("verdict "))
    assert re.search(r"worse +toy +alpha +identity ↑ +mean of all targets +0\.\d+ +0\.\d+ +-0\.050 \[-0\.05", lines[head + 1])
    assert re.match(r"worse +toy +alpha +identity ↑ +smile \+ at effect_0.5", lines[head + 2])
    assert lines[-1].startswith("regression: 3 worse, ") and "\x1b" not in "".join(lines)
    assert not any(line.startswith("same") for line in lines)
    assert any(line.startswith("same") and "smile" in line for line in printed(worse, everything=True).splitlines())


def test_a_terminal_gets_a_table(worse):
    text = printed(worse, terminal=True)
    assert "\x1b[31m" in text and "identity ↑" in text and "regression: 3 worse" in text


def test_files_do_not_command_the_terminal(worse):
    assert "\x1b" not in printed(replace(worse, old="\x1b[2Jwiped", notes=("\x9b31m",)))


def test_what_is_missing_new_and_refused_is_listed(mixed):
    lines = printed(mixed).splitlines()
    assert any(re.match(r"missing: editing, toy, alpha: \d+ numbers \(not in the file\)", line) for line in lines)
    assert any(re.match(r"new: editing, toy, gamma \(x=1\): \d+ numbers$", line) for line in lines)
    assert any(
        re.match(r"refused: editing, toy, beta \(x=1\): method version 1 → 2, its \d+ numbers are not", line) for line in lines
    )
    assert "editing, else: only in NEW (0123456789ab)" in lines
    assert re.search(r"\d+ missing, \d+ new, \d+ not comparable$", lines[-1])


def test_the_comment_fits_and_folds(worse, mixed):
    text = comment(worse, "worse")
    assert text.startswith("### latentbench compare: regression: 3 worse") and len(text) < COMMENT
    assert text.count("<details>") == text.count("</details>") == 1
    rows = [line for line in text.splitlines() if line.startswith("| worse ")]
    assert len(rows) == 3 and all(line.count(" | ") == 9 for line in rows)
    assert "| editing | toy | alpha | 3 |" in text
    for limit in (900, 1500, 3000):
        short = comment(worse, "worse", limit)
        assert len(short) <= limit and short.count("<details>") == short.count("</details>")
        assert "see --csv" in short
    many = replace(worse, changes=worse.changes * 400)
    assert len(comment(many, "worse")) <= COMMENT and "more rows: see --csv" in comment(many, "worse")


def test_names_from_files_stay_text(mixed):
    one = replace(mixed, notes=("<script>x</script> @someone `tick` #12 [a](http://b)",), old="a`b\nc")
    text = comment(one, "worse")
    assert "<script>" not in text and r"\@someone" in text and r"\#12" in text and r"\[a\](" in text
    assert "`a'b c`" in text


def test_the_table_holds_every_number(worse, mixed):
    rows = list(csv.DictReader(io.StringIO(table(worse))))
    assert tuple(rows[0]) == COLUMNS and len(rows) == len(worse.changes)
    first = rows[0]
    assert (first["verdict"], first["metric"], first["how"], first["method"]) == ("worse", "identity", "paired", "alpha")
    assert float(first["difference"]) == pytest.approx(float(first["new"]) - float(first["old"]), abs=2e-6)
    assert float(first["difference_low"]) <= float(first["difference"]) <= float(first["difference_high"])
    assert float(first["p"]) <= float(first["p_holm"]) <= 0.05
    assert table(replace(worse, changes=worse.changes[::-1])) == table(worse)
    kinds = {row["verdict"] for row in csv.DictReader(io.StringIO(table(mixed)))}
    assert {"missing", "new", "refused", "worse"} <= kinds


def test_junit_counts_what_it_holds(worse, mixed):
    root = ET.fromstring(junit(worse, "worse").encode())
    cases = root.findall("testsuite/testcase")
    assert len(cases) == len(worse.changes) + 1 == int(root.get("tests"))
    failures = [case for case in cases if case.find("failure") is not None]
    assert [case.get("classname") for case in failures] == ["editing.toy.alpha"] * 3 and root.get("failures") == "3"
    assert "worse: 0." in failures[0].find("failure").get("message")
    assert ET.fromstring(junit(worse, "never").encode()).get("failures") == "0"
    root = ET.fromstring(junit(mixed, "missing").encode())
    kinds = [child.tag for case in root.iter("testcase") for child in case]
    assert int(root.get("errors")) == kinds.count("error") == 1 and int(root.get("failures")) == kinds.count("failure")
    assert kinds.count("failure") == len(mixed.of("worse")) + len(mixed.missing)
    assert int(root.get("skipped")) == kinds.count("skipped") > 0
    odd = replace(worse, old="a\x00\x1bb<&>")
    assert "a��b&lt;&amp;&gt;" in junit(odd, "worse")


def run(capsys, *arguments):
    code = main(["compare", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_exit_codes(folders, capsys, tmp_path):
    old, new = folders["old"], folders["new"]
    assert run(capsys, old, old)[0] == 0
    code, out, err = run(capsys, old, new)
    assert code == 1 and not err and out.splitlines()[-1].startswith("regression: 3 worse")
    assert run(capsys, new, old)[0] == 0
    assert run(capsys, new, old, "--fail-on", "changed")[0] == 1
    assert run(capsys, old, new, "--fail-on", "never")[0] == 0
    assert run(capsys, old, new, "--tolerance", "identity=0.06")[0] == 0
    assert run(capsys, old / "results.csv", old / "results.csv")[0] == 0
    changed = shutil.copytree(old, tmp_path / "changed")
    records = [replace(r, metric_version=2) if r.metric == "leakage" else r for r in read_records(changed / "results.csv")]
    write_records(records, changed / "results.csv")
    code, out, _ = run(capsys, old, changed)
    assert code == 2 and "different protocol, nothing is subtracted: version of leakage 1 → 2" in out
    assert out.splitlines()[-1].startswith("cannot compare: nothing, ")


def test_what_nobody_expected_is_no_regression(folders, capsys, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("something\nodd")

    monkeypatch.setattr("leaderboards.compare.comparison.compare", broken)
    assert main(["compare", str(folders["old"]), str(folders["new"])]) == 2
    line = "latentbench: cannot compare, unexpected RuntimeError: something odd (--debug shows where)\n"
    assert capsys.readouterr().err == line
    assert main(["compare", str(folders["old"]), str(folders["new"]), "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("closed", [BrokenPipeError(), SystemExit(1)])
def test_the_verdict_stands_where_nobody_reads_the_table(folders, monkeypatch, closed):
    def gone(*_, **__):
        raise closed

    monkeypatch.setattr("leaderboards.compare.text.show", gone)
    assert main(["compare", str(folders["old"]), str(folders["old"])]) == 0
    assert main(["compare", str(folders["old"]), str(folders["new"])]) == 1


def test_files_are_written_whatever_the_verdict(folders, capsys, tmp_path):
    files = [tmp_path / "made" / name for name in ("comment.md", "rows.csv", "junit.xml")]
    code, _, _ = run(capsys, folders["old"], folders["new"], "--markdown", files[0], "--csv", files[1], "--junit", files[2])
    assert code == 1
    assert files[0].read_text().startswith("### latentbench compare: regression")
    assert files[1].read_text().startswith("task,generator,method") and ET.parse(files[2]).getroot().tag == "testsuites"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["{tmp}/nowhere", "{old}"], "there is nothing at"),
        (["{tmp}", "{old}"], "no results at"),
        (["{old}", "{tmp}/text.csv"], "has other columns"),
        (["{old}", "{new}", "--tolerance", "identity"], "--tolerance identity: write METRIC=VALUE"),
        (["{old}", "{new}", "--tolerance", "identity=much"], "--tolerance identity=much: write METRIC=VALUE"),
        (["{old}", "{new}", "--tolerance", "identiti=1"], "unknown metric in these results 'identiti': did you mean identity"),
        (["{old}", "{new}", "--tolerance", "identity=nan"], "tolerance of identity must be a number from 0 up"),
        (["{old}", "{new}", "--fail-on", "better"], "'better' is not one of 'worse', 'missing', 'changed', 'never'"),
        (["{old}"], "Missing argument 'new'"),
        (["{old}", "{new}", "--csv", "{tmp}/text.csv/x"], "cannot write"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(folders, capsys, tmp_path, arguments, message):
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    places = {"tmp": tmp_path, "old": folders["old"], "new": folders["new"]}
    code, out, err = run(capsys, *(one.format(**places) for one in arguments))
    assert code == 2 and not out and len(err.splitlines()) == 1 and message in err
