"""Pairs in the clip table: read from corpora, kept in every form of a suite, never split."""

import csv
import dataclasses
import hashlib
import json
from types import SimpleNamespace

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from harness import audio
from harness.dataset import download, hold_back, parquet_io, parquet_schema, publish, suites, writer
from harness.dataset.corpora import open_corpus
from harness.dataset.paths import clips_path
from harness.errors import BadSignals
from harness.starter.paths import open_suite
from harness.tasks import TASKS
from tests.helpers import hand_made_signals
from tests.helpers.families import HEADLINE
from tests.helpers.paired_suite import BAND, clips_of, mask_of, paired_suite, signal_of

TASK = TASKS["deepfake"]
CLIPS = clips_path("deepfake")


def pairs_in(suite):
    return {line.clip_id: line.pair for line in suite.clip_lines("deepfake")}


def test_a_pair_is_written_and_read_back_as_lines_as_clips_and_one_by_one(tmp_path):
    clips = [*clips_of(2), dataclasses.replace(clips_of(3)[-1], pair=None)]
    suite = paired_suite(tmp_path, clips)
    wanted = {clip.clip_id: clip.pair for clip in clips}
    assert pairs_in(suite) == wanted
    assert {clip_id: clip.pair for clip_id, clip in suite.clips("deepfake").items()} == wanted
    assert {clip_id: suite.clip("deepfake", clip_id).pair for clip_id in wanted} == wanted


def test_a_suite_without_pairs_has_no_such_column_and_reads_as_none(tmp_path):
    hand_made_signals.add(tmp_path)
    assert pq.read_schema(tmp_path / CLIPS).names == [n for n in parquet_schema.CLIPS.names if n != "pair"]
    suite = suites.load(str(tmp_path))
    assert pairs_in(suite) == dict.fromkeys(["c0", "c1", "c2"])
    assert suite.clip("deepfake", "c1").pair is None
    assert {clip.pair for clip in suite.clips("deepfake").values()} == {None}


def test_the_packaged_suite_is_read_with_whichever_columns_it_has():
    suite = open_suite(None)
    for task in suite.task_names:
        lines = list(suite.clip_lines(task))
        assert suite.clip(task, lines[0].clip_id).pair == lines[0].pair


@pytest.mark.parametrize("kind", [pa.int32(), pa.binary(), pa.list_(pa.string())])
def test_pairs_of_another_type_are_refused_in_one_line(tmp_path, kind):
    suite = paired_suite(tmp_path, clips_of(1))
    table = pq.read_table(suite.root / CLIPS).drop_columns("pair")
    table = table.append_column("pair", pa.nulls(len(table), kind))
    pq.write_table(table, suite.root / CLIPS)
    for read in (
        lambda: list(parquet_io.read_rows(suite.root / CLIPS, parquet_schema.CLIPS)),
        lambda: parquet_io.Rows(suite.root / CLIPS, parquet_schema.CLIPS, "clip_id"),
    ):
        with pytest.raises(BadSignals, match="does not have the columns of this version") as refusal:
            read()
        assert "\n" not in str(refusal.value)


def test_no_column_but_the_pair_may_be_missing(tmp_path):
    suite = paired_suite(tmp_path, clips_of(1))
    pq.write_table(pq.read_table(suite.root / CLIPS).drop_columns("label"), suite.root / CLIPS)
    with pytest.raises(BadSignals, match="does not have the columns of this version"):
        list(parquet_io.read_rows(suite.root / CLIPS, parquet_schema.CLIPS))


def test_another_pair_of_a_known_clip_is_refused_and_a_first_one_is_added(tmp_path):
    clips = clips_of(2)
    paired_suite(tmp_path, [dataclasses.replace(clip, pair=None) for clip in clips])
    assert set(pairs_in(suites.load(str(tmp_path))).values()) == {None}
    wanted = {clip.clip_id: clip.pair for clip in clips}
    assert pairs_in(paired_suite(tmp_path, clips, ["toys/b"])) == wanted
    for pair in ("elsewhere", None):
        other = dataclasses.replace(clips[0], pair=pair)
        record = hand_made_signals.record_of("toys/c", [HEADLINE], 1)
        with pytest.raises(BadSignals, match=f"in pair 'p000', the corpus says {pair!r}"):
            writer.add_reference(tmp_path, TASK, record, [other], [signal_of(other, mask_of(BAND), "toys/c")])
    assert pairs_in(suites.load(str(tmp_path))) == wanted


