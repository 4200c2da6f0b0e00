"""Everything executable in the README and the pages runs, page by page, as a reader would do it.

A page gets an empty folder, or that of the page before it (AFTER), a Hub of this machine, and answers of one
model that the entries of this repository record, so that an evaluation takes seconds.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pandas as pd
import pytest

from harness import cli
from harness.starter import paths
from harness.starter.paths import open_suite
from tests.helpers import doc_pages, recorded_answers
from tests.helpers.doc_pages import RUN, Block, Session, blocks_of, same_output
from tests.helpers.hub import LoopbackHub
from tests.helpers.repository import DOCS, ROOT, SUBMISSIONS

PAGES = {
    path.relative_to(ROOT).as_posix(): path for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
}
AFTER = {
    "docs/how-to/search.md": "docs/how-to/model.md",
    "docs/how-to/submit.md": "docs/quickstart.md",
    "docs/how-to/verify.md": "docs/quickstart.md",
    **{
        f"docs/how-to/{name}.md": "docs/how-to/corpus.md"
        for name in ("task", "publish", "hold-back", "cluster")
    },
}
"""Page whose folder a page starts with: what its reader has done before."""
BLOCKS = {name: blocks_of(path.read_text("utf-8")) for name, path in PAGES.items()}
EXECUTED = [
    name for name, blocks in BLOCKS.items() if any(b.language in RUN and not b.reason for b in blocks)
]
ALWAYS = ("README.md", "docs/numbers.md", "docs/how-to/adapter.md")
"""Pages that run without the slow checks: those that a reader sees first, and what only they show."""
MODEL = "starter-emotion-wav2vec2"
NAME = "my-model"
"""What pages call their copy of it."""
NOT_RUN = 12
"""Blocks that may be marked as not run."""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `.answers` of the model that pages evaluate."""
    root = tmp_path_factory.mktemp("answers")
    shutil.copytree(paths.SUITE / "models" / MODEL, root / NAME)
    (entry,) = (path.parent for path in (SUBMISSIONS / f"local__{MODEL}").rglob("entry.json"))
    recorded_answers.put(entry, root / NAME, root)
    return root


class Pages:
    """Runs pages, each once."""

    def __init__(self, root: Path, answers: Path) -> None:
        self.root = root
        self.answers = answers
        self.folders: dict[str, Path] = {}

    def run(self, name: str) -> Path:
        """The folder of a page after all of its blocks."""
        if name not in self.folders:
            self.folders[name] = self._run(name)
        return self.folders[name]

    def _run(self, name: str) -> Path:
        top = self.root / name.replace("/", "-")
        before = self.run(AFTER[name]).parent if name in AFTER else None
        if before is None:
            for folder in ("work/results", "cache/library"):
                shutil.copytree(self.answers / ".answers", top / folder / ".answers")
            submissions = top / "hub/datasets/my-lab/submissions"
            submissions.mkdir(parents=True)
            (submissions / "README.md").write_text("# Submissions\n")
        else:
            shutil.copytree(before, top, symlinks=True, ignore=shutil.ignore_patterns("work.sh"))
        with _hub(top) as hub, Session(top / "work", _environment(hub, top)) as session:
            for block in BLOCKS[name]:
                if block.language in RUN and block.reason is None:
                    _check(name, block, *session.run(block))
        return top / "work"


def _hub(top: Path) -> LoopbackHub:
    hub = LoopbackHub(top / "hub")
    hub.tokens |= {"hf_reader": "my-lab"}
    return hub


def _environment(hub: LoopbackHub, top: Path) -> dict[str, str]:
    inherited = hub.environment(top / "hf", "hf_reader")
    return {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}:{inherited['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "GOODENOUGH_CACHE": str(top / "cache"),
        "COLUMNS": "100",
    }


def _check(name: str, block: Block, code: int, printed: str) -> None:
    where = f"{name}:{block.line}"
    assert code == block.code, f"{where} ends with exit code {code}:\n{block.source}\n\n{printed}"
    if block.output is not None:
        assert same_output(block.output, printed), f"{where} shows\n{block.output}\n\nand prints\n{printed}"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, answers: Path) -> Iterator[Pages]:
    root = tmp_path_factory.mktemp("pages")
    yield Pages(root, answers)
    shutil.rmtree(root)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow) for name in EXECUTED]
)
def test_every_block_of_a_page_runs_and_prints_what_it_shows(pages: Pages, name: str) -> None:
    pages.run(name)


def test_the_pages_that_always_run_are_there() -> None:
    assert set(ALWAYS) | set(AFTER) | set(AFTER.values()) <= set(EXECUTED)


def test_a_block_is_run_or_says_why_not() -> None:
    blocks = [(name, block) for name, blocks in BLOCKS.items() for block in blocks]
    assert [f"{name}:{b.line}" for name, b in blocks if not b.language] == []
    unclear = [
        f"{name}:{b.line}" for name, b in blocks if b.language == "yaml" and not b.title and not b.reason
    ]
    assert unclear == []
    stray = [f"{name}:{b.line}" for name, b in blocks if b.language == "text" and not b.reason]
    assert stray == []
    assert len([b for _, b in blocks if b.language in RUN and b.reason]) <= NOT_RUN


