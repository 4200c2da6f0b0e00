"""The board for other programs, papers and pages: CSV, Parquet, JSON, LaTeX, BibTeX, badges.

Conventions: numbers are fractions, except in LaTeX and on badges, which are for reading. Names come from
strangers: they are escaped for each format, and a cell that a spreadsheet would take for a formula begins
with an apostrophe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.dataset.suite_notes import heading
from harness.schemas import Entry
from harness.seeds import seed_of
from harness.types import Estimate
from leaderboard import escaping, formatting, urls
from leaderboard.board import columns, remarks
from leaderboard.board.frame import frame
from leaderboard.board.matrix import short_names
from leaderboard.board.types import Anchor, Board, Ranking, Row

if TYPE_CHECKING:
    import pandas as pd

_LATEX = MappingProxyType(
    {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)
_IN_LATEX = ("lift", "placement", "transfer", "swap", "agreement", "accuracy")
"""Columns of the LaTeX table."""
_FILE_NAME = 180
"""Most characters of a file's name; a file system may refuse more."""
_NAME = 200
"""Most characters of a name on a badge."""

PAPER = """@article{kelly2026goodenough,
  title   = {If It's Good Enough for You, It's Good Enough for Me: Transferability of Audio Sufficiencies across Models},
  author  = {Kelly, David A. and Chockler, Hana},
  journal = {arXiv preprint arXiv:2604.02937},
  year    = {2026}
}
"""  # noqa: E501 - a title
"""The method, to be cited."""


def export(board: Board, kind: str, task: str | None = None) -> bytes:
    """The board, or one task of it, in one of FORMATS."""
    return FORMATS[kind](board, task)


def _csv(board: Board, task: str | None) -> bytes:
    table = _with_integers(frame(board, task))
    text_columns = [c.key for c in columns.COLUMNS if c.kind == "text"]
    for name in (*text_columns, "task", "signals_sha256", "suite_note"):
        table[name] = table[name].map(_no_formula)
    # With \n alone a bare \r in a text would not be quoted, and would split its row.
    return table.to_csv(index=False, lineterminator="\r\n").replace("\r\n", "\n").encode()


