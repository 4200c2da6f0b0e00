"""The published form: what it holds, what stands against it, and that it is made the same again."""

from __future__ import annotations

import dataclasses
import io
import json
import shlex
import tomllib
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml

from harness import audio, cli
from harness.dataset import card, download, licences, parquet_io, parquet_schema, publish, suites, writer
from harness.dataset.query_counts import format_queries
from harness.domains import fft
from harness.entries import store
from harness.errors import BadCorpus, BadInput, BadSignals
from harness.manifest import Manifest
from harness.schemas import from_json, to_json
from harness.starter.paths import embedded
from tests.helpers import croissant, entries
from tests.helpers.families import MINIMAL
from tests.helpers.hand_made_signals import TASK, add, clip_of, record_of, signal_of
from tests.helpers.repository import ROOT

CARDS = Path(__file__).parents[3] / "data_cards"

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"

CARD = """---
configs: [deepfake]
---

# Toys

Made of noise.

## Measured

1 of 2

## Limits

Toys.
"""


def prepared(root: Path, **options) -> publish.Prepared:
    suite = suites.load(str(root))
    given = {"repo_id": "org/name", "cards": {}, "licence": "cc-by-4.0"} | options
    return publish.prepare(suite, [], **given)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.mark.parametrize(
    "columns",
    [parquet_schema.CLIPS, parquet_schema.SIGNALS, parquet_schema.SETS, parquet_schema.CANDIDATE_VERDICTS],
)
def test_types_are_told_in_the_words_of_datasets(columns):
    features = datasets.Features.from_arrow_schema(parquet_schema.with_features(columns, 8_000))
    for field in columns:
        if field.name == "audio":
            assert features["audio"] == datasets.Audio(sampling_rate=8_000, decode=False)
        else:
            assert features[field.name] == datasets.Features.from_arrow_schema(columns)[field.name]
    assert parquet_schema.with_features(columns, 8_000).equals(columns)  # metadata alone differs


@pytest.mark.parametrize("stored_as_masks", [False, True])
def test_every_signal_is_playable_and_exact(tmp_path, stored_as_masks):
    _, found = add(tmp_path, masks_only=stored_as_masks, levels=True)
    made = prepared(tmp_path)
    wanted = {s.signal_id: s for s in found}
    built = suites.load(str(tmp_path)).signals("deepfake", "toys__a")
    heard = {signal.signal_id: waveform for signal, waveform in built}
    table = datasets.load_dataset(str(made.root), "deepfake", split="test")
    assert len(table) == len(found)
    for row in table:
        waveform, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
        assert rate == row["sample_rate_hz"] == 16_000
        np.testing.assert_array_equal(waveform, heard[row["signal_id"]])
        assert row["sha256"] == wanted[row["signal_id"]].sha256
    manifest = from_json(Manifest, (made.root / "manifest.json").read_bytes())
    assert {*manifest.files, "manifest.json"} == set(made.files)
    assert all(parquet_io.sha256_of(made.root / p) == sha256 for p, sha256 in manifest.files.items())
    assert made.n_bytes == sum(path.stat().st_size for path in made.files.values())
    again = suites.load(str(made.root))
    assert again.ref("deepfake").sha256 == suites.load(str(tmp_path)).ref("deepfake").sha256


def test_the_same_folder_gives_the_same_bytes_and_nothing_is_made_twice(tmp_path, monkeypatch):
    add(tmp_path)
    first = contents(prepared(tmp_path).root)
    written = []
    monkeypatch.setattr(parquet_io, "write_rows", lambda path, *rest: written.append(path))
    assert contents(prepared(tmp_path).root) == first
    assert written == []


def test_a_signal_of_no_bins_is_the_same_whether_stored_or_rebuilt(tmp_path):
    """An inverse FFT of nothing has zeros of either sign at some lengths; what is decoded has none."""
    noise = np.random.default_rng(0).normal(size=18_680)
    clip = dataclasses.replace(clip_of(0), waveform=(0.1 * noise).astype(np.float32))
    mask = np.zeros(9_341, dtype=bool)
    silent = fft.keep(fft.spectrum(clip.waveform), mask, 18_680)
    assert np.signbit(silent).any()
    certified = audio.sha256(audio.read(audio.encode(silent, 16_000))[0])
    signal = dataclasses.replace(
        signal_of(clip_of(0), "toys/a", MINIMAL), mask=mask, n_samples=18_680, degenerate=True
    )
    signal = dataclasses.replace(signal, sha256=certified)
    record = record_of("toys/a", (MINIMAL,), 1)
    writer.add_reference(tmp_path, TASK, record, [clip], [signal], masks_only=True)
    assert download.compare_rebuilt(suites.load(str(tmp_path)), TASK) == download.Rebuilt(1, 1, 0)
    prepared(tmp_path)


