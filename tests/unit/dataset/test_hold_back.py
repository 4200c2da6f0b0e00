"""Clips that stay unpublished: split whole or not at all, seeded, alike in each class, nothing leaks."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness import audio, cli
from harness.dataset import hold_back, parquet_io, parquet_schema, publish, suites, writer
from harness.entries import held_back, store, validate
from harness.errors import BadInput, BadSignals
from harness.hub import pushing
from harness.metrics.held_back import lifts_of
from harness.schemas import to_json
from harness.types import Skipped
from tests.helpers import entries, toy_models
from tests.helpers.families import FAMILIES
from tests.helpers.hand_made_signals import TASK, clip_of, record_of, signal_of


def suite_in(root: Path, n_clips: int = 60, n_references: int = 2) -> suites.Suite:
    """Clips of two classes, 2:1, with one signal of each family and reference, and one clip without."""
    clips = [
        dataclasses.replace(clip_of(i), clip_id=f"k{1000 + i}", label="bonafide" if i % 3 == 0 else "spoof")
        for i in range(n_clips)
    ]
    for name in [f"toys/{letter}" for letter in "abc"[:n_references]]:
        found = [signal_of(clip, name, family) for clip in clips[1:] for family in FAMILIES]
        record = record_of(name, FAMILIES, len(found) // 2)
        skipped = (Skipped(clips[0].clip_id, "because"), Skipped("unread", "cannot be decoded"))
        record = dataclasses.replace(record, skipped=skipped)
        writer.add_reference(root, TASK, record, clips, found)
    return suites.load(str(root))


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_whole_clips_are_held_back_with_everything_of_them_and_counted_anew(tmp_path):
    suite = suite_in(tmp_path / "s")
    halves = hold_back.split(suite, 0.4, 0)
    ids = {line.clip_id for line in suite.clip_lines("deepfake")}
    sides = []
    for place in (halves.public, halves.held_back):
        half = suites.load(str(place))
        clips = {line.clip_id for line in half.clip_lines("deepfake")}
        for record in half.references("deepfake"):
            of_clip = Counter(line.clip_id for line in half.signal_lines("deepfake", record.model.slug))
            assert set(of_clip) == clips - {"k1000"}
            assert set(of_clip.values()) == {2}
            assert [c.n_signals for c in record.counts] == [len(of_clip)] * 2
            assert record.corpus.n_clips == len(clips)
        assert all(parquet_io.sha256_of(place / path) == sha for path, sha in half.manifest.files.items())
        sides.append(clips)
    assert sides[0] | sides[1] == ids
    assert not sides[0] & sides[1]
    truth = {line.clip_id: line.label for line in suite.clip_lines("deepfake")}
    assert Counter(truth[c] for c in sides[1]) == {"bonafide": 8, "spoof": 16}


def test_the_public_form_has_nothing_of_a_held_back_clip(tmp_path):
    suite = suite_in(tmp_path / "s")
    halves = hold_back.split(suite, 0.4, 0)
    private = suites.load(str(halves.held_back))
    hidden = {line.clip_id for line in private.clip_lines("deepfake")}
    hidden |= {line.sha256 for line in private.clip_lines("deepfake")}
    for record in private.references("deepfake"):
        for signal, _ in private.signals("deepfake", record.model.slug):
            hidden |= {signal.signal_id, signal.sha256}
    form = publish.prepare(
        suites.load(str(halves.public)), [], repo_id="org/name", cards={}, licence="cc-by-4.0", note="## N"
    )
    assert (form.root / "README.md").read_text().endswith("\n\n## N\n")
    for path, data in files_of(halves.public).items():
        text = str(pq.read_table(halves.public / path).to_pylist()) if path.endswith(".parquet") else ""
        for name in hidden:
            assert name.encode() not in data, path
            assert name not in text, path


def test_the_choice_is_seeded_and_stands_when_clips_join():
    def lines(n):
        return {"t": [parquet_schema.ClipLine(f"c{i}", "ab"[i % 2], 9, f"{i:064x}") for i in range(n)]}

    first = hold_back.choose(lines(40), 0.25, 0)
    assert first == hold_back.choose({"t": lines(40)["t"][::-1]}, 0.25, 0)
    assert first != hold_back.choose(lines(40), 0.25, 1)
    assert Counter(int(c[1:]) % 2 for c in first["t"]) == {0: 5, 1: 5}
    public = tuple(sorted({f"c{i}" for i in range(40)} - first["t"]))
    before = hold_back.Split(0.25, 0, "", ("", ""), {"t": public}, {"t": tuple(sorted(first["t"]))})
    grown = hold_back.choose(lines(80), 0.25, 0, before)
    assert first["t"] <= grown["t"]
    assert not grown["t"] & set(public)
    assert len(grown["t"]) == 20


def test_one_clip_of_a_class_stays_public_and_the_same_clip_is_on_one_side_in_every_task():
    def line(name, label, content):
        return parquet_schema.ClipLine(name, label, 9, content)

    held = hold_back.choose({"t": [line("a", "x", "1"), line("b", "y", "2"), line("c", "y", "3")]}, 0.9, 0)
    assert "a" not in held["t"]
    assert len(held["t"]) == 1
    same = {
        "t": [line(f"a{i}", "x", str(i)) for i in range(20)],
        "u": [line(f"b{i}", "z", str(i)) for i in range(20)],
    }
    held = hold_back.choose(same, 0.5, 0)
    assert {c[1:] for c in held["t"]} == {c[1:] for c in held["u"]}
    assert len(held["t"]) == 10


def test_a_split_killed_at_any_step_is_made_whole_by_the_same_call(tmp_path, monkeypatch):
    suite = suite_in(tmp_path / "s")
    wanted = hold_back.split(suite, 0.4, 0)
    whole = files_of(tmp_path / "s/.hold-back")
    calls = []
    assert hold_back.split(suite, 0.4, 0, progress=calls.append) == wanted
    assert calls == []
    step, steps = Path.replace, []

    def counted(path, target):
        steps.append(path)
        if len(steps) == last:
            raise KeyboardInterrupt
        return step(path, target)

    monkeypatch.setattr(Path, "replace", counted)
    for last in (1, 5, 6, 10, 11):  # of 11: the files of either half, its place, the record
        shutil.rmtree(tmp_path / "s/.hold-back", ignore_errors=True)
        steps.clear()
        with pytest.raises(KeyboardInterrupt):
            hold_back.split(suite, 0.4, 0)
        assert hold_back.split_of(tmp_path / "s") is None
        steps.clear()
        before, last = last, 0
        hold_back.split(suite, 0.4, 0)
        assert files_of(tmp_path / "s/.hold-back") == whole, before


def test_verdicts_on_a_half_stay_when_it_is_written_again(tmp_path):
    suite = suite_in(tmp_path / "s")
    halves = hold_back.split(suite, 0.4, 0)
    kept = halves.public / "verdicts/a/b/c/entry.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    (tmp_path / "s/.hold-back/split.json").unlink()
    hold_back.split(suite, 0.4, 0)
    assert kept.read_text() == "{}"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--hold-back", "1", "--private-to", "o/p"], "--hold-back is 1; expected a share"),
        (["--hold-back", "-0.1", "--private-to", "o/p"], "--hold-back is -0.1; expected a share"),
        (["--hold-back", "nan", "--private-to", "o/p"], "expected a share"),
        (["--hold-back", "0.2"], "needs a private dataset"),
        (["--private-to", "o/p"], "require --hold-back SHARE"),
        (["--hold-back-seed", "1"], "require --hold-back SHARE"),
        (["--hold-back", "0.2", "--private-to", "p"], "--private-to is 'p'; expected the name"),
        (["--hold-back", "0.2", "--private-to", "o/P", "--to", "o/p"], "are both o/p"),
        (["--hold-back", "0.1", "--private-to", "o/p"], "is too small to split"),
        (["--hold-back", "0.1", "--private-to", "o/p", "--masks-only"], "is too small to split"),
    ],
)
def test_what_cannot_be_held_back_is_one_line(tmp_path, capsys, options, told):
    suite_in(tmp_path / "s")
    assert cli.run(["publish", str(tmp_path / "s"), *options]) == 2
    err = capsys.readouterr().err.splitlines()
    assert told in err[-1]
    assert not any("Traceback" in line for line in err)
    assert not (tmp_path / "s/.hold-back").exists()


def test_masks_alone_downloads_and_other_splits_are_refused(tmp_path):
    suite = suite_in(tmp_path / "s")
    form = publish.prepare(suite, [], repo_id="o/n", cards={}, masks_only=True)
    shutil.copytree(form.root, tmp_path / "masks")
    with pytest.raises(BadSignals, match="has masks only for deepfake"):
        hold_back.split(suites.load(str(tmp_path / "masks")), 0.4, 0)
    hold_back.split(suite, 0.4, 0)
    with pytest.raises(BadInput, match=r"was split with --hold-back 0\.4 --hold-back-seed 0"):
        hold_back.split(suite, 0.4, 1)
    (tmp_path / "s/.source.json").write_text('{"source": "o/n"}')
    with pytest.raises(BadSignals, match="was downloaded"):
        hold_back.split(suite, 0.4, 0)


def test_a_folder_of_which_clips_are_held_back_is_not_published_whole(tmp_path, capsys):
    hold_back.split(suite_in(tmp_path / "s"), 0.4, 0)
    assert cli.run(["publish", str(tmp_path / "s"), "--to", "o/n"]) == 2
    assert "24 clips of" in capsys.readouterr().err


def test_the_commands_for_the_references_are_told_for_both_halves(tmp_path, capsys):
    suite_in(tmp_path / "s")
    command = ["publish", str(tmp_path / "s"), "--hold-back", "0.4", "--private-to", "o/p"]
    assert cli.run([*command, "--licence", "cc-by-4.0"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    place = tmp_path / "s/.hold-back"
    for line, name, half in zip(lines, "abab", ("public",) * 2 + ("held-back",) * 2, strict=True):
        judge = f"goodenough evaluate toys/{name} --signals {place}/s.{half}"
        assert judge in line
        assert "--update-suite" in line
        assert f"--out {place}/results" in line
        assert "--task deepfake" in line


def test_what_the_hub_says_is_known_before_anything_is_made(tmp_path, capsys, monkeypatch):
    """Both datasets are asked about, and what stands against them is said with all else."""
    suite_in(tmp_path / "s")
    asked = []

    def require_writable(repository, tag):
        asked.append((str(repository), tag))
        return False

    monkeypatch.setattr(pushing, "require_token", lambda _: None)
    monkeypatch.setattr(pushing, "require_writable", require_writable)
    monkeypatch.setattr(publish, "public_clip_ids", lambda repository, held_back, public: ["k1001", "k1002"])
    command = ["publish", str(tmp_path / "s"), "--to", "o/n", "--hold-back", "0.4", "--private-to", "o/p"]
    assert cli.run([*command, "--tag", "v3"]) == 1
    out, err = capsys.readouterr()
    licence, *references, exposed, public = out.splitlines()
    assert "its licence is not stated" in licence
    assert len(references) == 4
    assert exposed == "o/n has 2 clips to be held back, as k1001, published before; choose another --to"
    assert public == "o/p is public; make it private in its settings, or choose another --private-to"
    assert err.splitlines()[-1].endswith("cannot be published: 7 problems; nothing was sent")
    assert asked == [("o/n", "v3"), ("o/p", "v3")]
    assert not list((tmp_path / "s").rglob(".published"))


# ---- lifts on both -------------------------------------------------------------------------------


def differences(fit: float, n: int, seed: int) -> np.ndarray:
    """(n, 2) intervals of the difference of made-up candidates; acceptance rises by `fit` where published."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        values = []
        for n_clips, more in ((96, fit), (24, 0.0)):
            clip = rng.normal(0, 0.1, (n_clips, 1))
            accepted = rng.random((n_clips, 3)) < 0.5 + clip + more
            swapped = (rng.random((3, n_clips, 3)) < 0.3 + clip / 2).mean(axis=0)
            values.append(np.where(rng.random((n_clips, 3)) < 0.1, np.nan, accepted - swapped))
        e = lifts_of(values[0], values[1], ["a", "b", "c"], "t").difference
        assert -2 <= e.low <= e.value <= e.high <= 2
        found.append((e.low, e.high))
    return np.array(found)


