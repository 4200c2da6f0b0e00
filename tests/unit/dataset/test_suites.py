"""Signals folders: written by one run, read by another, trusted only as far as their hashes."""

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from harness import audio
from harness.dataset import (
    atomic_folder,
    parquet_io,
    parquet_schema,
    suites,
    untrusted_parquet,
    writer,
)
from harness.errors import BadInput, BadSignals
from harness.types import (
    PROTOCOL,
)
from tests.helpers import toy_models
from tests.helpers.families import FAMILIES, HEADLINE, MINIMAL
from tests.helpers.hand_made_signals import TASK, add, clip_of, levels_of, record_of, signal_of


@pytest.mark.parametrize("levels", [False, True])
@pytest.mark.parametrize("masks_only", [False, True])
def test_what_is_written_is_read_back_to_the_last_bit(tmp_path, masks_only, levels):
    made, found = add(tmp_path, masks_only=masks_only, levels=levels)
    suite = suites.load(str(tmp_path))
    assert [t.name for t in suite.tasks] == ["deepfake"]
    assert suite.task("deepfake").label_of("AIVoice") == "spoof"
    read = suite.clips("deepfake")
    for clip in made:
        np.testing.assert_array_equal(read[clip.clip_id].waveform, clip.waveform)
    wanted = {s.signal_id: s for s in found}
    pairs = list(suite.signals("deepfake", "toys__a"))
    assert {s.signal_id for s, _ in pairs} == set(wanted)
    for signal, waveform in pairs:
        other = wanted[signal.signal_id]
        np.testing.assert_array_equal(signal.mask, other.mask)
        assert (signal.levels is None) == (not levels or signal.family != MINIMAL)
        np.testing.assert_array_equal(signal.levels, other.levels)
        assert vars(signal) | {"mask": 0, "levels": 0} == vars(other) | {"mask": 0, "levels": 0}
        assert audio.sha256(waveform) == signal.sha256


def test_a_small_file_is_read_once_in_whatever_order_its_rows_are_wanted(tmp_path, monkeypatch):
    rows = [parquet_schema.clip_row(dataclasses.replace(clip_of(0), clip_id=f"c{i:03}")) for i in range(400)]
    parquet_io.write_rows(tmp_path / "a.parquet", rows, parquet_schema.CLIPS)
    found = parquet_io.Rows(tmp_path / "a.parquet", parquet_schema.CLIPS, "clip_id")
    groups, read = [], untrusted_parquet.table
    monkeypatch.setattr(
        untrusted_parquet, "table", lambda *a, **k: groups.append(k.get("group")) or read(*a, **k)
    )
    for i in np.random.default_rng(0).permutation(400):
        assert found.find(f"c{i:03}") == rows[i]
    assert sorted(groups) == list(range(7))
    monkeypatch.setattr(parquet_io, "_CACHED_BYTES", 0)
    found = parquet_io.Rows(tmp_path / "a.parquet", parquet_schema.CLIPS, "clip_id")
    groups.clear()
    for group in (*range(7), *range(3, 7), 0):  # the last four stay, and the first is read again
        found.find(f"c{64 * group:03}")
    assert groups[-8:] == [*range(7), 0]


def test_a_second_reference_joins_and_the_first_stays(tmp_path):
    add(tmp_path)
    before = suites.load(str(tmp_path)).ref("deepfake").sha256
    add(tmp_path, "toys/b", clips=range(2, 5))
    suite = suites.load(str(tmp_path))
    assert [r.model.repo_id for r in suite.references("deepfake")] == ["toys/a", "toys/b"]
    assert sorted(suite.clips("deepfake")) == ["c0", "c1", "c2", "c3", "c4"]
    assert len(list(suite.signals("deepfake", "toys__a"))) == 6
    assert suite.ref("deepfake").sha256 != before