def _no_formula(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and re.match(r"[=+\-@\t\r]", value) else value


def _parquet(board: Board, task: str | None) -> bytes:
    data: bytes = _with_integers(frame(board, task)).to_parquet(None, index=False)
    return data


def _json(board: Board, task: str | None) -> bytes:
    text: str = _with_integers(frame(board, task)).to_json(orient="records", indent=1, force_ascii=True)
    return text.encode() + b"\n"


def _with_integers(table: pd.DataFrame) -> pd.DataFrame:
    """Counts as integers that may be missing, not as floats."""
    counts = [c.key for c in columns.COLUMNS if c.kind == "count"]
    estimates = [name for name in table.columns if name.endswith("_n")]
    return table.astype(dict.fromkeys([*counts, *estimates], "Int64"))


def _latex(board: Board, task: str | None) -> bytes:
    return "\n".join(_table(r) for r in board.current if task in (None, r.task)).encode()


def _table(ranking: Ranking) -> str:
    """One ranking as a table of booktabs."""
    names = short_names([row.entry.model for row in ranking.all_rows])
    table_columns = [c for c in columns.BOARD if c.key in _IN_LATEX]
    caption = [
        f"% {_plain(ranking.task)}, signals {_plain(ranking.signals.sha256[:12])}, protocol"
        f" {ranking.protocol}; percent, lift and placement in percentage points, with 95 % intervals,"
        f" {remarks.panel(ranking.n_references)}",
        *([f"% {ranking.suite_note}"] if ranking.suite_note else []),
    ]
    if not ranking.rows and not ranking.anchors:
        return "\n".join([*caption, "% No model is ranked yet.", ""])
    lines = [
        *caption,
        r"\begin{tabular}{rl" + "r" * len(table_columns) + "}",
        r"\toprule",
        " & ".join(["Rank", "Model", *(c.header for c in table_columns)]) + r" \\",
        r"\midrule",
    ]
    for row in ranking.rows:
        rank = f"{row.rank} ({row.rank_low}--{row.rank_high})"
        cells = [_cell(column.read(row), column.kind) for column in table_columns]
        lines.append(" & ".join([rank, _tex(names[row.entry.model]), *cells]) + r" \\")
    if ranking.anchors:
        n_columns = 2 + len(table_columns)
        lines += [r"\midrule", rf"\multicolumn{{{n_columns}}}{{l}}{{For comparison, not ranked}} \\"]
    for anchor in ranking.anchors:
        cells = [_cell(of_anchor(anchor, column.key), column.kind) for column in table_columns]
        lines.append(" & ".join(["--", _tex(anchor.name), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def of_anchor(anchor: Anchor, key: str) -> Estimate | None:
    """The value of an anchor in a column; None where there is none."""
    if key == "accuracy":
        return anchor.accuracy
    value: Estimate | None = getattr(anchor.score.rates, key, None)
    return value


def _cell(value: formatting.Value, kind: formatting.Kind) -> str:
    if not isinstance(value, Estimate) or value.value is None:
        return "--"
    number = _number_text(value.value, kind)
    if value.low is None or value.high is None:
        return f"${number}$"
    return f"${number}$ $[{_number_text(value.low, kind)}, {_number_text(value.high, kind)}]$"


def _number_text(value: float, kind: formatting.Kind) -> str:
    """A number as a reader sees it, without its unit."""
    return formatting.text(value, kind).split(formatting.THIN)[0].replace("−", "-")


def _tex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in _plain(text)[:_NAME])


def _plain(text: str) -> str:
    """The text without characters that would end a line or a comment."""
    return re.sub(r"[^\x20-\x7e]", "?", text)


def _bibtex(board: Board, task: str | None) -> bytes:
    models = dict.fromkeys(row.entry.model for _, row in _ranked_rows(board, task))
    entries = []
    for model in models:
        key = re.sub(r"[^A-Za-z0-9]+", "-", model.slug).strip("-").lower()
        url_line = f"  url   = {{https://huggingface.co/{model.repo_id}}},\n"
        if model.repo_id.startswith("local/") or not re.fullmatch(r"[\w.-]+/[\w.-]+", model.repo_id):
            url_line = ""
        entries.append(
            f"@misc{{{key}-{model.revision[:7]},\n  title = {{{_tex(model.repo_id)}}},\n{url_line}"
            f"  note  = {{revision {_tex(model.revision)}}}\n}}\n"
        )
    return "\n".join([PAPER, *entries]).encode()


def _ranked_rows(board: Board, task: str | None) -> list[tuple[Ranking, Row]]:
    """The rows of the current rankings."""
    rankings = [ranking for ranking in board.current if task in (None, ranking.task)]
    return [(ranking, row) for ranking in rankings for row in ranking.rows]


def _badges(board: Board, task: str | None) -> bytes:
    """Snippets of all badges, one a line."""
    return "".join(f"{snippet(row.entry)}\n" for _, row in _ranked_rows(board, task)).encode()


FORMATS: Mapping[str, Callable[[Board, str | None], bytes]] = MappingProxyType(
    {
        "csv": _csv,
        "parquet": _parquet,
        "json": _json,
        "latex": _latex,
        "bibtex": _bibtex,
        "badges": _badges,
    }
)
"""Name -> function that makes it."""


def badge(row: Row, ranking: Ranking) -> str:
    """A small picture for the model's page: its lift, and its place."""
    value = formatting.text(row.entry.scorecard.lift, "difference")
    ends = dict.fromkeys((row.rank_low, row.rank_high))
    span = "–".join(map(str, ends))
    rank_text = "not ranked" if row.rank is None else f"rank {span} of {len(ranking.rows)}"
    suite = f" ({heading(ranking.suite_note)})" if ranking.suite_note else ""
    left, right = f"goodenough {ranking.task}{suite}", f"{value} lift, {rank_text}"
    widths = [round(6.4 * len(text)) + 16 for text in (left, right)]
    note = f". {ranking.suite_note}" if ranking.suite_note else ""
    panel = remarks.panel(remarks.n_panel(row.entry))
    title = escape(f"{escaping.neutral(row.name)[:_NAME]}: {left}, {right}, {panel}{note}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{sum(widths)}" height="20" role="img" '
        f'aria-label="{title}"><title>{title}</title>'
        f'<rect width="{sum(widths)}" height="20" rx="3" fill="#29659b"/>'
        f'<path d="M3 0h{widths[0] - 3}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#3a444e"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{widths[0] / 2}" y="14">{escape(left)}</text>'
        f'<text x="{widths[0] + widths[1] / 2}" y="14">{escape(right)}</text></g></svg>\n'
    )


def snippet(entry: Entry) -> str:
    """The Markdown that embeds the badge of an entry in a model card; SITE is the address of the site."""
    name = re.sub(r"[\[\]()<>`\\]", "", _plain(entry.model.repo_id))[:_NAME]
    return f"[![goodenough: {name} on {entry.task}](SITE/{badge_path(entry)})](SITE/index.html)"


def badge_path(entry: Entry) -> str:
    """Path of the badge of an entry below the root of the site."""
    name = f"{urls.page_of(entry.model).removesuffix('.html')}-{urls.anchor(entry.task)}"
    if len(name) > _FILE_NAME:
        name = f"{name[:_FILE_NAME]}-{seed_of('badge', name):x}"
    return f"badges/{name}.svg"


def data_files(board: Board) -> Iterator[tuple[str, str | None, Callable[[], bytes]]]:
    """The data of a site: path below its root, the task it is of or None for all, and what makes it."""
    yield "data/goodenough.bib", None, partial(_bibtex, board, None)
    for task in board.tasks:
        name = urls.anchor(task)
        for kind, ending in (("csv", "csv"), ("parquet", "parquet"), ("json", "json"), ("latex", "tex")):
            yield f"data/{name}.{ending}", task, partial(export, board, kind, task)


def badges(board: Board) -> Iterator[tuple[str, bytes]]:
    """Path of each badge of a site below its root, and its content."""
    for ranking, row in _ranked_rows(board, None):
        yield badge_path(row.entry), badge(row, ranking).encode()
