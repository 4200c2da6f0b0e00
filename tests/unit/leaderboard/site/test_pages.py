from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import leaderboard
from harness.dataset.paths import VERDICTS
from harness.dataset.suites import Suite
from harness.entries import store
from harness.errors import BadInput
from harness.metrics.estimates import wilson
from harness.schemas import Entry
from harness.types import LabelMap
from leaderboard import render
from leaderboard.board import loading
from leaderboard.board import ranking as table
from leaderboard.board.matrix import matrix_of
from leaderboard.board.types import Board, Ranking, Row
from leaderboard.reports import audio_examples, entry_report
from leaderboard.site import builder
from tests.helpers.board_world import TASK, World, model
from tests.helpers.families import FAMILIES

EVIL = "</td></script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&{{7*7}}"
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """A page, checked for balance while it is read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, attribute: str) -> list[str]:
        return [a[attribute] or "" for _, a in self.tags if attribute in a]


def _page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builder.write(tmp_path_factory.mktemp("site") / "site", world.board, world.suite).parent


@pytest.fixture(scope="module")
def reported(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    entry, folder = _entry(world, "acme/wav2vec2-large-xlsr-53-tone-recognition")
    entry_report.write(path, entry, store.verdicts(folder), world.suite)
    return path


def _entry(world: World, name: str) -> tuple[Entry, Path]:
    for folder in store.find(world.submissions):
        entry = store.read(folder)
        if entry.model.repo_id == name and entry.signals == world.suite.ref(TASK.name):
            return entry, folder
    raise AssertionError(name)


def test_every_entry_stands_on_the_site_with_a_page_of_its_own(world: World, built: Path) -> None:
    of_task = _page(built / "tasks" / "tone.html")
    folders = [*store.find(world.submissions), *store.find(world.suite.root / VERDICTS)]
    assert len(folders) == 8
    for folder in folders:
        entry = store.read(folder)
        page = f"models/{builder.page_of(entry.model)}"
        assert f"../{page}" in of_task.values("href")
        assert entry.signals.sha256 in (built / page).read_text(encoding="utf-8")


def test_every_page_is_balanced_html_with_unique_ids_and_live_links(built: Path) -> None:
    found = list(built.rglob("*.html"))
    assert len(found) == 7 + 4
    for path in found:
        page = _page(path)
        ids = page.values("id")
        assert len(ids) == len(set(ids))
        for href in page.values("href"):
            if href.startswith("#"):
                assert href[1:] in ids
            elif href != "data:," and not href.startswith("https://huggingface.co/"):
                name, _, place = href.partition("#")
                assert (path.parent / name).is_file()
                assert not place or place in _page(path.parent / name).values("id")


def test_no_page_names_another_host_or_carries_any_script_but_ours(built: Path, reported: Path) -> None:
    for path in [*built.rglob("*.html"), reported]:
        parts = render.SCRIPTS[
            "board" if path.parent.name == "tasks" or path.name == "models.html" else "table"
        ]
        templates = Path(leaderboard.__file__).parent / "templates"
        script = b"".join((templates / part).read_bytes() for part in parts)
        allowed = f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        text = path.read_text(encoding="utf-8")
        page = Page(text)
        assert [a.get("type") for tag, a in page.tags if tag == "script"].count(None) == 1
        assert f"<script>{script.decode()}</script>" in text
        assert allowed in text
        addresses = re.findall(r"https?://[^\s\"'<]+", text.replace(script.decode(), ""))
        on_the_hub = re.compile(r"https://huggingface\.co/[a-z]+/[a-z0-9-]+(/tree/[0-9a-f]{40})?")
        assert all(a == "http://www.w3.org/2000/svg" or on_the_hub.fullmatch(a) for a in addresses)


def test_the_figures_for_a_readme_are_written(built: Path) -> None:
    names = sorted(path.name for path in (built / "figures").iterdir())
    assert names == ["tone-lift.svg", "tone-size.svg", "tone-transfer.svg"]


def test_a_site_without_a_suite_leaves_the_references_out_and_still_stands(
    world: World, tmp_path: Path
) -> None:
    index = builder.write(tmp_path / "site", table.build(world.submissions, None), None)
    text = index.read_text(encoding="utf-8")
    of_task = (index.parent / "tasks" / "tone.html").read_text(encoding="utf-8")
    assert "The references and their signals" not in of_task
    assert not (index.parent / "evidence").exists()
    assert "acme/echo" in text
    assert "acme/echo" in of_task


def test_an_empty_board_is_a_page_too(tmp_path: Path) -> None:
    index = builder.write(tmp_path / "site", Board(()), None)
    assert "No entries and no signals yet." in index.read_text(encoding="utf-8")


def test_writing_again_replaces_pages_and_drops_those_of_models_that_are_gone(
    world: World, tmp_path: Path
) -> None:
    out = tmp_path / "site"
    builder.write(out, world.board, None)
    (kept, *_), _ = _split(world.board)
    builder.write(out, Board((replace(world.board.current[0], rows=(kept,), unranked=()),)), None)
    assert [p.name for p in (out / "models").iterdir()] == [builder.page_of(kept.entry.model)]
    assert [p.name for p in tmp_path.iterdir()] == ["site"]


def _split(board: Board) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    return board.current[0].rows, board.current[0].unranked


def test_a_folder_with_other_things_is_not_overwritten(world: World, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadInput, match=r"holds thesis\.tex, which no build of a site left there"):
        builder.write(tmp_path, world.board, None)
    with pytest.raises(BadInput, match="is a file"):
        builder.write(tmp_path / "thesis.tex", world.board, None)


def _spoiled(entry: Entry) -> Entry:
    """The entry with markup in every text a submitter controls."""
    score = entry.scorecard.families[0]
    bad = replace(score, by_class={EVIL: next(iter(score.by_class.values()))})
    return replace(
        entry,
        task=EVIL,
        model=replace(entry.model, repo_id=f"x/{EVIL}", revision=EVIL),
        facts=replace(entry.facts, architecture=EVIL, licence=EVIL),
        signals=replace(entry.signals, repo_id=EVIL, revision=EVIL),
        label_map=LabelMap(EVIL, (EVIL, "a"), (EVIL, "other"), "names"),
        scorecard=replace(
            entry.scorecard,
            families=(bad, *entry.scorecard.families[1:]),
            ranked=False,
            unranked_because=EVIL,
        ),
        run=replace(entry.run, platform=EVIL, device=EVIL, frontend=EVIL, versions={EVIL: EVIL}),
    )


def test_a_reference_is_marked_in_words_and_one_sentence_says_what_its_rates_are(
    world: World, built: Path, tmp_path: Path
) -> None:
    text = (built / "tasks" / "tone.html").read_text(encoding="utf-8")
    for row in world.board.current[0].all_rows:
        marked = f'>{row.name}</a><small><span class="badge">reference</span>' in text
        assert marked == row.reference
    sentence = "its rates are means over the <em>other</em> references"
    assert text.count(sentence) == 1
    alone = replace(
        world.board.current[0], rows=tuple(r for r in world.board.current[0].rows if not r.reference)
    )
    index = builder.write(tmp_path / "site", Board((alone,)), None)
    assert sentence not in (index.parent / "tasks" / "tone.html").read_text(encoding="utf-8")


def test_rankings_of_which_none_is_current_are_all_shown_with_the_reason(
    world: World, tmp_path: Path
) -> None:
    for folder in store.find(world.submissions):
        if "acme__echo" in str(folder):
            shutil.copytree(folder, tmp_path / "in" / folder.relative_to(world.submissions))
    board = table.build(tmp_path / "in", None)
    path = builder.write(tmp_path / "site", board, None)
    assert any("none is the current one." in text for text in _page(path).text)
    page = _page(path.parent / "tasks" / "tone.html")
    assert len(page.values("id")) == len(set(page.values("id")))
    assert any("none is the current one." in text for text in page.text)
    assert not any("Stale:" in text for text in page.text)
    for ranking in board.rankings:
        assert any(ranking.signals.revision[:12] in text for text in page.text)


def test_the_sounds_of_a_page_are_chosen_among_first_levels(world: World) -> None:
    _, folder = _entry(world, "acme/wav2vec2-large-xlsr-53-tone-recognition")
    verdicts = store.verdicts(folder)
    above = verdicts["level"].fillna(0) > 0
    assert above.sum() == 7 * 105
    first, others = verdicts[~above], verdicts[above].assign(predicted="other")
    shuffled = pd.concat([others, first]).sample(frac=1, random_state=1)
    for family in FAMILIES:
        chosen = audio_examples.choose(verdicts, family, leave_out="lab/alpha")
        assert audio_examples.choose(first, family, leave_out="lab/alpha") == chosen
        assert audio_examples.choose(shuffled, family, leave_out="lab/alpha") == chosen
        assert len(chosen) == 6
    assert audio_examples.signal_acceptance(shuffled, "signal") == audio_examples.signal_acceptance(
        first, "signal"
    )


def test_hostile_text_in_an_entry_stays_text(world: World, tmp_path: Path) -> None:
    entry, folder = _entry(world, "acme/echo")
    bad = _spoiled(entry)
    matrices = tuple(matrix_of([bad], f.family) for f in bad.scorecard.families)
    ranking = Ranking(
        EVIL, bad.signals, 1, False, (), (Row(bad, False, cells=loading.matrix_rows(bad)),), matrices
    )
    index = builder.write(tmp_path / "site", Board((ranking,)), None)
    named = replace(bad, task=entry.task)
    entry_report.write(tmp_path / "report.html", named, store.verdicts(folder), world.suite)
    (profile,) = (index.parent / "models").iterdir()
    (of_task,) = (index.parent / "tasks").iterdir()
    assert re.fullmatch(r"[A-Za-z0-9._-]+\.html", profile.name)
    assert re.fullmatch(r"[A-Za-z0-9._-]+\.html", of_task.name)
    for path in (index, profile, of_task, tmp_path / "report.html"):
        page = _page(path)
        scripts = [a.get("type") for tag, a in page.tags if tag == "script"]
        assert scripts.count(None) == 1
        assert set(scripts) <= {None, "application/json"}
        assert not [tag for tag, _ in page.tags if tag == "img"]
        assert not [a for _, attrs in page.tags for a in attrs if a.startswith("on")]
        assert any("alert(1)" in text for text in page.text)
        assert not any("&49" in text or "\\u002649" in text for text in page.text)


def test_no_template_marks_anything_as_safe() -> None:
    templates = Path(leaderboard.__file__).parent / "templates"
    for path in templates.iterdir():
        assert not re.search(r"\|\s*safe|autoescape", path.read_text(encoding="utf-8"))


def test_pages_of_models_with_odd_names_do_not_meet() -> None:
    refs = [model("a/b c"), model("a/b?c"), model("a/b-c"), model("../../etc"), model("a/" + "x" * 300)]
    names = [builder.page_of(ref) for ref in [replace(r, revision="f" * 40) for r in refs]]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,190}\.html", n) for n in names)
    assert names[2] == "a__b-c-ffffffffffff.html"


def test_the_command_on_a_page_cannot_smuggle_another(world: World) -> None:
    entry, _ = _entry(world, "acme/echo")
    assert builder.command(entry) == (
        f"goodenough evaluate acme/echo --revision {entry.model.revision} --task tone --signals tones"
    )
    hub = replace(entry.signals, repo_id="org/signals", revision="a" * 40)
    assert builder.command(replace(entry, signals=hub)).endswith(f"--signals org/signals@{'a' * 40}")
    embedded = replace(entry.signals, repo_id="embedded/starter")
    assert "--signals" not in builder.command(replace(entry, signals=embedded))
    evil = replace(entry, model=replace(entry.model, repo_id="a/b; rm -rf ~"))
    assert "'a/b; rm -rf ~'" in builder.command(evil)


def test_a_report_is_small_and_tells_lift_interval_and_n(world: World, reported: Path) -> None:
    assert reported.stat().st_size < 3_000_000
    entry, _ = _entry(world, "acme/wav2vec2-large-xlsr-53-tone-recognition")
    text = " ".join("".join(_page(reported).text).split())
    lift = entry.scorecard.headline.rates.lift
    assert f"n = {lift.n} signals" in text
    assert "Against the references" in text
    assert "lab/alpha" in text or "alpha" in text


def test_a_report_says_what_is_stated_by_the_submitter(reported: Path) -> None:
    text = reported.read_text()
    settings = text[text.index('<dl class="facts">') :]
    stated = [part.split("</dt>")[0] for part in settings.split("<dt>") if "stated by the submitter" in part]
    assert stated == ["Run", "Batch proof", "Versions"]


def test_a_report_tells_apart_what_a_model_cannot_hear_and_what_was_stopped(
    world: World, reported: Path, tmp_path: Path
) -> None:
    entry, folder = _entry(world, "acme/wav2vec2-large-xlsr-53-tone-recognition")
    first, *others = entry.scorecard.families
    heard = replace(first, visible=replace(first.rates, transfer=wilson(17, 171)))
    card = replace(entry.scorecard, families=(heard, *others))
    path = tmp_path / "report.html"
    entry_report.write(
        path, replace(entry, scorecard=card, complete=False), store.verdicts(folder), world.suite
    )
    plain, told = (" ".join("".join(_page(p).text).split()) for p in (reported, path))
    for words in ("of these, those it can hear", "n 171", "it cannot be submitted"):
        assert words in told
        assert words not in plain
    assert f"{entry.proof.n} stimuli scored one by one and in batches" in plain


def test_the_players_of_a_report_hold_sound_and_name_their_gain(reported: Path) -> None:
    page = _page(reported)
    sources = [a["src"] for tag, a in page.tags if tag == "audio"]
    names = [a["aria-label"].split(" of ")[0] for tag, a in page.tags if tag == "audio"]
    assert names == ["Whole clip", "Signal", "Swap", "Matched"] * 6
    assert len(sources) == 24
    for source in sources:
        data = base64.b64decode(source.removeprefix("data:audio/wav;base64,"))
        samples, rate = soundfile.read(io.BytesIO(data))
        assert (rate, len(samples)) == (8000, 4000)
        assert np.abs(samples).max() == pytest.approx(0.5, abs=1e-3)
    assert len([t for t in page.text if "played at" in t]) == 24


def test_examples_come_from_every_stratum_and_never_from_the_model_itself(world: World) -> None:
    _, folder = _entry(world, "acme/wav2vec2-large-xlsr-53-tone-recognition")
    verdicts = store.verdicts(folder)
    chosen = audio_examples.choose(verdicts, FAMILIES[0], leave_out="lab/alpha")
    assert chosen == audio_examples.choose(verdicts.sample(frac=1, random_state=1), FAMILIES[0], "lab/alpha")
    assert set(chosen.values()) == set(audio_examples.STRATA.values())
    assert len(chosen) == 6
    assert not any("lab__alpha" in s or f":{FAMILIES[1]}:" in s for s in chosen)


def test_long_clips_are_cut_to_a_stated_excerpt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_examples, "BUDGET_BYTES", 4 * 2 * 1000 * 4 // 3 + 1)
    signal, _ = next(world.suite.signals(TASK.name, "lab__alpha"))
    (example,) = audio_examples.examples(world.suite, TASK.name, {signal.signal_id: "title"}, [])
    data = base64.b64decode(example.players[0].source.split(",")[1])
    assert len(soundfile.read(io.BytesIO(data))[0]) == 1000
    assert example.players[0].note.endswith("; 0.1 s from 0.2 s of 0.5 s")


def test_a_report_of_a_suite_without_reference_verdicts_has_its_own_column(
    world: World, tmp_path: Path
) -> None:
    bare = tmp_path / "signals"
    shutil.copytree(world.suite.root, bare, ignore=shutil.ignore_patterns(VERDICTS))
    entry, folder = _entry(world, "acme/echo")
    path = tmp_path / "report.html"
    entry_report.write(path, entry, store.verdicts(folder), Suite(bare, "local/tones"))
    text = path.read_text(encoding="utf-8")
    assert "signals of alpha, judged by echo" in text
    assert "judged by beta" not in text
