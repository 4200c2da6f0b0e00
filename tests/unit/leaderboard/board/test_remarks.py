"""Beside the numbers: panel, near copies, answers as to silence, anchors, held-back lift."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from harness.entries import store
from harness.entries.export import Source, eval_results
from harness.entries.held_back import HeldBack
from harness.errors import BadInput
from harness.schemas import Entry, NearCopy
from harness.types import PROTOCOL, DatasetRef, Estimate
from leaderboard import exports, formatting, render
from leaderboard.board import ranking as table
from leaderboard.board import remarks, verification_status
from leaderboard.board.frame import frame
from leaderboard.board.model_traits import Mark
from leaderboard.board.types import Board, Row
from leaderboard.site import builder, task_page
from tests.helpers.board_world import REFERENCES, World, model
from tests.helpers.families import HEADLINE

ESTIMATE = Estimate(0.625, 0.5, 0.75, 0.95, "clip bootstrap", 40)


def _row(world: World, name: str) -> Row:
    (row,) = (r for r in world.board.current[0].all_rows if r.name == name)
    return row


def _copy_of(entry: Entry, reference: str) -> Entry:
    """The entry, answering as a reference does."""
    alike = NearCopy(model(reference), 35, 35, 36, 36, 0.999)
    others = (near for near in entry.likeness if near.reference != alike.reference)
    return replace(entry, likeness=(*others, alike))


def _with_row(world: World, row: Row) -> Board:
    """The board with another first row."""
    ranking = world.board.current[0]
    rows = (row, *ranking.rows[1:])
    return Board((replace(ranking, rows=rows),))


OF_ITSELF = " other than the model itself"
REASONS = (
    f"There are no signals of a reference{OF_ITSELF}.",
    f"No reference{OF_ITSELF} offers 20 signals of classes that the model knows.",
    "The model knows the classes of 0.470496 of the signals; 0.5 is the least.",
    "The model knows the classes of 1e-05 of the signals; 0.5 is the least.",
    "The model accepts only 0.96 of its own signals, where all are expected: this run does not reproduce it.",
)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("name", ["acme/echo", "lab/alpha"])
def test_only_a_reference_is_told_of_references_other_than_itself(
    world: World, tmp_path: Path, reason: str, name: str
) -> None:
    row = _row(world, name)
    card = replace(row.entry.scorecard, ranked=False, unranked_because=reason)
    entry = replace(store.read(row.folder), scorecard=card)  # type: ignore[arg-type]
    wanted = reason if name == "lab/alpha" else reason.replace(OF_ITSELF, "")
    for share, in_percent in (("0.470496", "47.0"), ("0.5", "50.0"), ("1e-05", "0.0"), ("0.96", "96.0")):
        wanted = wanted.replace(f"{share} of", f"{in_percent} % of")
        wanted = wanted.replace(f"{share} is", f"{in_percent} % is")
    row = replace(row, entry=entry, rank=None)
    [ranking] = table.as_json(_with_row(world, row))
    assert ranking["rows"][0]["unranked_because"] == wanted
    named = replace(entry, signals=replace(entry.signals, repo_id="org/signals"))
    with pytest.raises(BadInput) as caught:
        eval_results(named, Source())
    assert f"({wanted.rstrip('.')})" in str(caught.value)
    nothing = dict.fromkeys(("error", "standing", "answer", "commands"))
    assert f"Not ranked. {wanted}" in render.render("app_result.html.j2", {**nothing, "entry": entry})
    assert task_page.note(row) == wanted
    # What was filed stays as it was.
    assert store.read(store.write(tmp_path, entry, [])).scorecard.unranked_because == reason


def test_the_panel_is_without_the_model_itself_and_those_it_counts_as(world: World) -> None:
    entry = _row(world, "acme/echo").entry
    assert remarks.n_panel(entry) == len(REFERENCES)
    assert remarks.n_panel(_row(world, "lab/alpha").entry) == len(REFERENCES) - 1
    assert remarks.n_panel(_copy_of(entry, "lab/beta")) == len(REFERENCES) - 1
    assert [remarks.panel(n) for n in (1, 2)] == [
        "for this panel of 1 reference",
        "for this panel of 2 references",
    ]


def test_a_near_copy_says_whose_it_is_and_a_reference_is_none_of_itself(world: World) -> None:
    entry = _row(world, "acme/echo").entry
    assert remarks.near_copies(entry) == ()
    (line,) = remarks.near_copies(_copy_of(entry, "lab/beta"))
    assert line.startswith("Counts as lab/beta: that reference is left out of its means.")
    assert remarks.near_copies(_copy_of(_row(world, "lab/beta").entry, "lab/beta")) == ()


def test_a_base_model_is_shown_only_where_it_is_a_reference(world: World) -> None:
    entry = _row(world, "acme/echo").entry
    facts = replace(entry.facts, base_models=("lab/Alpha", "lab/alpha", "someone/else"))
    assert remarks.made_from(replace(entry, facts=facts)) == ("lab/alpha",)
    assert remarks.made_from(entry) == ()


def test_answers_as_to_silence_are_shown_where_they_exceed_one_half(world: World) -> None:
    entry = _row(world, "acme/echo").entry
    first, *others = entry.scorecard.families
    shares = {"signal": replace(ESTIMATE, value=0.5), "swap": ESTIMATE}
    families = (replace(first, as_silence=shares), *(replace(f, as_silence={}) for f in others))
    (share,) = remarks.as_silence(replace(entry, scorecard=replace(entry.scorecard, families=families)))
    assert (share.family, share.stimulus, share.estimate) == (first.family, "the swap controls", ESTIMATE)


def test_a_panel_of_two_classes_says_how_many_call_silence_each(world: World) -> None:
    entry = _row(world, "acme/echo").entry
    assert remarks.silence_classes(entry) is None  # three classes
    headline = replace(entry.scorecard.families[0], by_class={"low": ESTIMATE, "high": ESTIMATE})
    says = {"lab/alpha": "low", "lab/beta": "low", "lab/gamma": "high"}
    two = replace(
        entry,
        references=tuple(replace(r, silence_class=says[r.model.repo_id]) for r in entry.references),
        scorecard=replace(entry.scorecard, families=(headline,)),
    )
    line = remarks.silence_classes(two)
    assert line is not None
    assert line.startswith("What the 3 references call silence: 1 calls it high, 2 call it low.")
    assert "both" not in line
    neither = replace(two, references=tuple(replace(r, silence_class="other") for r in two.references))
    line = remarks.silence_classes(neither)
    assert line is not None
    assert "3 neither" in line
    assert "of both where it calls silence neither" in line


def test_anchors_stand_below_the_table_and_are_never_ranked(world: World, tmp_path: Path) -> None:
    (ranking,) = world.board.current
    names = [anchor.name for anchor in ranking.anchors]
    assert names
    data = task_page.table_data(ranking.all_rows, {}, anchors=ranking.anchors)
    assert [anchor[0] for anchor in data["anchors"]] == names
    assert {len(anchor) - 2 for anchor in data["anchors"]} == {len(task_page.COLUMNS)}
    assert {row[0] for row in data["rows"]}.isdisjoint(names)
    rows = table.as_json(world.board)[0]["rows"]
    assert [r["model"]["repo_id"] for r in rows if r["role"] == "anchor"] == names
    latex = exports.export(world.board, "latex").decode()
    assert latex.index("For comparison, not ranked") < latex.index(f"-- & {names[0]} & ")
    page = (
        builder.write(tmp_path / "site", world.board, world.suite).parent / "tasks" / "tone.html"
    ).read_text()
    assert "For comparison, not ranked" in page
    assert '<td class="model" title="' in page


@pytest.mark.parametrize("words", ["flat-earther", "rejects sparse sound"])
def test_a_flagged_reference_is_marked_in_the_ranking_with_its_evidence(world: World, words: str) -> None:
    (ranking,) = world.board.current
    marked = ranking.rows[0].entry.model
    evidence = 'It <b>rejects</b> "all".'
    links = {row.entry.model: "x.html" for row in ranking.all_rows}
    context = task_page.context(world.board, "tone", None, links, None, {marked: Mark(words, evidence)})
    page = render.render("task.html.j2", context)
    badge = (
        '<span class="badge flag" title="It &lt;b&gt;rejects&lt;/b&gt; &#34;all&#34;.">' + f"{words}</span>"
    )
    assert page.count(badge) == 1
    data = task_page.table_data(ranking.all_rows, links, marks={marked: Mark(words, evidence)})
    assert [row[8] for row in data["rows"]].count((words, evidence)) == 1


def test_a_near_copy_stands_in_its_row_and_on_its_page(world: World, tmp_path: Path) -> None:
    first = world.board.current[0].rows[0]
    board = _with_row(world, replace(first, entry=_copy_of(first.entry, "lab/beta")))
    root = builder.write(tmp_path / "site", board, None).parent
    assert "counts as lab/beta" in (root / "tasks" / "tone.html").read_text()
    page = (root / "models" / builder.page_of(first.entry.model)).read_text()
    assert "Counts as lab/beta: that reference is left out of its means." in page


def test_a_held_back_lift_stands_on_the_page_and_in_the_exports_with_its_difference(
    world: World, tmp_path: Path
) -> None:
    first = world.board.current[0].rows[0]
    entry, difference = first.entry, Estimate(0.25, 0.125, 0.375, 0.95, "clip bootstrap", 40)
    signals = DatasetRef("org/private", "a" * 40, entry.task, "test", "b" * 64, HEADLINE)
    record = HeldBack(
        *(("lab/alpha",), 36, 12, ESTIMATE, ESTIMATE, difference),
        *(PROTOCOL, entry.path, "c" * 64, "d" * 64, signals, entry.run),
    )
    board = _with_row(world, replace(first, held_back=record))
    root = builder.write(tmp_path / "site", board, None).parent
    page = (root / "models" / builder.page_of(entry.model)).read_text(encoding="utf-8")
    assert f"Held-back lift <b>{formatting.format_estimate(ESTIMATE, 'difference')}</b>, on 12 clips" in page
    assert f"Lift minus held-back lift: {formatting.format_estimate(difference, 'difference')}." in page
    assert "Here it is, beyond what resampling the clips explains." in page
    found = frame(board)
    assert found["held_back"].iloc[0] == ESTIMATE.value
    assert found["held_back"].iloc[1:].isna().all()


def test_an_entry_of_protocol_1_is_stale_because_it_was_ranked_by_another_number(tmp_path: Path) -> None:
    found = verification_status.of(tmp_path / "entry", stale=True, protocol=1)
    assert (found.name, found.note.split(".")[0]) == ("stale", "Protocol 1: ranked by another number")
    assert "other signals" in verification_status.of(tmp_path / "entry", stale=True, protocol=PROTOCOL).note


@pytest.mark.parametrize("n", [0, 19])
def test_a_difference_of_too_few_signals_is_unknown_and_says_why(n: int) -> None:
    estimate = Estimate(None, None, None, 0.95, "clip bootstrap", n)
    assert formatting.format_estimate(estimate, "difference") == "unknown: fewer than 20 signals"
    assert formatting.text(estimate, "difference") == formatting.UNKNOWN


def test_the_script_says_of_too_few_signals_what_the_page_says() -> None:
    script = (Path(render.__file__).parent / "templates" / "common.js").read_text(encoding="utf-8")
    assert f'"{formatting.TOO_FEW}"' in script


def test_no_page_knows_a_control_that_is_retired() -> None:
    templates = Path(render.__file__).parent / "templates"
    for path in templates.iterdir():
        text = path.read_text(encoding="utf-8").replace("Math.floor", "").lower()
        assert not any(word in text for word in ("floor", "ceiling", "permuted"))


def test_answers_that_are_no_label_are_counted_on_whole_clips_alone() -> None:
    rows = [("whole", "other", "vocal")] * 3 + [("whole", "other", "guitar"), ("whole", "rock", "rock")]
    rows += [("signal", "other", "piano")] * 9
    verdicts = pd.DataFrame(rows, columns=["stimulus", "predicted", "predicted_raw"])
    line = remarks.as_other(verdicts)
    assert line is not None
    assert line.startswith(
        "Answers to whole clips that are no label of the task: 80.0\u202f% (95\u202f% interval "
    )
    assert "n = 5;" in line
    assert line.endswith(" Most often: vocal 3, guitar 1.")
    assert remarks.as_other(verdicts[verdicts["predicted"] != "other"]) is None
