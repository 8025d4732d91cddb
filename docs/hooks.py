"""What the pages take from elsewhere when they are built: rows of the validity table, parts of other files, help of commands.

A page asks by a comment on a line of its own:

    <!-- validity: leakage -->                        the metric's rows of leaderboards/results/validity/validity.csv
    <!-- include: CONTRIBUTING.md#House rules -->     a section of a Markdown file of the repository, without its heading
    <!-- help: compare -->                            what `latentbench compare --help` says
    <!-- metrics: editing -->                         the pages of docs/metrics/editing, with what each metric asks

mkdocs calls `on_config` and `on_page_markdown`. Nothing here is measured or made up: a metric without rows is said to have none.
"""

from __future__ import annotations

import csv
import importlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
VALIDITY = Path("leaderboards/results/validity/validity.csv")
NOT_MEASURED = "Not measured in this checkout."
NO_ROW = "The validity table has no row for this metric: nothing is known of it but what this page says."
# Without these nothing can be said of a row; every other column is shown as it stands.
NEEDED = ("metric", "fault", "expected", "rho", "rho_low", "rho_high", "verdict")
_MARK = re.compile(r"^<!-- (validity|include|help|metrics): (.+?) -->$", re.MULTILINE)
_COMMENT = re.compile(r"^<!--.*?-->\n", re.MULTILINE)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:)([^)]*)\)")
_HEADING = re.compile(r"^(#+) (.+)$")


def on_config(config: Any) -> Any:
    """Angle brackets are text: docstrings write random:<seed>, which Markdown would pass on as an unknown tag, and lose."""
    from markdown.extensions import Extension

    class NoTags(Extension):
        def extendMarkdown(self, md: Any) -> None:
            md.preprocessors.deregister("html_block")
            md.inlinePatterns.deregister("html")

    config.markdown_extensions.append(NoTags())
    return config


def on_page_markdown(markdown: str, page: Any = None, config: Any = None, files: Any = None) -> str:
    """The page with every mark filled in. Raises ValueError, naming the page, for a mark that cannot be."""
    fill = {"validity": lambda name: validity(name, ROOT / VALIDITY), "include": include, "help": command_help, "metrics": listed}

    def filled(mark: re.Match[str]) -> str:
        try:
            return fill[mark[1]](mark[2])
        except (ValueError, OSError) as error:
            raise ValueError(f"{getattr(getattr(page, 'file', None), 'src_path', 'page')}: {mark[0]}: {error}") from error

    return _MARK.sub(filled, markdown)


def validity(metric: str, path: Path) -> str:
    """A metric's rows of the validity table as Markdown; a sentence where there is no table, or no row.

    metric: its name in the table, several by commas. Raises ValueError for a table without the columns that are needed.
    """
    if not path.is_file():
        return NOT_MEASURED
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [one for one in NEEDED if one not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path.name} has no column {', '.join(missing)}")
        names = [one.strip() for one in metric.split(",")]
        # What stands in brackets says how it was measured: dci_disentanglement[lasso].
        rows = [row for row in reader if row["metric"].partition("[")[0] in names]
    return table(rows, several=any(row["metric"] != names[0] for row in rows)) if rows else NO_ROW


def table(rows: Iterable[Mapping[str, str]], *, several: bool) -> str:
    """Rows of the validity table: fault, expected and measured direction, judge and n where the table names them."""
    rows = list(rows)
    more = [name for name in ("judge", "n") if any(row.get(name) for row in rows)]
    header = [*(["metric"] if several else []), "fault", "expected", "Spearman [95 %]", *more, "verdict"]
    lines = [_row(header), _row(["---"] * len(header))]
    for row in rows:
        cells = [row["metric"]] if several else []
        cells += [row["fault"], row["expected"], _measured(row), *(row.get(name) or "–" for name in more), row["verdict"]]
        lines.append(_row(cells))
    return "\n".join(lines)


def _measured(row: Mapping[str, str]) -> str:
    rho, low, high = (_number(row[name]) for name in ("rho", "rho_low", "rho_high"))
    if rho is None:
        return "–"
    return f"{rho} [{low}, {high}]" if low is not None and high is not None else rho


def _number(text: str) -> str | None:
    return f"{float(text):.2f}" if text and text.lower() != "nan" else None


def _row(cells: Iterable[str]) -> str:
    escaped = [str(cell).replace("|", "\\|") for cell in cells]
    return "| " + " | ".join(escaped) + " |"


def include(where: str) -> str:
    """A section of a Markdown file of this repository; 'FILE#Heading'. Links into the repository become names of files."""
    name, _, heading = where.partition("#")
    return unlinked(section((ROOT / name).read_text(encoding="utf-8"), heading))


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above. Raises ValueError where there is none."""
    found, level, fenced = [], 0, False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        head = None if fenced else _HEADING.match(line)
        if level and head and len(head[1]) <= level:
            break
        if level:
            found.append(line)
        elif head and head[2].strip() == heading:
            level = len(head[1])
    if not level:
        raise ValueError(f"there is no heading '{heading}'")
    return "\n".join(found).strip()


def unlinked(text: str) -> str:
    """Markdown without comments and without links to files, which lie outside the site: their names stay, pictures' too."""

    def plain(link: re.Match[str]) -> str:
        if link[1]:
            return f"*{link[2]}: `{link[3]}`*"
        return f"`{link[3]}`" if link[3].startswith(link[2]) else f"{link[2]} (`{link[3]}`)"

    return _LINK.sub(plain, _COMMENT.sub("", text))


def command_help(verb: str) -> str:
    """What `latentbench VERB --help` prints, as a block of text. Raises ValueError for a verb that there is not."""
    from typer.testing import CliRunner

    app = importlib.import_module("bench.cli.app").app
    said = CliRunner().invoke(app, [verb, "--help"], prog_name="latentbench", env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"})
    if said.exit_code != 0:
        raise ValueError(f"latentbench has no verb {verb}")
    return f"```text\n{said.output.strip()}\n```"


def listed(family: str) -> str:
    """A table of a family's pages: the title, linked, and the question under it. Raises ValueError for a family without pages."""
    pages = sorted((DOCS / "metrics" / family).glob("*.md"))
    if not pages:
        raise ValueError(f"there is no page in metrics/{family}")
    lines = [_row(["metric", "what it asks"]), _row(["---", "---"])]
    for page in pages:
        title, _, question = page.read_text(encoding="utf-8").split("\n")[:3]
        lines.append(_row([f"[{title.removeprefix('# ')}]({family}/{page.name})", question]))
    return "\n".join(lines)
