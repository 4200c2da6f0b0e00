"""The board for other programs: every row and number comes out as it is, and names do no harm."""

from __future__ import annotations

import io
import json
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace

import pandas as pd
import pytest

from harness.entries import notices, store
from harness.types import Estimate
from leaderboard import exports
from leaderboard.board import common_classes, verification_status
from leaderboard.board import ranking as table
from leaderboard.board.columns import COLUMNS
from leaderboard.board.frame import frame
from leaderboard.board.types import Board
from leaderboard.site import builder

HOSTILE = "org/=HYPERLINK(1)&50%_#$^{\\}~"


def renamed(board, name):
    """The board with its first row under another name."""
    ranking = board.current[0]
    row = ranking.rows[0]
    entry = replace(row.entry, model=replace(row.entry.model, repo_id=name))
    rows = (replace(row, entry=entry), *ranking.rows[1:])
    return Board((replace(ranking, rows=rows), *board.rankings[1:]))


def test_every_entry_of_the_board_is_a_row_with_the_numbers_of_its_scorecard(world):
    found = frame(world.board)
    anchors = [anchor.name for r in world.board.rankings for anchor in r.anchors]
    assert len(found) == sum(len(r.all_rows) for r in world.board.rankings) + len(anchors)
    assert list(found[found["role"] == "anchor"]["model"]) == anchors
    assert found[found["role"] == "anchor"]["rank"].isna().all()
    assert found.columns.is_unique
    for ranking in world.board.rankings:
        for row in ranking.all_rows:
            one = found[
                (found["revision"] == row.entry.model.revision)
                & (found["model"] == row.name)
                & (found["signals_sha256"] == ranking.signals.sha256)
                & (found["protocol"] == ranking.protocol)
            ]
            assert len(one) == 1
            for column in COLUMNS:
                value = column.read(row)
                if isinstance(value, Estimate):
                    told = one[[column.key, f"{column.key}_low", f"{column.key}_high", f"{column.key}_n"]]
                    wanted = [value.value, value.low, value.high, value.n]
                    assert [None if pd.isna(x) else x for x in told.iloc[0]] == wanted


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
def test_what_is_written_is_read_back(world, kind):
    data = io.BytesIO(exports.export(world.board, kind))
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}[kind](data)
    wanted = frame(world.board)
    assert list(read.columns) == list(wanted.columns)
    assert list(read["model"]) == list(wanted["model"])
    for name in ("lift", "lift_low", "transfer", "accuracy_n", "rank"):
        left, right = (pd.to_numeric(t[name]).astype(float) for t in (read, wanted))
        pd.testing.assert_series_equal(left, right, check_names=False, rtol=1e-9)


def _told(world, row, by_class):
    """The board of one row, whose headline family has these rates by class."""
    card = row.entry.scorecard
    families = tuple(
        replace(f, by_class=by_class) if f.family == card.headline.family else f for f in card.families
    )
    entry = replace(row.entry, scorecard=replace(card, families=families))
    ranking = replace(world.board.current[0], rows=(replace(row, entry=entry),), unranked=())
    ranking = replace(ranking, opted_out=(), anchors=())
    return Board((ranking,))


def test_transfer_by_class_is_four_columns_a_class(world):
    row = world.board.current[0].rows[0]
    one, other = (Estimate(value, value - 0.1, value + 0.1, 0.95, "x", 7) for value in (0.25, 0.75))
    nothing = Estimate(None, None, None, 0.95, "x", 0)
    # A class may be called as the end of an interval, and a stranger may call one as he likes.
    labels = {"dog": one, "dog_low": other, "=1\r2": one, "low": other, "unheard": nothing}
    board = _told(world, row, labels)
    found = frame(board)
    assert found.columns.is_unique
    assert list(found)[-20:-12] == [
        f"transfer[{k}]{e}" for k in ("=1\r2", "dog") for e in ("", "_low", "_high", "_n")
    ]
    for kind, read in (("csv", pd.read_csv), ("json", pd.read_json), ("parquet", pd.read_parquet)):
        [line] = read(io.BytesIO(exports.export(board, kind))).to_dict("records")
        assert [line[f"transfer[dog]{end}"] for end in ("", "_low", "_high", "_n")] == pytest.approx(
            [0.25, 0.15, 0.35, 7]
        )
        assert [line[f"transfer[{k}]"] for k in ("dog_low", "low")] == [0.75, 0.75]
        assert (pd.isna(line["transfer[unheard]"]), line["transfer[unheard]_n"]) == (True, 0)
        assert line["transfer_low"] == pytest.approx(row.entry.scorecard.headline.rates.transfer.low)