def test_the_signals_that_a_path_names_are_those_of_the_starter_suite() -> None:
    suite = open_suite(None)
    current = {f"{name}@{suite.ref(name).sha256[:8]}" for name in suite.task_names}
    names = {
        name: set(re.findall(r"[a-z-]+@[0-9a-f]{8}\b", path.read_text("utf-8")))
        for name, path in PAGES.items()
    }
    assert {name: stale for name, of_page in names.items() if (stale := of_page - current)} == {}
    assert set().union(*names.values()), "no page names the folder of an entry"


def test_the_readme_is_short_and_names_the_command_of_the_tests() -> None:
    text = PAGES["README.md"].read_text("utf-8")
    assert len(text.split()) <= 900
    makefile = (ROOT / "Makefile").read_text()
    for target in ("make test", "make demo"):
        assert target in text
        assert f"\n{target.removeprefix('make ')}:" in makefile
    assert "make test" in (ROOT / ".ci/run").read_text()


@pytest.mark.slow
def test_the_table_of_the_readme_is_the_board(tmp_path: Path) -> None:
    out = tmp_path / "board.csv"
    words = ["leaderboard", "export", "--as", "csv", "--task", "deepfake", "--submissions", str(SUBMISSIONS)]
    assert cli.run([*words, "--out", str(out)]) == 0
    board = pd.read_csv(out).dropna(subset=["rank"])
    rows = re.findall(r"^\| (\d+ \|.*) \|$", PAGES["README.md"].read_text("utf-8"), re.MULTILINE)
    assert rows == [" | ".join(_row(row)) for row in board.to_dict("records")]


def _row(row: dict) -> list[str]:
    points = [f"{100 * row[k] + 0.0:+.1f}".replace("-", "−") for k in ("lift", "lift_low", "lift_high")]
    lift, low, high = (each.replace("+0.0", "0.0") for each in points)
    shares = [f"{100 * row[key]:.1f} %" for key in ("transfer", "swap", "accuracy")]
    name = row["model"].removeprefix("local/")
    return [f"{row['rank']:.0f}", name, f"{lift} pp", f"{low} to {high} pp", *shares]


def test_a_command_in_the_text_has_its_verb_and_its_options() -> None:
    count = 0
    for name, path in PAGES.items():
        text = path.read_text("utf-8").replace("\\\n", " ")
        for words in re.findall(r"(?:`|^)goodenough ((?:[^`\n|;]|\\\|)+)", text, re.MULTILINE):
            verbs, command = words.split(), cli.goodenough
            while isinstance(command, click.Group) and verbs:
                command = command.get_command(click.Context(command), verbs.pop(0))
            assert command is not None, f"{name}: goodenough {words}"
            known = {option for parameter in command.params for option in parameter.opts} | {"-h", "--help"}
            assert set(re.findall(r"(?<!\S)--[a-z-]+", words)) <= known, f"{name}: goodenough {words}"
            count += 1
    assert count > 50


def test_links_lead_somewhere() -> None:
    for name, path in PAGES.items():
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{name}: {target}"


def test_blocks_are_found_with_their_outputs_and_marks() -> None:
    fence = "```"
    page = f"<!-- exits 2 -->\n{fence}sh\na\n{fence}\n{fence}text\nb ... 3 s\n{fence}\n"
    page += f'\n<!-- not run: no GPU -->\n{fence}python title="x.py"\nc\n{fence}\n'
    page += f"    {fence}console\n    $ d\n    e\n    {fence}\n"
    one, two, three = blocks_of(page)
    assert (one.language, one.source, one.code, one.output) == ("sh", "a", 2, "b ... 3 s")
    assert (two.title, two.reason, two.output) == ("x.py", "no GPU", None)
    assert (three.source, three.output) == ("d", "e")
    assert same_output("b ... 3 s", "b c\nd 12.5 min")
    assert not same_output("lift 3.1", "lift 3.2")


def test_shell_and_python_keep_their_state_and_report_failure(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    with LoopbackHub(tmp_path) as hub, Session(tmp_path / "pages", _environment(hub, tmp_path)) as session:
        page = ("sh", "x=1; mkdir y; cd y"), ("sh", "pwd; echo $x"), ("sh", "false | true; echo")
        outputs = [session.run(Block(1, *each)) for each in page]
        assert outputs == [(0, ""), (0, f"{tmp_path}/pages/y\n1\n"), (1, "")]
        assert session.run(Block(1, "python", "x = 1")) == (0, "")
        assert session.run(Block(1, "python", "print(x)")) == (0, "1\n")
        code, printed = session.run(Block(7, "python", "1 / 0"))
        assert code == 1
        assert "page.md" in printed
        assert "line 8" in printed
    assert doc_pages.TIMEOUT < 300