def test_a_second_family_joins_its_reference(tmp_path):
    add(tmp_path, families=(MINIMAL,))
    add(tmp_path, families=(HEADLINE,))
    suite = suites.load(str(tmp_path))
    (record,) = suite.references("deepfake")
    assert [c.family for c in record.counts] == [HEADLINE, MINIMAL]
    assert record.searches == (f"{HEADLINE}()", f"{MINIMAL}()")
    assert len(list(suite.signals("deepfake", "toys__a"))) == 6


def test_the_same_content_has_the_same_hash_wherever_it_is(tmp_path):
    add(tmp_path / "x")
    add(tmp_path / "y", masks_only=True)
    x, y = (suites.load(str(tmp_path / d)).ref("deepfake") for d in "xy")
    assert x.sha256 == y.sha256
    assert (x.repo_id, y.repo_id) == ("local/x", "local/y")


def test_levels_are_content(tmp_path):
    add(tmp_path / "none")
    add(tmp_path / "levels", levels=True)
    add(tmp_path / "again", levels=True)
    made = [clip_of(i) for i in range(3)]
    found = [signal_of(c, "toys/a", f, levels=True) for c in made for f in FAMILIES]
    others = [s if s.levels is None else dataclasses.replace(s, levels=levels_of(s.mask, 7)) for s in found]
    writer.add_reference(tmp_path / "others", TASK, record_of("toys/a", FAMILIES), made, others)
    refs = {p.name: suites.load(str(p)).ref("deepfake").sha256 for p in tmp_path.iterdir()}
    assert refs["levels"] == refs["again"]
    assert len({refs["none"], refs["levels"], refs["others"]}) == 3


def test_what_a_candidate_is_asked_has_a_level_or_all_of_them(tmp_path):
    add(tmp_path, levels=True)
    add(tmp_path, "toys/b", families=(MINIMAL,))
    asked = suites.load(str(tmp_path)).expected_verdicts("deepfake")
    assert {(level, c) for s, level, c in asked if s == f"c1:toys__a:{MINIMAL}:0.1"} == {
        (level, "spoof") for level in range(8)
    }
    assert {level for s, level, _ in asked if s == f"c1:toys__b:{MINIMAL}:0.1"} == {0}
    assert {level for s, level, _ in asked if s == f"c1:toys__a:{HEADLINE}:0.1"} == {0}
    assert len(asked) == 3 * 8 + 3 + 3


def no_bin(levels, wanted):
    """No bin of a level: each has the next."""
    return np.where(levels == wanted, wanted + 1, levels).astype(np.uint8)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (lambda s: {"levels": s.levels[:-1]}, "levels of 200 coefficients, expected 201"),
        (lambda s: {"levels": s.levels[:0]}, "levels of 0 coefficients, expected 201"),
        (lambda s: {"levels": s.levels + (s.levels == 7).astype(np.uint8)}, "level 8, expected 0 to 7"),
        (lambda s: {"levels": s.levels - 1}, "a coefficient of level 255, expected 0 to 7"),
        (lambda s: {"levels": s.levels[::-1].copy()}, "level 0 differs from the mask"),
        (lambda s: {"levels": no_bin(s.levels, 0)}, "level 0 differs from the mask"),
        (
            lambda s: {"levels": no_bin(s.levels, 3)},
            r"levels of \[\d+, .*\] coefficients, expected \[\d+, .*201\]",
        ),
        (
            lambda s: {"mask": np.zeros(201, dtype=bool), "levels": no_bin(s.levels, 0)},
            "levels of .* coefficients",
        ),
        (lambda s: {"family": HEADLINE}, f"levels of family {HEADLINE}, expected none"),
        (lambda s: {"degenerate": True}, "levels of a degenerate signal, expected none"),
    ],
)
def test_levels_that_cannot_be_are_refused(tmp_path, changes, why):
    clip = clip_of(0)
    signal = signal_of(clip, "toys/a", MINIMAL, levels=True)
    signal = dataclasses.replace(signal, **changes(signal))
    writer.add_reference(tmp_path, TASK, record_of("toys/a", (MINIMAL,), 1), [clip], [signal])
    with pytest.raises(BadSignals, match=f"c0:toys__a:{MINIMAL}:0.1: .*{why}"):
        list(suites.load(str(tmp_path)).signals("deepfake", "toys__a"))