def test_many_classes_of_one_stranger_push_out_none_that_all_tell(world):
    row = world.board.current[0].rows[0]
    value = Estimate(0.5, 0.4, 0.6, 0.95, "x", 7)
    alone = _told(world, row, {f"a{i}": value for i in range(1000)} | {"zebra": value}).rankings[0]
    both = replace(alone, rows=(*alone.rows, *_told(world, row, {"zebra": value}).rankings[0].rows))
    found = frame(Board((both,)))
    assert "transfer[zebra]" in found
    assert sum(str(name).startswith("transfer[") for name in found) == 4 * common_classes.MAX_CLASSES


def test_one_task_is_one_task(world):
    task = world.board.tasks[0]
    assert set(frame(world.board, task)["task"]) == {task}
    assert frame(world.board, "no such task").empty


def test_a_name_is_no_formula_and_no_command(world):
    board = renamed(world.board, "=cmd|' /C calc'!A0")
    csv = pd.read_csv(io.BytesIO(exports.export(board, "csv")))
    assert "'=cmd|' /C calc'!A0" in set(csv["model"])
    latex = exports.export(renamed(world.board, HOSTILE), "latex").decode()
    [line] = [line for line in latex.splitlines() if "HYPERLINK" in line]
    cell = line.split(" & ")[1]
    assert cell.endswith(r"=HYPERLINK(1)\&50\%\_\#\$\textasciicircum{}\{\textbackslash{}\}\textasciitilde{}")
    assert not re.search(r"(?<!\\)[&%$#_]", cell)
    bibtex = exports.export(renamed(world.board, "org/x},\n@misc{y"), "bibtex").decode()
    assert bibtex.count("\n@misc{") == len({r.entry.model for k in world.board.current for r in k.rows})


def test_a_badge_is_a_picture_that_says_lift_and_place(world):
    ranking = world.board.current[0]
    row = ranking.rows[0]
    picture = ET.fromstring(exports.badge(row, ranking))  # noqa: S314 - our own
    said = " ".join(picture.itertext())
    assert f"goodenough {ranking.task}" in said
    assert f"of {len(ranking.rows)}" in said
    hostile = renamed(world.board, "org/<script>alert(1)</script>\"'")
    ranking = hostile.current[0]
    text = exports.badge(ranking.rows[0], ranking)
    assert "<script" not in text
    ET.fromstring(text)  # noqa: S314 - our own
    line = exports.snippet(ranking.rows[0].entry)
    assert "<" not in line
    assert line.count("](") == 2


def test_a_site_gets_data_and_badges(world, tmp_path):
    written = dict(exports.badges(world.board))
    written |= {path: make() for path, _, make in exports.data_files(world.board)}
    builder.write(tmp_path / "site", world.board, world.suite)
    assert {path: (tmp_path / "site" / path).read_bytes() for path in written} == written
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "site").rglob("*.*") if p.is_file()}
    builder.write(tmp_path / "site", world.board, world.suite)
    after = {p: p.stat().st_mtime_ns for p in (tmp_path / "site").rglob("*.*") if p.is_file()}
    assert {p.name for p in after if after[p] != before.get(p)} <= {".goodenough-site"}
    task = world.board.tasks[0]
    assert {f"data/{task}.{ending}" for ending in ("csv", "json", "parquet", "tex")} <= set(written)
    ranked = sum(len(r.rows) for r in world.board.current)
    assert sum(path.startswith("badges/") for path in written) == ranked


def test_an_invalidated_entry_is_never_ranked_and_says_why(world, tmp_path):
    submissions = tmp_path / "submissions"
    shutil.copytree(world.submissions, submissions)
    ranked = {row.entry.path for r in world.board.current for row in r.rows}
    folder = next(f for f in store.find(submissions) if store.read(f).path in ranked)
    notices.invalidate(folder, "Ada", "Trained on the test clips.")
    board = table.build(submissions, world.suite)
    path = store.read(folder).path
    assert path not in {row.entry.path for r in board.current for row in r.rows}
    [row] = [row for r in board.current for row in r.unranked if row.entry.path == path]
    assert row.status.name == "invalidated"
    assert "Ada" in row.entry.scorecard.unranked_because
    assert "Trained on the test clips." in row.status.note
    # Nothing beside it brings it back, not even a file that cannot be read.
    folder.with_name(folder.name + ".invalidated.json").write_text("{}")
    assert verification_status.of(folder, stale=False).name == "invalidated"


def test_an_opt_out_is_a_row_without_numbers(world, tmp_path):
    submissions = tmp_path / "submissions"
    shutil.copytree(world.submissions, submissions)
    task = world.board.tasks[0]
    notices.opt_out(submissions, notices.new_opt_out("org/shy", "a" * 40, task, "Ada", "Trained on it."))
    found = frame(table.build(submissions, world.suite))
    [row] = found[found["status"] == "declined"].to_dict("records")
    assert (row["model"], row["task"]) == ("org/shy", task)
    assert row["status_note"] == "Opted out by Ada: Trained on it."
    assert pd.isna(row["lift"])
    assert json.loads(exports.export(table.build(submissions, world.suite), "json"))