@pytest.mark.parametrize("masks_only", [False, True])
def test_pairs_are_published_downloaded_described_and_rebuilt(tmp_path, masks_only):
    clips = clips_of(3)
    suite = paired_suite(tmp_path / "built", clips)
    wanted = pairs_in(suite)
    form = publish.prepare(
        suite, [], repo_id="org/name", cards={}, licence="cc-by-4.0", masks_only=masks_only
    )
    assert pairs_in(suites.load(str(form.root))) == wanted
    sets = json.loads((form.root / "croissant.json").read_text())["recordSet"]
    (fields,) = [each["field"] for each in sets if each["name"] == "deepfake_clips"]
    assert [f["name"] for f in fields] == parquet_schema.CLIPS.names
    assert "3 pairs: an original recording" in (form.root / "README.md").read_text()
    copy = download.into(suites.load(str(form.root)), ["deepfake"], tmp_path / "copy")
    assert pairs_in(copy) == wanted
    if masks_only:
        (tmp_path / "mine").mkdir()
        for i, clip in enumerate(clips):
            soundfile.write(tmp_path / f"mine/{i}.wav", clip.waveform, clip.sample_rate_hz, subtype="FLOAT")
        download.rebuild(copy, TASK, [str(tmp_path / "mine")], lambda n, m: None)
        rebuilt = suites.load(str(tmp_path / "copy"))
        assert pairs_in(rebuilt) == wanted
        assert rebuilt.clip("deepfake", "s001").pair == "p001"


def test_a_published_suite_without_pairs_says_nothing_of_them(tmp_path):
    hand_made_signals.add(tmp_path)
    form = publish.prepare(suites.load(str(tmp_path)), [], repo_id="o/n", cards={}, licence="cc-by-4.0")
    for name in ("README.md", "croissant.json"):
        assert "pair" not in (form.root / name).read_text().replace("paired", "")
    assert "pair" not in pq.read_schema(form.root / CLIPS).names


# ---- held back -------------------------------------------------------------------------------------


def line(name, label, pair=None):
    digest = hashlib.sha256(name.encode()).hexdigest()
    return parquet_schema.ClipLine(name, label, 9, digest, pair)


def test_the_clips_of_a_pair_are_never_separated(tmp_path):
    lines = [
        line(f"{kind}{i}", label, f"p{i}")
        for i in range(40)
        for kind, label in (("o", "bonafide"), ("s", "spoof"), ("t", "spoof"))
    ]
    single = [line(f"x{i}", "spoof") for i in range(20)]
    for seed in range(20):
        held = hold_back.choose({"t": [*lines, *single]}, 0.3, seed)["t"]
        by_pair = {p: [each.clip_id in held for each in lines if each.pair == p] for p in ("p0", "p7", "p39")}
        assert all(len(set(sides)) == 1 for sides in by_pair.values())
        assert sum(clip_id[0] == "o" for clip_id in held) == 12
        assert sum(clip_id[0] == "x" for clip_id in held) == 6


def test_a_name_of_a_pair_holds_within_its_task_and_moves_no_other_clip():
    one = {"t": [line(f"a{i}", "x") for i in range(30)]}
    two = {"u": [line(f"b{i}", "x", "same") for i in range(2)] + [line(f"b{i}", "x") for i in range(2, 30)]}
    before = hold_back.choose(one, 0.4, 0)["t"]
    tagged = {
        "t": [dataclasses.replace(each, pair="same" if i == 0 else None) for i, each in enumerate(one["t"])]
    }
    assert hold_back.choose(tagged | two, 0.4, 0)["t"] == before