def test_levels_take_little_room(tmp_path):
    n_bins = 24_001
    rng = np.random.default_rng(0)
    edges = np.sort(rng.choice(np.arange(1, n_bins), 300, replace=False))
    responsibility = np.repeat(rng.random(301), np.diff(edges, prepend=0, append=n_bins))
    mask = responsibility >= np.sort(responsibility)[-40]
    sizes = parquet_schema.level_sizes(int(mask.sum()), n_bins)
    rows = []
    for i in range(8):
        order = np.lexsort((rng.random(n_bins), -responsibility, ~mask))
        levels = np.empty(n_bins, dtype=np.uint8)
        levels[order] = np.repeat(np.arange(8), np.diff(sizes, prepend=0))
        signal = dataclasses.replace(
            signal_of(clip_of(i), "toys/a", MINIMAL), n_samples=48_000, mask=mask, levels=levels
        )
        rows.append(parquet_schema.signal_row(signal, None))
    parquet_io.write_rows(tmp_path / "s.parquet", rows, parquet_schema.SIGNALS)
    metadata = pq.ParquetFile(tmp_path / "s.parquet").metadata
    (column,) = (
        c
        for c in map(metadata.row_group(0).column, range(metadata.num_columns))
        if c.path_in_schema == "levels"
    )
    assert column.compression == "ZSTD"
    assert column.total_compressed_size / 8 < 4000


def test_what_cannot_join_is_refused_and_nothing_changes(tmp_path):
    add(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    clips = [clip_of(0)]
    found = [signal_of(clips[0], "toys/a", MINIMAL)]
    record = record_of("toys/a", (MINIMAL,), 3, revision="d" * 64)
    with pytest.raises(BadSignals, match="another revision or label map"):
        writer.add_reference(tmp_path, TASK, record, clips, found)
    other = [dataclasses.replace(clip_of(0, seed=77))]
    with pytest.raises(BadSignals, match="another clip named 'c0'"):
        writer.add_reference(tmp_path, TASK, record_of("toys/b", (MINIMAL,)), other, found)
    longer = dataclasses.replace(TASK, max_seconds=60.0)
    with pytest.raises(BadSignals, match="other labels or preparation"):
        writer.add_reference(tmp_path, longer, record_of("toys/b", (MINIMAL,)), clips, found)
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_folder_of_other_things_is_not_written_into(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    for root, why in ((tmp_path, "it is no signals folder"), (tmp_path / "thesis.tex", "is a file")):
        with pytest.raises(BadInput, match=why):
            add(root)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_kill_at_any_step_leaves_the_folder_as_it_was_or_as_it_will_be(tmp_path, monkeypatch):
    add(tmp_path / "whole")
    add(tmp_path / "whole", "toys/b", clips=range(1, 6))
    wanted = (tmp_path / "whole" / "manifest.json").read_bytes()
    steps = [(writer, f"_write_{what}") for what in ("clips", "signals", "manifest")]
    for i, (room, name) in enumerate([*steps, (atomic_folder, "commit_pending")]):
        root = tmp_path / str(i)
        add(root)
        before = suites.load(str(root)).ref("deepfake").sha256
        step, calls = getattr(room, name), []

        def dies(*arguments, step=step, calls=calls, name=name):
            calls.append(1)
            if name != "commit_pending" or len(calls) == 2:
                if name != "commit_pending":
                    step(*arguments)
                raise KeyboardInterrupt
            step(*arguments)

        monkeypatch.setattr(room, name, dies)
        with pytest.raises(KeyboardInterrupt):
            add(root, "toys/b", clips=range(1, 6))
        monkeypatch.setattr(room, name, step)
        assert suites.load(str(root)).ref("deepfake").sha256 == before, name
        assert len(list(suites.load(str(root)).signals("deepfake", "toys__a"))) == 6, name
        add(root, "toys/b", clips=range(1, 6))
        assert (root / "manifest.json").read_bytes() == wanted, name
        assert not list(root.rglob("*.new")), name


def test_a_clip_of_another_truth_does_not_join(tmp_path):
    add(tmp_path)
    other = [dataclasses.replace(clip_of(0), label="bonafide")]
    with pytest.raises(BadSignals, match="as 'spoof', the corpus says 'bonafide'"):
        writer.add_reference(tmp_path, TASK, record_of("toys/b", (MINIMAL,)), other, [])


def test_a_file_that_differs_from_the_manifest_is_refused(tmp_path):
    add(tmp_path)
    path = tmp_path / "deepfake" / "toys__a.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    suite = suites.load(str(tmp_path))
    with pytest.raises(BadSignals, match="sha256"):
        list(suite.signals("deepfake", "toys__a"))
    path.unlink()
    with pytest.raises(BadSignals, match="has no file"):
        list(suite.signals("deepfake", "toys__a"))


def test_sources_that_are_no_signals_are_refused(tmp_path):
    with pytest.raises(BadSignals, match=r"has no manifest\.json"):
        suites.load(str(tmp_path))
    with pytest.raises(BadSignals, match="no signals folder at"):
        suites.load(str(tmp_path / "gone"))
    (tmp_path / "f").write_text("")
    with pytest.raises(BadSignals, match="is a file"):
        suites.load(str(tmp_path / "f"))
    add(tmp_path / "s")
    manifest = tmp_path / "s" / "manifest.json"
    raw = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**raw, "protocol": 99}))
    with pytest.raises(BadSignals, match=f"protocol 99, this version has {PROTOCOL}"):
        suites.load(str(tmp_path / "s"))
    evil = json.dumps(raw).replace('"deepfake"', '"../deepfake"')
    manifest.write_text(evil)
    with pytest.raises(BadSignals, match="lead out of the folder"):
        suites.load(str(tmp_path / "s"))
    manifest.write_text("{")
    with pytest.raises(BadSignals, match="not a manifest of this version"):
        suites.load(str(tmp_path / "s"))
    manifest.write_text(json.dumps(raw))
    with pytest.raises(BadSignals, match="no signals for task 'emotion'; it has: deepfake"):
        suites.load(str(tmp_path / "s")).task("emotion")


