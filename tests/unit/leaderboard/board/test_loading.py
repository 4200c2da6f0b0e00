"""Many entries read fast: the same numbers as scorecard and columns give, in one process or in many."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.dataset import parquet_schema
from harness.dataset.suites import Suite
from harness.entries import store
from harness.errors import BadInput, BadSignals
from harness.metrics import estimates, ranks, scorecard
from harness.metrics.counted_lift import LiftByClip
from harness.metrics.likeness import copies
from harness.schemas import Entry
from leaderboard import process_pool
from leaderboard.board import loading, rank_intervals
from leaderboard.board import ranking as table
from leaderboard.board.columns import RATES
from leaderboard.site import builder
from tests.benchmarks import synthetic
from tests.helpers.board_world import Manner, World, add_entry
from tests.helpers.entries import make_entry
from tests.helpers.families import FAMILIES


def _by_frame(folder: Path, entry: Entry) -> pd.DataFrame:
    covered = entry.label_map.covered
    return scorecard.lift_by_clip(
        store.verdicts(folder), FAMILIES[0], entry.references, entry.model, covered, copies(entry.likeness)
    )


def _agree(folder: Path, entry: Entry | None = None) -> LiftByClip:
    entry = entry or store.read(folder)
    expected, lifts = _by_frame(folder, entry), loading.read_lifts(folder / store.VERDICTS, entry)
    assert list(lifts.clip_ids) == list(expected.index)
    assert list(lifts.references) == list(expected.columns)
    assert lifts.values.dtype == np.float32
    np.testing.assert_array_equal(lifts.values, expected.to_numpy(dtype=np.float32))
    return lifts


def _rewritten(folder: Path, frame: pd.DataFrame) -> None:
    made = pa.Table.from_pandas(frame, schema=parquet_schema.VERDICTS, preserve_index=False)
    pq.write_table(made, folder / store.VERDICTS)


def test_the_fast_way_gives_the_differences_of_the_scorecard(world: World) -> None:
    folders = [*store.find(world.submissions), *world.suite.verdicts()]
    lifts = [_agree(folder) for folder in folders]
    assert {one.values.shape[1] for one in lifts} == {0, 2, 3}
    values = np.concatenate([one.values.ravel() for one in lifts])
    thirds = np.unique(np.round(3 * values[~np.isnan(values)]))
    assert list(thirds) == [-3, -2, -1, 0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(4))
def test_it_does_so_where_classes_are_unknown_and_signals_are_few(tmp_path: Path, seed: int) -> None:
    entry, rows = make_entry(
        references=("a/one", "a/two", "toys/candidate"),
        n_clips=30,
        n_degenerate=seed,
        labels=("angry", "happy", "sad")[: 2 + seed % 2],
        silence=("angry", None)[seed % 2],
        seed=seed,
        n_draws=1 + seed % 3,
    )
    folder = store.write(tmp_path, entry, rows)
    frame = store.verdicts(folder)
    rng = np.random.default_rng(seed)
    some = frame[(frame["stimulus"] != "swap") | (rng.random(len(frame)) < 0.6)]
    _rewritten(folder, some.sample(frac=1, random_state=seed))
    lifts = _agree(folder, entry)
    assert lifts.values.shape[1] in (1, 2)
    assert (np.isnan(lifts.values).any(axis=0)).any() or seed == 0


def test_a_near_copy_of_a_reference_is_compared_over_the_others(tmp_path: Path) -> None:
    entry, rows = make_entry(references=("a/one", "a/two"), n_clips=30, acceptance=1.0, whole_accuracy=1.0)
    like = tuple(replace(one, correlation=0.999) for one in entry.likeness[:1])
    assert copies(like) == {"a/one"}
    entry = replace(entry, likeness=like)
    folder = store.write(tmp_path, entry, rows)
    assert _agree(folder, entry).references == ("a/two",)


def test_rows_that_stand_there_twice_are_bad_signals(world: World, tmp_path: Path) -> None:
    folder = add_entry(tmp_path, world.suite, "a/one", Manner(0.9, 0.1))
    frame = store.verdicts(folder)
    for stimulus in ("signal", "swap", "whole"):
        _rewritten(folder, pd.concat([frame, frame[frame["stimulus"] == stimulus].head(1)]))
        with pytest.raises(BadSignals, match=f"two {stimulus} verdicts"):
            loading.read_lifts(folder / store.VERDICTS, store.read(folder))


def test_signals_of_clips_that_were_not_asked_whole_are_bad_signals(world: World, tmp_path: Path) -> None:
    folder = add_entry(tmp_path, world.suite, "a/one", Manner(0.9, 0.1))
    frame = store.verdicts(folder)
    _rewritten(folder, frame[(frame["stimulus"] != "whole") | (frame["clip_id"] != "clip-05")])
    with pytest.raises(BadSignals, match="clip-05"):
        loading.read_lifts(folder / store.VERDICTS, store.read(folder))


def test_places_are_those_that_the_comparison_gives(world: World, tmp_path: Path) -> None:
    names = ("a/one", "a/two", "a/three")
    folders = [
        add_entry(tmp_path, world.suite, name, Manner(0.5 + 0.2 * i, 0.3)) for i, name in enumerate(names)
    ]
    lifts = [loading.read_lifts(folder / store.VERDICTS, store.read(folder)) for folder in folders]
    tables = [one.values for one in lifts]
    tables[0] = tables[0].copy()
    tables[0][1::2] = np.nan
    lifts[0] = LiftByClip(lifts[0].clip_ids[::2], lifts[0].references, lifts[0].values[::2])
    references = [one.references for one in lifts]
    weights = estimates.clip_weights(len(lifts[1].clip_ids), ("tone",))
    comparison = ranks.compare(tables, references, weights)
    values = np.array([0.2, 0.2, 0.5])
    ranked = rank_intervals.ranks_with_intervals(lifts, values, ("tone",))
    assert [place.rank for place in ranked] == [2, 2, 1]
    assert [place.tie for place in ranked] == ranks.tie_groups(comparison, values)
    assert [place.without for place in ranked] == ranks.ranks_without(tables, references)
    for model_rank, (low, high) in zip(ranked, ranks.rank_intervals(comparison), strict=True):
        assert (model_rank.low, model_rank.high) == (min(low, model_rank.rank), max(high, model_rank.rank))


def test_a_row_has_its_ranks_without_any_one_reference(world: World) -> None:
    rows = world.board.current[0].rows
    for row in rows:
        assert row.panel_low is not None
        assert row.panel_high is not None
        assert 1 <= row.panel_low <= row.panel_high <= len(rows)


def test_cells_hold_the_numbers_of_the_entry_in_percent(world: World) -> None:
    for row in world.board.current[0].rows:
        assert row.folder is not None
        families = store.read(row.folder).scorecard.families
        assert [of.family for of in row.cells] == [family.family for family in families]
        for of, family in zip(row.cells, families, strict=True):
            assert list(of.models) == [cell.reference for cell in family.cells]
            for i, cell in enumerate(family.cells):
                own = 1 if cell.same_weights else 2 * cell.near_copy
                of_pair = (own, cell.n_signals, cell.n_degenerate, cell.n_applicable)
                assert tuple(of.counts[i]) == of_pair
                for found, column in zip(of.rates[i], RATES, strict=True):
                    rate = getattr(cell.rates, column.key)
                    told = [np.nan if x is None else 100 * x for x in (rate.value, rate.low, rate.high)]
                    np.testing.assert_allclose(found, told, atol=0.0501)
            there = of.of(tuple(reversed(of.models))[:2])
            np.testing.assert_array_equal(there.rates, of.rates[::-1][:2])


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Suite]:
    submissions, signals = synthetic.make(tmp_path_factory.mktemp("many"), 60, 3, 21, 1)
    return submissions, Suite(signals, synthetic.NAME)


def test_many_processes_give_the_same_board_and_site(
    many: tuple[Path, Suite], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = table.build(*many)
    builder.write(tmp_path / "plain", plain, many[1])
    monkeypatch.setattr(process_pool, "BATCH_SIZE", 15)
    told: list[tuple[str, int, int]] = []
    board = table.build(*many, progress=lambda *said: told.append(said))
    builder.write(tmp_path / "site", board, many[1], lambda *said: told.append(said))
    assert json.dumps(table.as_json(board)) == json.dumps(table.as_json(plain))
    assert board.current[0].matrices == plain.current[0].matrices
    for what in ("Reading entries", "Writing pages"):
        said = [(n, total) for w, n, total in told if w == what]
        assert {total for _, total in said} == {sum(n for n, _ in said)}
    files = {
        name: {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*.*")}
        for name in ("plain", "site")
        if (tmp_path / name).is_dir()
    }
    assert files["plain"] == files["site"]


def test_entries_have_no_cells_and_equal_references_are_one_object(many: tuple[Path, Suite]) -> None:
    (ranking,) = table.build(*many).rankings
    assert {len(f.cells) for row in ranking.rows for f in row.entry.scorecard.families} == {0}
    assert len(ranking.matrices[0].models) == ranking.matrices[0].n_references + table.MAX_CANDIDATES
    assert ranking.matrices[0].n_left_out == 60 - table.MAX_CANDIDATES
    row = ranking.rows[-1]
    assert row.folder is not None
    whole = store.read(row.folder)
    likeness = tuple(near for near in whole.likeness if near.is_copy)
    assert replace(whole, scorecard=row.entry.scorecard, likeness=likeness) == row.entry
    assert len({id(row.entry.references) for row in ranking.rows}) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data["scorecard"]["families"][0].pop("cells"),
        lambda data: data["scorecard"]["families"][0]["cells"].append(3),
        lambda data: data["scorecard"]["families"][0]["cells"][0]["rates"].pop("lift"),
        lambda data: data["scorecard"]["families"][0]["cells"][0].update(n_signals="many"),
        lambda data: data.pop("references"),
        lambda data: data.pop("scorecard"),
    ],
    ids=["no cells", "no cell", "no lift", "no number", "no references", "no scorecard"],
)
def test_what_is_no_entry_is_refused_in_a_line(many: tuple[Path, Suite], tmp_path: Path, spoil) -> None:
    folder = store.find(many[0])[0]
    place = tmp_path / folder.relative_to(many[0])
    shutil.copytree(folder, place)
    data = json.loads((place / store.ENTRY).read_text())
    spoil(data)
    (place / store.ENTRY).write_text(json.dumps(data))
    with pytest.raises(BadInput) as refused:
        table.build(tmp_path, None)
    assert "\n" not in str(refused.value)
    assert str(place) in str(refused.value)


WAITING = """
import sys
from pathlib import Path
from leaderboard import process_pool
from tests.unit.leaderboard.board.test_loading import slowly

if __name__ == "__main__":
    try:
        with process_pool.batches(slowly, list(range(400))) as batches:
            for done in batches:
                print("begun", flush=True)
    except KeyboardInterrupt:
        print("stopped", flush=True)
        sys.exit(130)
"""


def slowly(things: list[int]) -> int:
    """A batch that takes its time after the first."""
    time.sleep(0 if 0 in things else 0.3)
    return len(things)


def test_an_interruption_stops_the_processes_without_a_word_of_theirs(tmp_path: Path) -> None:
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    running = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={"PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"},
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "begun\n"
    # To all of them, as a terminal does.
    import os

    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (out.splitlines()[-1], err, running.returncode) == ("stopped", "", 130)
