"""Which verdicts are asked again, and what forgers who know the rule get away with."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

from harness.entries import store
from harness.metrics.likeness import copies, likeness_of, suspects
from harness.metrics.scorecard import lift_by_clip
from harness.schemas import Entry
from harness.starter.paths import open_suite
from harness.submit import verdict_sample
from harness.submit.verdict_sample import draw, keys_of, worth
from tests.helpers import detection
from tests.helpers.entries import frame, make_entry
from tests.helpers.families import FAMILIES
from tests.helpers.repository import DOCS

ENTRY, VERDICTS = make_entry(n_clips=24, n_degenerate=1, n_draws=2, n_matched=1, families=FAMILIES[:1])
ROWS = frame(VERDICTS)
PAGE = DOCS / "verification.md"


def lift(entry: Entry, rows: pd.DataFrame) -> float:
    table = lift_by_clip(rows, FAMILIES[0], entry.references, entry.model, entry.label_map.covered)
    return float(table.mean().mean())


def test_a_verdict_is_worth_what_the_lift_loses_without_it() -> None:
    worths, before = worth(ENTRY, ROWS), lift(ENTRY, ROWS)
    assert worths.sum() == pytest.approx(1 + before)
    for i in random.Random(0).sample(list(np.flatnonzero(worths)), 12):
        rows = ROWS.copy()
        rows.loc[i, "predicted"] = "other" if rows["stimulus"][i] == "signal" else rows["expected"][i]
        assert before - lift(ENTRY, rows) == pytest.approx(worths[i])
    raising = ROWS[worths > 0]
    assert set(raising["stimulus"]) == {"signal", "swap"}
    accepted = raising["predicted"] == raising["expected"]
    assert (accepted == (raising["stimulus"] == "signal")).all()


@pytest.mark.parametrize(("k", "sizes"), [(1, (1, 0, 0)), (8, (5, 2, 1)), (64, (40, 16, 8))])
def test_most_are_of_the_lift_some_of_whole_clips_and_of_the_rest(k: int, sizes: tuple[int, ...]) -> None:
    rows = draw(ENTRY, "e" * 64, ROWS, "b" * 40, k)
    assert len(set(rows)) == k
    raises, whole = worth(ENTRY, ROWS)[rows] > 0, (ROWS["stimulus"] == "whole").to_numpy()[rows]
    assert (raises.sum(), whole.sum(), (~raises & ~whole).sum()) == sizes


def test_a_draw_of_more_than_there_are_is_of_all() -> None:
    assert sorted(draw(ENTRY, "e" * 64, ROWS, "b" * 40, 10**6)) == list(range(len(ROWS)))


def test_the_draw_depends_on_the_entry_and_on_the_base_and_not_on_the_order_of_the_rows() -> None:
    def drawn(rows: pd.DataFrame, sha256: str, base: str) -> list[verdict_sample.Key]:
        keys = keys_of(rows)
        return [keys[i] for i in draw(ENTRY, sha256, rows, base, 32)]

    one = drawn(ROWS, "e" * 64, "b" * 40)
    assert drawn(ROWS.sample(frac=1, random_state=0).reset_index(drop=True), "e" * 64, "b" * 40) == one
    assert drawn(ROWS, "f" * 64, "b" * 40) != one
    assert drawn(ROWS, "e" * 64, "c" * 40) != one
    assert drawn(ROWS, "e" * 64, "b" * 40) == one


def test_whole_clips_that_hide_a_copy_come_first() -> None:
    first = ("clip-0003", "clip-0017")
    rows = ROWS.iloc[draw(ENTRY, "e" * 64, ROWS, "b" * 40, 8, first)]
    assert set(rows["clip_id"][rows["stimulus"] == "whole"]) == set(first)


def test_a_copy_that_is_hidden_by_one_clip_is_asked_about_that_clip() -> None:
    suite = open_suite(None)
    task = suite.task("emotion")
    (folder,) = (f for f in suite.verdicts() if store.read(f).model.repo_id == "local/starter-emotion-ast")
    entry, rows = store.read(folder), store.verdicts(folder)
    clips = list(np.flatnonzero(rows["stimulus"] == "whole"))
    for i in random.Random(1).sample(clips, 3):
        forged = rows.copy()
        order = np.argsort(rows["p"][i])
        p = np.full(len(order), 1e-6)
        p[order[0]] = 1 - p[1:].sum()
        forged.at[i, "p"] = p
        forged.at[i, "predicted"] = task.labels[order[0]]
        near = likeness_of(forged, task, entry.label_map, suite)
        assert "local/starter-emotion-ast" not in copies(near), "it looks like another model"
        first = suspects(forged, task, entry.label_map, suite)
        assert rows["clip_id"][i] in first
        assert len(first) <= 0.1 * len(clips) + 1
        assert i in draw(entry, "e" * 64, forged, "b" * 40, 48, first)


def test_verdicts_come_as_often_as_they_are_worth() -> None:
    """The lots are a race: over many bases each comes first in proportion to its worth."""
    worths = worth(ENTRY, ROWS)
    keys, n = keys_of(ROWS), 4000
    raising = np.flatnonzero(worths > 0)[::7]
    first = np.zeros(len(raising))
    for base in range(n):
        times = [verdict_sample._exponential_time("e" * 64, str(base), keys[i]) / worths[i] for i in raising]
        first[int(np.argmin(times))] += 1
    expected = n * worths[raising] / worths[raising].sum()
    assert (((first - expected) ** 2 / expected).sum() - len(raising)) / (2 * len(raising)) ** 0.5 < 4


def test_the_exact_chance_is_that_of_an_urn_where_all_are_worth_the_same() -> None:
    for n_sound, n_forged, k in ((50, 3, 10), (200, 23, 30), (30, 1, 31)):
        chance = detection.found(np.full(n_sound, 0.01), 0.01 * n_forged, k)
        assert chance == pytest.approx(1 - hypergeom.pmf(0, n_sound + n_forged, n_forged, k), abs=1e-6)


def check(which: int, k: int, names: list[str], n: int) -> None:
    """Every strategy is found as often as its worth says, and that is 90 of 100 for 3 pp at 256 verdicts."""
    entry, rows = detection.submitted()[which]
    before = worth(entry, rows)
    sound = before[before > 0]
    of_strategies = detection.places(entry, rows)
    for name in names or list(of_strategies):
        changed = rows.copy()
        forged = detection.forge(changed, of_strategies[name], entry, 0.03)
        after = worth(entry, changed)
        is_forged = np.isin(np.arange(len(after)), forged)
        assert after[forged].sum() >= 0.03
        assert np.sort(after[(after > 0) & ~is_forged]) == pytest.approx(np.sort(sound)), name
        exactly = detection.found(sound, float(after[forged].sum()), detection.for_lift(k))
        share = detection.simulated(sound, after[forged], detection.for_lift(k), n, seed=which)
        print(f"{entry.task}, {k} asked, {name}: {len(forged)} forged, {exactly:.3f}, simulated {share:.3f}")
        assert abs(share - exactly) < 5 * (exactly * (1 - exactly) / n) ** 0.5
        assert k < 256 or exactly >= 0.9, name


def test_a_forgery_of_3_pp_is_found_in_90_of_100_draws_on_a_sample() -> None:
    check(1, 256, ["rejected signals, the least clearly rejected", "accepted swaps, any"], 300)


@pytest.mark.slow
@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("k", [64, 256])
def test_a_forgery_of_3_pp_is_found_wherever_it_is(which: int, k: int) -> None:
    check(which, k, [], 4000)


@pytest.mark.slow
def test_the_page_says_what_a_draw_finds() -> None:
    assert "\n".join(detection.table()) in PAGE.read_text()