def test_both_halves_of_a_paired_suite_keep_their_pairs(tmp_path):
    suite = paired_suite(tmp_path, clips_of(60))
    halves = hold_back.split(suite, 0.5, 0)
    sides = [pairs_in(suites.load(str(folder))) for folder in (halves.public, halves.held_back)]
    assert sides[0] | sides[1] == pairs_in(suite)
    assert not {*sides[0].values()} & {*sides[1].values()}
    assert all(len(side) == 60 for side in sides)


def test_a_half_that_has_none_of_the_pairs_has_no_such_column(tmp_path):
    clips = [dataclasses.replace(c, pair=None) for c in clips_of(40)]
    clips[:2] = clips_of(1)
    halves = hold_back.split(paired_suite(tmp_path, clips), 0.5, 0)
    names = [pq.read_schema(folder / CLIPS).names for folder in (halves.public, halves.held_back)]
    assert sorted("pair" in columns for columns in names) == [False, True]


# ---- corpora ---------------------------------------------------------------------------------------


def folder_of(root, rows, header):
    root.mkdir(exist_ok=True)
    for i, row in enumerate(rows):
        noise = 0.1 * np.random.default_rng(i).normal(size=800)
        soundfile.write(root / row[0], noise, 16_000)
    with open(root / "metadata.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(root)


def test_a_folder_may_name_pairs_and_its_revision_is_that_of_its_sounds(tmp_path):
    rows = [("a.wav", "bonafide", "x\u00e9"), ("b.wav", "spoof", "xe\u0301"), ("c.wav", "spoof", "")]
    source = folder_of(tmp_path / "f", rows, ("file_name", "label", "pair"))
    corpus = open_corpus(source, TASK)
    clips = list(corpus.clips(TASK))
    assert [clip.pair for clip in clips] == ["x\u00e9", "x\u00e9", None]
    paired = corpus.ref(clips)
    folder_of(tmp_path / "f", [row[:2] for row in rows], ("file_name", "label"))
    plain = open_corpus(source, TASK)
    clips = list(plain.clips(TASK))
    assert {clip.pair for clip in clips} == {None}
    assert plain.ref(clips) == paired


def test_a_limit_takes_the_same_pairs_of_each_class(tmp_path):
    rows = [(f"{c}{i}.wav", c, f"p{i}") for c in ("spoof", "bonafide") for i in range(9)]
    source = folder_of(tmp_path / "f", rows, ("file_name", "label", "pair"))
    clips = list(open_corpus(source, TASK, limit=8).clips(TASK))
    names = [{clip.pair for clip in clips if clip.label == label} for label in ("spoof", "bonafide")]
    assert names[0] == names[1]
    assert len(names[0]) == 4


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["p", "p", None], ["p", "p", None]),
        (["", "p", "p"], [None, "p", "p"]),
        ([0, 0, 2], ["0", "0", "2"]),
        ([0.5, 0.5, 2.0], [None] * 3),
        ([["p"], ["p"], ["q"]], [None] * 3),
    ],
)
def test_a_dataset_of_the_hub_may_have_a_column_of_names_or_numbers_of_pairs(monkeypatch, values, wanted):
    rows = {
        "audio": [
            {"bytes": audio.encode(clip.waveform, clip.sample_rate_hz), "path": f"{clip.clip_id}.wav"}
            for clip in clips_of(2)[:3]
        ],
        "label": ["bonafide", "spoof", "spoof"],
        "pair": values,
    }
    table = datasets.Dataset.from_dict(rows).cast_column("audio", datasets.Audio(decode=False))
    info = SimpleNamespace(sha="0" * 40, card_data=None)
    monkeypatch.setattr(
        huggingface_hub, "HfApi", lambda: SimpleNamespace(dataset_info=lambda repo_id, revision: info)
    )
    monkeypatch.setattr(datasets, "load_dataset", lambda repo_id, revision: datasets.DatasetDict(test=table))
    assert [clip.pair for clip in open_corpus("org/corpus", TASK).clips(TASK)] == wanted