def test_a_form_leaves_nothing_of_another_behind(tmp_path):
    add(tmp_path)
    whole = contents(prepared(tmp_path).root)
    masks = contents(prepared(tmp_path, masks_only=True).root)
    assert not any(b"RIFF" in data or b"fLaC" in data for data in masks.values())
    assert any(b"fLaC" in data or b"RIFF" in data for data in whole.values())
    assert set(masks) == set(whole)
    assert contents(prepared(tmp_path).root) == whole
    add(tmp_path, "toys/b")
    assert "deepfake/toys__b.parquet" in prepared(tmp_path).files


def test_what_was_left_by_a_kill_is_made_again(tmp_path):
    add(tmp_path)
    whole = contents(prepared(tmp_path).root)
    place = tmp_path / ".published"
    (place / "manifest.json").unlink()
    (place / "deepfake/toys__a.parquet").unlink()
    (place / "deepfake/toys__a.parquet.part").write_bytes(b"PAR1")
    (place / "stray.txt").write_text("?")
    assert contents(prepared(tmp_path).root) == whole


def test_a_signal_that_is_not_what_was_certified_is_not_published(tmp_path):
    add(tmp_path, masks_only=True)
    path = tmp_path / "deepfake/toys__a.parquet"
    rows = list(parquet_io.read_rows(path, parquet_schema.SIGNALS))
    rows[0]["sha256"] = "0" * 64
    parquet_io.write_rows(path, rows, parquet_schema.SIGNALS)
    manifest = from_json(Manifest, (tmp_path / "manifest.json").read_bytes())
    manifest.files["deepfake/toys__a.parquet"] = parquet_io.sha256_of(path)
    (tmp_path / "manifest.json").write_text(to_json(manifest))
    with pytest.raises(BadSignals, match="is not what was certified"):
        prepared(tmp_path)
    assert not (tmp_path / ".published/manifest.json").exists()


# ---- licences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        ("cc-by-4.0", None),
        ("CC BY-SA 4.0", None),
        ("cc-by-4.0; apache-2.0", None),
        (None, "its licence is not stated"),
        ("", "its licence is not stated"),
        ("all rights reserved", "'all rights reserved' is no licence known here"),
        ("cc-by-4.0; cc-by-nc-nd-4.0", "cc-by-nc-nd-4.0 allows no derivatives"),
        ("other", "'other' is no licence known here"),
    ],
)
def test_a_corpus_is_passed_on_only_under_a_licence_that_allows_it(stated, why):
    found = licences.problem("local/corpus", stated)
    assert (found is None) == (why is None)
    assert why is None or (why in found and "--masks-only" in found)


def test_the_card_of_recorded_voices_names_them_and_no_other_card_does():
    corpora = {"asterisk-core-sounds": ["cc-by-sa-3.0"], "starter": ["apache-2.0"]}
    words = card._licence_words(corpora)
    assert "(asterisk-core-sounds: cc-by-sa-3.0; starter: apache-2.0)" in words
    for name in ("Allison Smith", "June Wallack", "Carlo Flora", "CC BY-SA 3.0", "CC BY 3.0", "copied by a"):
        assert words.count(name) == 1
    assert "Allison" not in card._licence_words({"starter": ["apache-2.0"]})


def test_whom_the_licence_asks_to_name_stands_in_the_package_with_its_licences():
    folder = ROOT / "harness" / "starter" / "licences"
    text = (folder / "ATTRIBUTION.md").read_text("utf-8")
    for name in ("Allison Smith", "June Wallack", "Carlo Flora"):
        assert name in text
        assert name in licences.ATTRIBUTIONS["asterisk-core-sounds"]
    for licence in ("CC-BY-SA-3.0", "CC-BY-3.0"):
        assert f"({licence}.txt)" in text
        assert len((folder / f"{licence}.txt").read_text("utf-8")) > 10_000
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["license"] == "Apache-2.0 AND CC-BY-SA-3.0 AND CC-BY-3.0"
    assert project["license-files"] == ["LICENSE", "harness/starter/licences/*"]


