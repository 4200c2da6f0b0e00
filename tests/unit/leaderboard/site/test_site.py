"""What the pages of a site say: the table's data, the heat map's, pairs, traits of references, sounds."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.dataset.paths import MANIFEST
from harness.dataset.suites import Suite
from harness.entries import store
from harness.entries.export import unranked_because
from harness.schemas import to_json
from harness.types import Estimate, ModelRef
from leaderboard import formatting, render, urls
from leaderboard.board import columns, model_traits
from leaderboard.board import ranking as table
from leaderboard.board.types import Board
from leaderboard.escaping import neutral
from leaderboard.plots import heatmap, spectrogram
from leaderboard.site import audio_page, builder, pair_table, task_page
from leaderboard.site.pair_table import ModelNames
from tests.helpers.board_world import REFERENCES, TASK, World, model
from tests.helpers.families import FAMILIES

OVERRIDE = "\u202e"


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builder.write(tmp_path_factory.mktemp("pages") / "site", world.board, world.suite).parent


def test_a_page_is_written_anew_where_an_estimate_differs_in_any_digit() -> None:
    estimate = Estimate(0.5, 0.4, 0.6, 0.95, "wilson", 9)
    keys = {builder._key(replace(estimate, value=value)) for value in (0.5, 0.5 + 2**-52, None)}
    assert len({*keys, builder._key(replace(estimate, method="bootstrap")), builder._key(estimate)}) == 4
    assert builder._key((ModelRef("a/b", "0", "1"), estimate)) != builder._key(
        (ModelRef("a/b", "0", "2"), estimate)
    )


def _data(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    return [json.loads(t) for t in re.findall(r'<script type="application/json">(.*?)</script>', text)]


def test_the_data_of_a_table_hold_every_row_with_the_numbers_of_its_entry(world: World, built: Path) -> None:
    current = _data(built / "tasks" / "tone.html")[0]
    rows = current["rows"]
    at = {key: 13 + i for i, (key, *_) in enumerate(current["columns"])}
    assert len(rows) == len(world.board.current[0].all_rows) == 7
    for row, shown in zip(rows, world.board.current[0].all_rows, strict=True):
        assert row[at["model"]] == shown.name
        assert row[0] == f"../models/{builder.page_of(shown.entry.model)}"
        assert (row[at["rank"]], row[2], row[3], row[4]) == (
            *(shown.rank, shown.rank_low, shown.rank_high, shown.tie),
        )
        lift = shown.entry.scorecard.headline.rates.lift
        value, _, _, n = row[at["lift"]]
        assert n == lift.n
        if lift.value is not None:
            assert formatting.text(lift, "difference").startswith(
                f"{value / 10:+.1f}".replace("-", "−") if value else "0.0"
            )
    assert rows[-1][5] == unranked_because(world.board.current[0].unranked[0].entry)


def test_the_cells_of_a_heat_map_lead_to_pairs_that_are_on_the_pages(world: World, built: Path) -> None:
    grid = _data(built / "tasks" / "tone.html")[1]
    first, second = grid["families"]
    assert [first["family"], second["family"]] == list(FAMILIES)
    assert len(first["cells"]) == 3 * 7
    for _, anchor in grid["rows"]:
        for _, href in grid["columns"]:
            page = (built / "tasks" / href).read_text(encoding="utf-8")
            assert page.count(f'id="{anchor}"') == 1
    matrix = world.board.current[0].matrices[0]
    cell = matrix.cells[model("lab/beta"), model("acme/echo")]
    place = 7 + [m.repo_id for m in matrix.models].index("acme/echo")
    own, n, *numbers = first["cells"][place]
    assert (own, n) == (0, cell.n_applicable)
    assert numbers[0] == round(10 * round(100 * cell.rates.transfer.value, 1))  # type: ignore[operator]


def test_a_heat_map_of_many_candidates_keeps_the_references_and_the_best(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MAX_CANDIDATES", 2)
    board = table.build(world.submissions, world.suite)
    (ranking, *_) = board.current
    for matrix in ranking.matrices:
        assert [m.repo_id for m in matrix.models[:3]] == list(REFERENCES)
        assert [m.repo_id for m in matrix.models[3:]] == [r.name for r in ranking.rows if not r.reference][:2]
    context = task_page.context(board, TASK.name, None, {}, None)
    assert context["n_left_out"] == 2


def test_names_that_begin_alike_are_told_once(world: World) -> None:
    (ranking, *_) = world.board.current
    names = {m: replace(m, repo_id=f"local/tone-{i}") for i, m in enumerate(ranking.matrices[0].models)}
    matrix = ranking.matrices[0]
    alike = replace(
        matrix,
        references=tuple(names[m] for m in matrix.references),
        models=tuple(names[m] for m in matrix.models),
        cells={(names[f], names[g]): cell for (f, g), cell in matrix.cells.items()},
    )
    grid = heatmap.grid([alike], "tone", {})
    assert grid is not None
    assert grid["shared"] == ""  # five letters would save little
    longer = {m: replace(n, repo_id=f"local/starter-tone-{n.repo_id[-1]}") for m, n in names.items()}
    again = replace(
        matrix,
        references=tuple(longer[m] for m in matrix.references),
        models=tuple(longer[m] for m in matrix.models),
        cells={},
    )
    grid = heatmap.grid([again], "tone", {})
    assert grid is not None
    assert grid["shared"] == "starter-tone-"
    assert set(grid["families"][0]["cells"]) == {0}


@pytest.mark.parametrize(
    ("repo_id", "wanted"),
    [
        ("org/model", f"https://huggingface.co/org/model/tree/{'a' * 40}"),
        ("local/model", None),
        ("embedded/starter", None),
        ("javascript:alert(1)", None),
        ("a/b/../c", None),
        ('a/b"onclick=', None),
        ("a/b@main", None),
        ("a/\u0430", None),
    ],
)
def test_only_a_repository_of_the_hub_gets_an_address(repo_id: str, wanted: str | None) -> None:
    assert urls.hub_page(repo_id, "a" * 40) == wanted


def test_data_cannot_end_their_script_nor_turn_the_page_round() -> None:
    hostile = {"a": "</script><script>alert(1)</script>", "b": f"x{OVERRIDE}y", "c": "<!--\u2028"}
    text = str(render.embed(hostile))
    assert not set("<>&\u2028") & set(text)
    assert OVERRIDE not in text
    read = json.loads(text)
    assert read["a"] == hostile["a"]
    assert read["b"] == "x\N{REPLACEMENT CHARACTER}y"


def test_no_page_is_turned_round_by_a_name(world: World, tmp_path: Path) -> None:
    (ranking, *_) = world.board.current
    row = ranking.rows[0]
    odd = replace(row.entry.model, repo_id=f"acme/{OVERRIDE}ohce")
    entry = replace(row.entry, model=odd, facts=replace(row.entry.facts, licence=f"m{OVERRIDE}it"))
    cells = {(f, odd if g == row.entry.model else g): c for (f, g), c in ranking.matrices[0].cells.items()}
    models = tuple(odd if m == row.entry.model else m for m in ranking.matrices[0].models)
    spoiled = replace(
        ranking,
        rows=(replace(row, entry=entry, folder=None), *ranking.rows[1:]),
        matrices=(replace(ranking.matrices[0], cells=cells, models=models),),
    )
    out = builder.write(tmp_path / "site", Board((spoiled,)), None).parent
    for path in [*out.rglob("*.html"), *out.rglob("*.svg")]:
        assert OVERRIDE not in path.read_text(encoding="utf-8")
    assert neutral("Prélude 音 ½") == "Prélude 音 ½"


def test_a_page_tells_every_pair_in_both_directions(world: World, built: Path) -> None:
    reference = model("lab/beta")
    text = unescape((built / "models" / builder.page_of(reference)).read_text(encoding="utf-8"))
    assert len(re.findall(r'<tr id="pair-tone-lab__\w+">', text)) == 3
    judged_by = text.split("How its own signals are judged")[1].split("Make it again")[0]
    for name in (*REFERENCES, "acme/echo", "someone/constant", "someone/half-deaf"):
        assert judged_by.count(f'.html">{name.split("/")[1]}</a>') == 2  # one for each family
    cell = world.board.current[0].matrices[0].cells[reference, model("acme/echo")]
    transfer, lift = cell.rates.transfer, cell.rates.lift
    assert formatting.interval(transfer, "rate").partition(formatting.THIN)[0] in judged_by
    assert formatting.interval(lift, "difference").partition(formatting.THIN)[0] in judged_by


def test_numbers_of_a_pair_are_written_as_the_columns_write_them(world: World) -> None:
    for of_row in world.board.current[0].rows:
        named = ModelNames({m: m.repo_id for of in of_row.cells for m in of.models}, {})
        assert of_row.folder is not None
        families = store.read(of_row.folder).scorecard.families
        for family, (name, found) in zip(
            families, pair_table.pair_tables(of_row.cells, named, "tone"), strict=True
        ):
            assert name == family.family
            for cell, row in zip(family.cells, found.split("\n"), strict=True):
                for column in columns.RATES:
                    estimate = getattr(cell.rates, column.key)
                    plain = formatting.text(estimate, column.kind).partition(formatting.THIN)[0]
                    assert f">{plain}<" in row
                    if estimate.low is not None:
                        assert formatting.interval(estimate, column.kind).partition(formatting.THIN)[0] in row


def test_a_reference_is_described_by_its_signals_and_by_what_it_makes_of_others(world: World) -> None:
    standing = {row.entry.model for row in world.board.current[0].rows}
    found = model_traits.of_task(world.suite, TASK.name, standing)
    assert [m.repo_id for m in found] == list(REFERENCES)
    beta = found[model("lab/beta")]
    assert beta.n_signals == 35
    assert beta.size.value == pytest.approx(120 / 2001)
    assert sum(beta.mel) == pytest.approx(1)
    assert sum(beta.others) == pytest.approx(1)
    assert len(beta.curve) == 8
    assert beta.curve[0].n == 70  # the minimal signals of the two others
    assert beta.curve[0].value == pytest.approx(
        np.mean(
            [
                world.board.current[0].matrices[1].cells[model(f), model("lab/beta")].rates.transfer.value
                for f in ("lab/alpha", "lab/gamma")
            ]
        )
    )
    assert "not assessed" in beta.evidence  # a panel of three
    assert beta.mark is None
    for verdict, words in (("a flat-earther", "flat-earther"), ("rejects sparse sound",) * 2):
        assert replace(beta, flagged=True, verdict=verdict).mark == (words, beta.evidence)
    assert list(model_traits.of_task(world.suite, TASK.name, {model("lab/beta")})) == [model("lab/beta")]


def test_clips_to_hear_come_from_every_class_and_every_reference(world: World) -> None:
    heard = audio_page.choose(world.suite, TASK.name)
    assert heard == audio_page.choose(world.suite, TASK.name)
    clips = dict.fromkeys(h.clip_id for h in heard)
    assert len(clips) == audio_page.N_CLIPS
    assert [int(c[-2:]) % 3 for c in clips].count(0) == 4
    assert {h.reference.repo_id for h in heard} == set(REFERENCES)
    assert "clip-00" not in clips  # degenerate


def test_a_page_of_sounds_says_who_accepts_what(world: World, built: Path) -> None:
    (ranking, *_) = world.board.current
    heard = audio_page.choose(world.suite, TASK.name)
    cards = audio_page.cards(world.suite, TASK.name, heard, ranking.matrices[0], ranking.all_rows)
    signals = [s for card in cards for s in card["signals"]]
    assert len(signals) == len(heard)
    for signal in signals:
        assert signal["reference"] in signal["accepts"]  # its own
        assert len(signal["accepts"]) + len(signal["rejects"]) == 7
    anchors = [s["id"] for s in signals if s["id"]]
    assert sorted(anchors) == [f"pair-of-lab__{name}" for name in ("alpha", "beta", "gamma")]
    text = (built / "evidence" / "tone.html").read_text(encoding="utf-8")
    assert {player.name for s in signals for player in s["players"]} == {"Signal", "Swap", "Matched"}
    assert all({name for name, _, _ in s["controls"]} == {"swap", "matched"} for s in signals)
    n_sounds = len(cards) + sum(len(s["players"]) for s in signals)
    assert text.count("<audio") == text.count("data:audio/flac;base64,") == n_sounds
    assert len(text) < 1.1 * audio_page.BUDGET_BYTES


@pytest.mark.parametrize("licence", [None, "all rights reserved", "cc-by-nd-4.0"])
def test_no_sound_is_published_that_its_licence_keeps(
    world: World, tmp_path: Path, licence: str | None
) -> None:
    shutil.copytree(world.suite.root, tmp_path / "signals")
    suite = Suite(tmp_path / "signals", "local/tones")
    first, *others = suite.manifest.references
    kept = replace(first, corpus=replace(first.corpus, licence=licence))
    manifest = replace(suite.manifest, references=(kept, *others))
    (tmp_path / "signals" / MANIFEST).write_text(to_json(manifest))
    suite = Suite(tmp_path / "signals", "local/tones")
    assert audio_page.why_silent(suite, TASK.name) is not None
    out = builder.write(tmp_path / "site", world.board, suite).parent
    assert not (out / "evidence").exists()
    pages_made = [p.read_text(encoding="utf-8") for p in out.rglob("*.html")]
    assert not any("data:audio" in text or "../evidence/" in text for text in pages_made)
    assert "does not allow that parts of it are passed on" in (out / "tasks" / "tone.html").read_text()


def test_a_spectrogram_is_darkest_where_the_tone_is() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000).astype(np.float32)
    shades = spectrogram.picture(tone, 8000)
    assert shades.shape == (spectrogram.HEIGHT, spectrogram.WIDTH)
    row = spectrogram.HEIGHT - 1 - int(shades[::-1, spectrogram.WIDTH // 2].argmax())
    mel = 2595 * np.log10(1 + 1000 / 700) / (2595 * np.log10(1 + 4000 / 700))
    assert (spectrogram.HEIGHT - 1 - row) / (spectrogram.HEIGHT - 1) == pytest.approx(mel, abs=0.04)
    assert spectrogram.picture(np.zeros(10, np.float32), 8000).max() == 0


def test_pairs_of_odd_names_have_plain_anchors_that_differ() -> None:
    refs = [ModelRef(name, "f" * 40, name) for name in ("a/b c", "a/b?c", 'a/"><script>')]
    anchors = [urls.pair_anchor("tone", ref) for ref in refs]
    assert len(set(anchors)) == 3
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", a) for a in anchors)