@pytest.mark.parametrize("n", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_an_honest_model_has_no_difference_in_its_interval(n):
    low, high = differences(0.0, n, 1).T
    covered = ((low <= 0) & (high >= 0)).mean()
    slack = 3 * np.sqrt(0.05 * 0.95 / n) if n < 1000 else 0.0
    assert 0.93 - slack <= covered <= 0.97 + slack


def test_a_model_that_was_fitted_to_the_public_signals_is_found():
    low, _ = differences(0.45, 20, 2).T
    assert (low > 0).mean() >= 0.95


def a_record(tmp_path: Path) -> tuple[Path, held_back.HeldBack]:
    """An entry of a made-up candidate, and its record on made-up held-back signals."""
    from harness.metrics.held_back import compare

    public, verdicts = entries.make_entry(n_clips=40)
    private, others = entries.make_entry(n_clips=30, seed=1)
    folder = store.write(tmp_path / "submissions", public, verdicts)
    lifts = compare((public, entries.frame(verdicts)), (private, entries.frame(others)))
    return folder, held_back.record_of(folder, private, lifts)


def test_a_record_lies_beside_its_entry_and_is_read_back(tmp_path):
    folder, record = a_record(tmp_path)
    assert held_back.read(folder) is None
    assert held_back.write(folder, record).name == f"{folder.name}.held-back.json"
    assert held_back.read(folder) == record
    assert validate.strays(tmp_path / "submissions") == []
    lift = store.read(folder).scorecard.headline.rates.lift
    assert record.lift.value == pytest.approx(lift.value)
    assert record.lift.n == lift.n


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (lambda r: {"entry_sha256": "0" * 64}, "entry_sha256"),
        (lambda r: {"verdicts_sha256": "0" * 64}, "verdicts_sha256"),
        (lambda r: {"protocol": 1}, "protocol"),
        (lambda r: {"references": ("toys/none",)}, "references"),
        (lambda r: {"references": ()}, "references"),
        (lambda r: {"lift": dataclasses.replace(r.lift, value=r.lift.low)}, "by the cells of the entry"),
        (lambda r: {"lift": dataclasses.replace(r.lift, n=1)}, "lift.n"),
        (lambda r: {"difference": dataclasses.replace(r.difference, value=r.difference.low)}, "that of the"),
        (lambda r: {"difference": dataclasses.replace(r.difference, high=2.5)}, "from -2 to 2"),
        (lambda r: {"held_back_lift": dataclasses.replace(r.held_back_lift, low=None)}, "held_back_lift"),
        (lambda r: {"signals": dataclasses.replace(r.signals, repo_id="clip-1 of it")}, "signals.repo_id"),
        (lambda r: {"signals": dataclasses.replace(r.signals, config="deepfake")}, "signals.config"),
        (lambda r: {"run": dataclasses.replace(r.run, platform="<b>")}, "plain text"),
        (lambda r: {"n_held_back_clips": 3}, "held_back_lift.n"),
    ],
)
def test_a_record_that_cannot_be_is_found(tmp_path, changes, told):
    folder, record = a_record(tmp_path)
    path = held_back.write(folder, dataclasses.replace(record, **changes(record)))
    assert any(told in line for line in held_back.problems(path, folder))
    assert any(told in line for line in validate.strays(tmp_path / "submissions"))
    with pytest.raises(BadInput, match="is not a record of the entry beside it"):
        held_back.read(folder)


def test_a_record_has_no_room_for_anything_else(tmp_path):
    folder, record = a_record(tmp_path)
    path = held_back.write(folder, record)
    path.write_text(to_json(record).replace("{", '{"clips": ["c1"],', 1))
    assert any("clips" in line for line in held_back.problems(path, folder))


def test_the_waveforms_of_toys_differ():
    assert len({audio.sha256(clip_of(i).waveform) for i in range(60)}) == 60


def test_signals_for_whose_rest_another_clip_stands_in_are_not_split(tmp_path):
    clips = [toy_models.clip_of(i) for i in range(60)]
    family = "responsibility@bands128+swap"
    found = [
        dataclasses.replace(
            toy_models.signal_of(clip), family=family, rest_clip="c0" if clip.clip_id != "c0" else "c1"
        )
        for clip in clips
    ]
    record = toy_models.record_of("toys/a", (family,), 60)
    writer.add_reference(tmp_path, toy_models.TASK, record, clips, found, masks_only=True)
    with pytest.raises(
        BadSignals, match=r"other clips stand in for the rest of every responsibility@bands128\+swap signal"
    ):
        hold_back.split(suites.load(str(tmp_path)), 0.4, 0)