def test_publishing_says_everything_that_stands_against_it_and_makes_nothing(tmp_path, capsys):
    add(tmp_path)
    add(tmp_path, "toys/b")
    assert cli.run(["publish", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("local/toys: its licence is not stated; state it with --licence")
    assert [line.split(",")[0] for line in lines[1:]] == ["toys/a", "toys/b"]
    assert f"goodenough evaluate toys/a --signals {tmp_path} --update-suite --task deepfake" in lines[1]
    assert err.splitlines() == [f"goodenough: {tmp_path} cannot be published: 3 problems; nothing was sent"]
    assert not (tmp_path / ".published").exists()
    assert cli.run(["publish", str(tmp_path), "--masks-only"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--to", "name"], "expected the name of a dataset of the Hub, ORG/NAME"),
        (["--to", "org/name@main"], "expected the name of a dataset of the Hub, ORG/NAME"),
        (["--private"], "name it with --to ORG/NAME"),
        (["--tag", "v3"], "name it with --to ORG/NAME"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path, capsys, options, told):
    add(tmp_path)
    assert cli.run(["publish", str(tmp_path), *options]) == 2
    assert told in capsys.readouterr().err


def test_a_token_and_a_card_that_are_missing_are_said_with_all_else(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    add(tmp_path / "signals")
    card = tmp_path / "card.md"
    card.write_text("no head\n")
    command = ["publish", str(tmp_path / "signals"), "--to", "org/name", "--card", str(card)]
    assert cli.run(command) == 1
    out, err = capsys.readouterr()
    licence, references, about, token = out.splitlines()
    assert "its licence is not stated" in licence
    assert references.startswith("toys/a, deepfake: has no verdicts on these signals")
    assert about.startswith(f"{card} must name its tasks in its YAML head")
    assert token.startswith("not logged in to the Hub")
    assert err.splitlines() == [
        f"goodenough: {tmp_path / 'signals'} cannot be published: 4 problems; nothing was sent"
    ]
    assert cli.run([*command[:2], "--masks-only"]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert err.splitlines()[-1].endswith(" cannot be published: 1 problem; nothing was sent")


def test_files_too_large_for_the_hub_are_known_before_anything_is_made(tmp_path, capsys, monkeypatch):
    add(tmp_path, clips=range(40), masks_only=True)
    clips, masks = (tmp_path / path for path in ("deepfake_clips/clips.parquet", "deepfake/toys__a.parquet"))
    monkeypatch.setattr(publish, "MAX_FILE_BYTES", 50_000)
    # The clips as they are stored; of the signals there are masks, and their audio is no file yet.
    assert masks.stat().st_size < publish.MAX_FILE_BYTES < clips.stat().st_size
    assert cli.run(["publish", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("local/toys: its licence is not stated")
    assert [line.split(" has more than ")[0] for line in lines[1:3]] == [
        p.relative_to(tmp_path).as_posix() for p in (clips, masks)
    ]
    assert all("publish without, by --masks-only" in line for line in lines[1:3])
    assert lines[3].startswith("toys/a, deepfake: has no verdicts")
    assert not (tmp_path / ".published").exists()
    cli.run(["publish", str(tmp_path), "--masks-only"])
    assert "has more than" not in capsys.readouterr().out


def test_all_options_that_are_wrong_are_said_at_once(tmp_path, capsys):
    add(tmp_path)
    assert cli.run(["publish", str(tmp_path), "--tag", "v3", "--hold-back", "1.5", "--private-to", "x"]) == 2
    out, err = capsys.readouterr()
    assert [line.split(" ")[0] for line in out.splitlines()] == ["--private-to", "--private", "--hold-back"]
    assert "3 problems with the options of publish; nothing was sent" in err


# ---- the card ------------------------------------------------------------------------------------


def test_the_card_counts_what_is_there_and_says_what_the_data_card_says(tmp_path):
    _, found = add(tmp_path)
    made = prepared(tmp_path, cards={"deepfake": CARD})
    text = (made.root / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == "cc-by-4.0"
    splits = {info["config_name"]: info["splits"][0]["num_examples"] for info in head["dataset_info"]}
    assert splits == {"deepfake": len(found), "deepfake_clips": 3}
    sizes = {info["config_name"]: info["download_size"] for info in head["dataset_info"]}
    assert sizes["deepfake"] == (made.root / "deepfake/toys__a.parquet").stat().st_size
    assert "Made of noise." in text
    assert "### Limits\n\nToys." in text
    assert "1 of 2" not in text
    assert "# Toys" not in text
    kept = sorted(s.n_kept for s in found if s.family == MINIMAL)
    (row,) = (line for line in text.splitlines() if line.startswith(f"| toys/a | {MINIMAL} | 1 | 3 | 0 |"))
    queries = format_queries([s.n_queries for s in found if s.family == MINIMAL])
    assert f"| {kept[1]} ({kept[0]} to {kept[-1]}) |" in row
    assert row.endswith(f"| {queries} |")
    assert "One extraction of each clip: how stable a signal is was not measured." in text
    assert "$" not in text
    declared = {f.name for f in parquet_schema.SIGNALS}
    assert all(f"`{name}`" in text for name in declared)


def test_eval_yaml_has_the_fields_of_a_benchmark_of_the_hub_and_no_others(tmp_path):
    """Those of huggingface.co/docs/hub/eval-results, which names the framework here and in no result."""
    add(tmp_path)
    content = yaml.safe_load((prepared(tmp_path).root / "eval.yaml").read_text())
    assert content.keys() == {"name", "description", "evaluation_framework", "tasks"}
    assert (content["name"], content["evaluation_framework"]) == ("name", "goodenough")
    assert content["tasks"] == [{"id": "deepfake", "config": "deepfake", "split": "test"}]


def test_a_measured_stability_stands_in_the_card_of_its_task(tmp_path):
    add(tmp_path)
    made = publish.prepare(
        suites.load(str(tmp_path)),
        [],
        repo_id="org/name",
        cards={},
        licence="cc-by-4.0",
        stability={"deepfake": "| draws |"},
    )
    text = (made.root / "README.md").read_text()
    assert "### Stability: two extractions of one clip\n\n| draws |" in text
    assert "was not measured" not in text


def test_a_reference_is_told_with_intervals_and_n(tmp_path):
    from harness.types import Estimate

    assert (
        card.format_estimate(Estimate(0.5, 0.41, 0.6, 0.95, "wilson", 120)) == "0.50 [0.41, 0.60] (n = 120)"
    )
    assert card.format_estimate(None) == "-"


@pytest.mark.parametrize(
    "head",
    ["# no head\n", "---\nconfigs: emotion\n---\n", "---\nconfigs: [x]\n---\n", "---\nconfigs: [[x]]\n---\n"],
)
def test_a_data_card_says_which_task_it_is_of(tmp_path, capsys, monkeypatch, head):
    add(tmp_path / "signals")
    (tmp_path / "card.md").write_text(head)
    monkeypatch.setattr("harness.cli.publish.check_target", lambda *_: ([], []))
    assert cli.run(["publish", str(tmp_path / "signals"), "--card", str(tmp_path / "card.md")]) == 2
    assert "configs: [deepfake]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"---\n\xe9\n---\n", "is not readable: it is not UTF-8; save it as UTF-8"),
        (POINTER, "is a pointer of git-lfs"),
    ],
)
def test_a_data_card_that_is_no_text_is_named(tmp_path, capsys, monkeypatch, content, told):
    add(tmp_path / "signals")
    (tmp_path / "card.md").write_bytes(content)
    monkeypatch.setattr("harness.cli.publish.check_target", lambda *_: ([], []))
    assert cli.run(["publish", str(tmp_path / "signals"), "--card", str(tmp_path / "card.md")]) == 2
    assert told in capsys.readouterr().err


# ---- masks only, and made to sound again ---------------------------------------------------------


def masks_only_folder(tmp_path: Path) -> tuple[Path, list]:
    made, _ = add(tmp_path / "built", masks_only=True)
    prepared(tmp_path / "built", masks_only=True)
    suite = suites.load(str(tmp_path / "built/.published"))
    download.into(suite, ["deepfake"], tmp_path / "here")
    return tmp_path / "here", made


def copies_of(clips: list, folder: Path) -> Path:
    """As a user has them: other names, another layout, and something that is not ours."""
    (folder / "disc one").mkdir(parents=True)
    for i, clip in enumerate(clips):
        soundfile.write(folder / f"disc one/track {i}.wav", clip.waveform, 16_000, subtype="FLOAT")
    soundfile.write(folder / "noise.wav", np.random.default_rng(9).normal(size=500) * 0.1, 16_000)
    return folder


def test_masks_sound_again_with_the_users_own_copy_of_the_corpus(tmp_path):
    here, made = masks_only_folder(tmp_path)
    before = suites.load(str(here))
    with pytest.raises(BadSignals, match=r"goodenough download .* --corpus deepfake=FOLDER"):
        before.clip("deepfake", "c0")
    download.rebuild(before, TASK, [str(copies_of(made, tmp_path / "mine"))], lambda n, m: None)
    assert download.compare_rebuilt(suites.load(str(here)), TASK) == download.Rebuilt(3, 6, 0)
    after, original = suites.load(str(here)), suites.load(str(tmp_path / "built"))
    assert after.ref("deepfake").sha256 == before.ref("deepfake").sha256 == original.ref("deepfake").sha256
    for clip in made:
        np.testing.assert_array_equal(after.clip("deepfake", clip.clip_id).waveform, clip.waveform)
        assert after.clip("deepfake", clip.clip_id).label == clip.label
    pairs = zip(after.signals("deepfake", "toys__a"), original.signals("deepfake", "toys__a"), strict=True)
    assert all((x == y).all() for (_, x), (_, y) in pairs)


def test_clips_that_were_rebuilt_stay_when_the_same_is_downloaded_again(tmp_path):
    here, made = masks_only_folder(tmp_path)
    download.rebuild(
        suites.load(str(here)), TASK, [str(copies_of(made, tmp_path / "mine"))], lambda n, m: None
    )
    kept = contents(here)
    download.into(suites.load(str(tmp_path / "built/.published")), ["deepfake"], here)
    assert contents(here) == kept
    assert suites.load(str(here)).has_clips("deepfake")


def test_a_clip_that_is_not_there_sample_for_sample_is_named(tmp_path):
    here, made = masks_only_folder(tmp_path)
    kept = contents(here)
    other = dataclasses.replace(made[1], waveform=made[1].waveform * np.float32(0.5))
    folder = copies_of([made[0], other, made[2]], tmp_path / "mine")
    with pytest.raises(
        BadCorpus, match=r"1 of 3 clips of deepfake are not in .*, as c1; expected local/toys"
    ):
        download.rebuild(suites.load(str(here)), TASK, [str(folder)], lambda n, m: None)
    assert contents(here) == kept


# ---- downloaded folders --------------------------------------------------------------------------


def test_a_new_version_takes_the_place_of_the_old_one_and_leaves_nothing_of_it(tmp_path):
    add(tmp_path / "built")
    add(tmp_path / "built", "toys/b")
    old = prepared(tmp_path / "built")
    download.into(suites.load(str(old.root)), ["deepfake"], tmp_path / "here")
    assert (tmp_path / "here/deepfake/toys__b.parquet").is_file()
    add(tmp_path / "new", seed=1)
    new = prepared(tmp_path / "new")
    suite = suites.Suite(new.root, "local/.published")
    moved: list[int] = []
    download.into(suite, ["deepfake"], tmp_path / "here", lambda n, m: moved.append(m))
    wanted = {k: v for k, v in contents(new.root).items() if not k.startswith(".")}
    found = {k: v for k, v in contents(tmp_path / "here").items() if not k.startswith(".")}
    assert found == wanted
    assert moved.count(0) >= 1  # the clips are the same


def judged_by(root: Path, repo_id: str) -> set[str]:
    """Files of an entry of a model on the signals in a folder as they stand, made beside them."""
    entry, verdicts = entries.make_entry(repo_id=repo_id, references=("toys/a",), task="deepfake", n_clips=3)
    model, asked = record_of(repo_id, ()).model, suites.load(str(root)).ref("deepfake")
    entry = dataclasses.replace(entry, model=model, signals=asked)
    place = store.write(root / "verdicts", entry, verdicts).relative_to(root)
    return {f"{place}/entry.json", f"{place}/verdicts.parquet"}


def test_the_references_own_entries_on_the_signals_as_they_stand_come_too(tmp_path):
    add(tmp_path / "built")
    stale = judged_by(tmp_path / "built", "toys/a")
    add(tmp_path / "built", "toys/b")
    guests = judged_by(tmp_path / "built", "guests/c")
    judged_by(tmp_path / "built", "toys/a")
    judged_by(tmp_path / "built", "toys/b")
    built = contents(tmp_path / "built")
    wanted = {path: built[path] for path in built if path not in (*stale, *guests, ".lock")}
    assert len([path for path in wanted if path.startswith("verdicts/")]) == 4
    moved: list[int] = []
    for source, to in (("built", "here"), ("here", "there")):
        suite = suites.load(str(tmp_path / source))
        download.into(suite, ["deepfake"], tmp_path / to)
        found = contents(tmp_path / to)
        assert {path: found[path] for path in found if path not in (".lock", ".source.json")} == wanted
        moved.clear()
        download.into(suite, ["deepfake"], tmp_path / to, lambda n, n_bytes: moved.append(n_bytes))
        assert not any(moved)
        assert contents(tmp_path / to) == found


@pytest.mark.parametrize("damage", ["other verdicts", "no verdicts", "no entry"])
def test_an_entry_that_is_not_what_it_says_is_not_passed_on(tmp_path, damage):
    add(tmp_path / "built")
    entry, verdicts = (tmp_path / "built" / path for path in sorted(judged_by(tmp_path / "built", "toys/a")))
    if damage == "other verdicts":
        verdicts.write_bytes(b"PAR1")
    elif damage == "no verdicts":
        verdicts.unlink()
    else:
        entry.write_text("{}")
    with pytest.raises(BadSignals, match="let its model judge again: goodenough evaluate MODEL"):
        download.into(suites.load(str(tmp_path / "built")), ["deepfake"], tmp_path / "here")
    assert not (tmp_path / "here/manifest.json").exists()


def test_a_download_killed_at_any_step_leaves_nothing_that_looks_whole(tmp_path, monkeypatch):
    add(tmp_path / "built")
    judged_by(tmp_path / "built", "toys/a")
    suite, step = suites.load(str(tmp_path / "built")), Path.replace
    steps: list[Path] = []

    def counted(path: Path, target: Path) -> Path:
        steps.append(path)
        if len(steps) == last:
            raise KeyboardInterrupt
        return step(path, target)

    monkeypatch.setattr(Path, "replace", counted)
    last = 0
    download.into(suite, ["deepfake"], tmp_path / "here")
    whole = contents(tmp_path / "here")
    assert len([path for path in whole if path.startswith("verdicts/")]) == 2
    for last in range(1, len(steps) + 1):
        steps.clear()
        here = tmp_path / f"killed at {last}"
        with pytest.raises(KeyboardInterrupt):
            download.into(suite, ["deepfake"], here)
        assert not (here / "manifest.json").exists()
        for place in store.find(here):
            assert store.read(place).verdicts_sha256 == parquet_io.sha256_of(place / "verdicts.parquet")
        steps.clear()
        last = 0
        download.into(suite, ["deepfake"], here)
        assert contents(here) == whole


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
@pytest.mark.parametrize("options", [["--masks-only"], pytest.param([], marks=pytest.mark.slow)])
def test_a_copy_of_a_task_of_the_starter_suite_can_be_published(tmp_path, capsys, caplog, options):
    here = tmp_path / "here"
    command = ["download", "--task", "emotion", "--out", str(here)]
    assert cli.run([*command[:3], "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert cli.run(command) == 0
    own = {path: data for path, data in contents(here).items() if path.startswith("verdicts/")}
    assert own == {
        path: data
        for path, data in contents(embedded()).items()
        if path.startswith("verdicts/") and "/emotion@" in path
    }
    n_bytes = sum(
        len(data) for path, data in contents(here).items() if path.endswith((".parquet", "entry.json"))
    )
    assert listed["bytes"] == n_bytes
    capsys.readouterr()
    options = [*options, "--card", f"{CARDS}/starter-emotion.md"]
    assert cli.run(["publish", str(here), *options]) == 0
    again = shlex.join(["goodenough", "publish", str(here), *options])
    told = capsys.readouterr().err
    assert f"then: {again} --to ORG/NAME\n" in told
    assert "leaves that out" not in told
    published = contents(here / ".published")
    assert {path: published[path] for path in published if path.startswith("verdicts/")} == own
    metadata = croissant.valid(here / ".published", caplog).metadata
    assert [each.id for each in metadata.record_sets] == ["emotion", "emotion_clips", "emotion_verdicts"]
    assert [name for name in croissant.ASKED if not json.loads(published["croissant.json"]).get(name)] == []


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ("a file", "is a file; --out names a folder"),
        ("notes.txt", "holds files but no manifest.json"),
        ("signals", "holds signals that were not downloaded"),
        ("download", "holds signals of org/other, not of local/built"),
    ],
)
def test_a_folder_of_something_else_is_left_alone(tmp_path, there, told):
    add(tmp_path / "built")
    place = tmp_path / "here"
    if there == "a file":
        place.write_text("x")
    elif there == "notes.txt":
        place.mkdir()
        (place / there).write_text("x")
    elif there == "signals":
        add(place, "toys/b")
    else:
        place.mkdir()
        (place / ".source.json").write_text(
            json.dumps({"source": "org/other", "commit": None, "manifest": None, "rebuilt": {}})
        )
    before = contents(place) if place.is_dir() else None
    with pytest.raises(BadInput, match=told):
        download.into(suites.load(str(tmp_path / "built")), ["deepfake"], place)
    if before is not None:
        assert {k: v for k, v in contents(place).items() if k != ".lock"} == {
            k: v for k, v in before.items() if k != ".lock"
        }


def test_a_download_that_was_added_to_is_no_longer_called_by_its_source(tmp_path):
    add(tmp_path / "built")
    suite = suites.Suite(prepared(tmp_path / "built").root, "org/name", "c" * 40)
    here = download.into(suite, ["deepfake"], tmp_path / "here")
    assert (here.name, here.commit) == ("org/name", "c" * 40)
    add(tmp_path / "here", "toys/b")
    grown = suites.load(str(tmp_path / "here"))
    assert (grown.name, grown.commit) == ("local/here", None)


@pytest.mark.parametrize("path", ["../x.parquet", "/etc/passwd", "a//b", "a/../b", "a/.hidden/b", "~/x"])
def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path, path):
    add(tmp_path)
    manifest = from_json(Manifest, (tmp_path / "manifest.json").read_bytes())
    manifest.files[path] = "0" * 64
    (tmp_path / "manifest.json").write_text(to_json(manifest))
    with pytest.raises(BadSignals, match="which could lead out of the folder"):
        suites.load(str(tmp_path))


def test_parquet_files_say_their_types_from_the_moment_they_are_built(tmp_path):
    add(tmp_path)
    for path in tmp_path.glob("*/*.parquet"):
        assert parquet_schema.FEATURES in pq.read_schema(path).metadata


def test_rounding_that_differs_is_for_a_reference_to_judge(tmp_path, monkeypatch, capsys):
    here, made = masks_only_folder(tmp_path)
    mine = copies_of(made, tmp_path / "mine")
    exact = fft.keep
    monkeypatch.setattr(fft, "keep", lambda *of: np.nextafter(exact(*of), np.float32(1)))
    source = str(tmp_path / "built/.published")
    command = ["download", source, "--out", str(here), "--corpus", f"deepfake={mine}"]
    assert cli.run(command) == 1
    said = capsys.readouterr().err
    assert "6 of 6 signals of deepfake differ in rounding" in said
    assert "the same command with --reference toys/a" in said
    assert cli.run(command) == 1
    asked: list[str] = []
    monkeypatch.setattr(
        "harness.cli.download._accepts_its_own", lambda suite, task, model: asked.append(model) is None
    )
    monkeypatch.setattr("harness.cli.download._sources", lambda suite, tasks, names, adapter: [*names])
    assert cli.run([*command, "--reference", "toys/a"]) == 0
    assert asked == ["toys/a"]