def test_rows_of_another_schema_are_refused(tmp_path):
    parquet_io.write_rows(tmp_path / "a.parquet", [parquet_schema.clip_row(clip_of(0))], parquet_schema.CLIPS)
    with pytest.raises(BadSignals, match="does not have the columns"):
        list(parquet_io.read_rows(tmp_path / "a.parquet", parquet_schema.SIGNALS))
    (tmp_path / "b.parquet").write_text("no")
    with pytest.raises(BadSignals, match="not a readable Parquet file"):
        list(parquet_io.read_rows(tmp_path / "b.parquet", parquet_schema.CLIPS))
    with pytest.raises(BadSignals, match="columns of a verdicts file"):
        parquet_io.verdicts(tmp_path / "a.parquet")


# --- the headline


def test_the_headline_is_the_first_family_by_responsibility_and_stays(tmp_path):
    add(tmp_path, families=("minimal@bands16", "responsibility@bands64", HEADLINE))
    suite = suites.load(str(tmp_path))
    assert suite.manifest.headlines == {"deepfake": "responsibility@bands64"}
    assert suite.headline("deepfake") == suite.ref("deepfake").headline == "responsibility@bands64"
    assert suite.families("deepfake") == ("responsibility@bands64", HEADLINE, "minimal@bands16")
    add(tmp_path, "toys/b", families=(HEADLINE, "responsibility@bands64", MINIMAL))
    grown = suites.load(str(tmp_path))
    assert grown.headline("deepfake") == "responsibility@bands64"
    assert grown.families("deepfake")[0] == "responsibility@bands64"


def test_a_suite_without_a_family_by_responsibility_has_the_first_one_until_there_is_another(tmp_path):
    add(tmp_path, families=(MINIMAL, "minimal@bands16"))
    assert suites.load(str(tmp_path)).headline("deepfake") == MINIMAL
    before = suites.load(str(tmp_path)).ref("deepfake").sha256
    add(tmp_path, families=(HEADLINE,))
    suite = suites.load(str(tmp_path))
    assert suite.headline("deepfake") == HEADLINE
    assert suite.ref("deepfake").sha256 != before


def test_the_headline_is_part_of_what_a_suite_is(tmp_path):
    add(tmp_path)
    manifest = tmp_path / "manifest.json"
    before = suites.load(str(tmp_path)).ref("deepfake")
    raw = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**raw, "headlines": {"deepfake": MINIMAL}}))
    after = suites.load(str(tmp_path)).ref("deepfake")
    assert after.headline == MINIMAL
    assert after.sha256 != before.sha256


def test_signals_of_the_kind_of_the_headline_need_the_headline_too(tmp_path):
    add(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(BadSignals) as refusal:
        add(tmp_path, "toys/b", families=("responsibility@bands64", MINIMAL))
    assert str(refusal.value) == (
        f"the headline of {tmp_path} is responsibility@bands32, these signals are responsibility@bands64;"
        " give --search responsibility@bands32, too, or choose another --out"
    )
    assert (tmp_path / "manifest.json").read_bytes() == before
    add(tmp_path, "toys/b", families=("responsibility@bands64", HEADLINE))
    add(tmp_path, "toys/c", families=("minimal@bands16",))  # of another kind: it may come first
    add(tmp_path, families=("responsibility@bands64",))  # that of this reference is there
    suite = suites.load(str(tmp_path))
    assert suite.headline("deepfake") == HEADLINE
    assert [c.family for c in suite.references("deepfake")[0].counts] == [
        *(HEADLINE, "responsibility@bands64", MINIMAL)
    ]


def test_a_manifest_without_the_headline_of_a_task_is_refused_in_a_line(tmp_path):
    add(tmp_path)
    manifest = tmp_path / "manifest.json"
    raw = json.loads(manifest.read_text())
    for headlines in ({}, {"emotion": HEADLINE}, {"deepfake": "loudest@bins"}, {"deepfake": "minimal"}):
        manifest.write_text(json.dumps({**raw, "headlines": headlines}))
        with pytest.raises(BadSignals, match="has no family that ranks for deepfake"):
            suites.load(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"survival": (1.0, 1.0, 1.0)}, "survival .*, expected 4 shares, 0 to 1"),
        ({"survival": (1.0, 1.0, 1.0, 1.5)}, "survival .*, expected 4 shares, 0 to 1"),
        ({"survival": (1.0, 1.0, 1.0, float("nan"))}, "survival .*, expected 4 shares, 0 to 1"),
        ({"family": "loudest@bins"}, "no family is called 'loudest@bins'"),
        ({"mask": np.ones(202, dtype=bool)}, "runs"),
    ],
)
def test_survival_and_families_that_cannot_be_are_refused(tmp_path, changes, why):
    clip = clip_of(0)
    signal = signal_of(clip, "toys/a", MINIMAL)
    row = parquet_schema.signal_row(dataclasses.replace(signal, **changes), None)
    with pytest.raises(ValueError, match=why):
        parquet_schema.signal_of(row)


@pytest.mark.parametrize("family", ["minimal@bins", "minimal@blocks10ms", "minimal@tiles2x4"])
def test_masks_and_levels_of_every_domain_come_back(tmp_path, family):
    clips = [toy_models.clip_of(i, 4_800) for i in range(3)]
    signals = toy_models.add_signals(tmp_path, families=(family,), levels=True, clips=clips)
    stored = list(suites.load(str(tmp_path)).signals("deepfake", "toys__a"))
    assert len(stored) == len(signals) == 3
    for (again, waveform), signal in zip(stored, signals, strict=True):
        np.testing.assert_array_equal(again.mask, signal.mask)
        np.testing.assert_array_equal(again.levels, signal.levels)
        assert again.survival == signal.survival
        assert (again.n_atoms, again.family, again.rest_clip) == (signal.n_atoms, family, None)
        assert audio.sha256(waveform) == signal.sha256
