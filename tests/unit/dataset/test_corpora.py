"""Corpora: what is listed is prepared as the definitions say, what is wrong is said in one line."""

import csv
import io
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from harness import audio
from harness.dataset.corpora import open_corpus
from harness.errors import BadCorpus
from harness.tasks import TASKS

EMOTION = TASKS["emotion"]


def make(folder, rows, header=("file_name", "label")):
    """A corpus of short noises; a row is file_name, label and whatever else the header names."""
    for i, row in enumerate(rows):
        path = folder / row[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = 0.1 * np.random.default_rng(i).normal(size=1600)
        soundfile.write(path, noise, 16_000)
    with open(folder / "metadata.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return str(folder)


def ids(corpus):
    return [clip.clip_id for clip in corpus.clips(EMOTION)]


def test_labels_are_read_in_canonical_words_and_ids_are_paths_without_ending(tmp_path):
    source = make(tmp_path, [("a/x.wav", "hap"), ("b.flac", "Anger"), ("c.wav", "")])
    clips = list(open_corpus(source, EMOTION).clips(EMOTION))
    assert [(c.clip_id, c.label) for c in clips] == [("a/x", "happy"), ("b", "angry"), ("c", None)]
    assert all(c.sample_rate_hz == 16_000 and c.waveform.dtype == np.float32 for c in clips)


def test_the_test_split_is_taken_where_there_is_one(tmp_path):
    rows = [("a.wav", "sad", "train"), ("b.wav", "sad", "test"), ("c.wav", "sad", "train")]
    source = make(tmp_path, rows, ("file_name", "label", "split"))
    assert ids(open_corpus(source, EMOTION)) == ["b"]
    assert ids(open_corpus(source, EMOTION, split="train")) == ["a", "c"]
    with pytest.raises(BadCorpus, match="no split 'dev'; it has: test, train"):
        open_corpus(source, EMOTION, split="dev")


def test_a_limit_takes_the_classes_in_turn_and_the_same_clips_each_time(tmp_path):
    rows = [(f"{label}{i}.wav", label) for label in ("sad", "happy", "angry") for i in range(6)]
    source = make(tmp_path, rows)
    corpus = open_corpus(source, EMOTION, limit=7)
    labels = [clip.label for clip in corpus.clips(EMOTION)]
    assert sorted(labels.count(label) for label in set(labels)) == [2, 2, 3]
    assert ids(corpus) == ids(open_corpus(source, EMOTION, limit=7))
    smaller = set(ids(open_corpus(source, EMOTION, limit=4)))
    assert smaller < set(ids(corpus)), "a smaller limit is a part of a larger one"


def test_clips_are_mixed_resampled_cut_and_not_repeated_and_all_of_it_is_recorded(tmp_path):
    source = make(tmp_path, [("a.wav", "sad"), ("b.wav", "sad"), ("c.wav", "sad"), ("d.wav", "sad")])
    soundfile.write(tmp_path / "b.wav", 0.1 * np.random.default_rng(9).normal(size=(800, 2)), 8000)
    long = 0.1 * np.random.default_rng(8).normal(size=31 * 16_000)
    soundfile.write(tmp_path / "c.wav", long, 16_000, subtype="FLOAT")
    (tmp_path / "d.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    corpus = open_corpus(source, EMOTION)
    clips = {clip.clip_id: clip for clip in corpus.clips(EMOTION)}
    assert list(clips) == ["a", "b", "c"]
    assert len(clips["b"].waveform) == 1600
    np.testing.assert_array_equal(clips["c"].waveform, long[8000:-8000].astype(np.float32))
    ref = corpus.ref(list(clips.values()))
    assert (ref.n_clips, ref.n_resampled, ref.n_mixed, ref.n_cut, ref.n_duplicates) == (3, 1, 1, 1, 1)
    assert len(corpus.notes()) == 4


def test_the_revision_of_a_folder_is_its_content(tmp_path):
    one = open_corpus(make(tmp_path / "1", [("a.wav", "sad")]), EMOTION)
    other = open_corpus(make(tmp_path / "2", [("a.wav", "sad")]), EMOTION)
    assert one.ref(list(one.clips(EMOTION))).revision == other.ref(list(other.clips(EMOTION))).revision
    soundfile.write(tmp_path / "2" / "a.wav", np.linspace(-0.1, 0.1, 100), 16_000)
    assert one.ref(list(one.clips(EMOTION))).revision != other.ref(list(other.clips(EMOTION))).revision


@pytest.mark.parametrize(
    ("rows", "header", "match"),
    [
        ([], ("file_name", "label"), "lists no clips"),
        ([("a.wav", "sad")], ("path", "label"), "no column file_name"),
        ([("a.wav", "grumpy")], ("file_name", "label"), "label 'grumpy' is not one of task emotion: angry"),
        ([("a.wav", "sad"), ("a.flac", "sad")], ("file_name", "label"), "lists a twice"),
    ],
)
def test_metadata_that_says_too_little_is_refused(tmp_path, rows, header, match):
    with pytest.raises(BadCorpus, match=match):
        open_corpus(make(tmp_path, rows, header), EMOTION)


def test_paths_that_leave_the_folder_are_refused(tmp_path):
    make(tmp_path, [("a.wav", "sad")])
    for name in ("../a.wav", "/etc/passwd", ""):
        (tmp_path / "metadata.csv").write_text(f'file_name,label\n"{name}",sad\n')
        with pytest.raises(BadCorpus, match="must be a path inside the folder"):
            open_corpus(str(tmp_path), EMOTION)


def test_a_missing_file_is_found_before_any_work(tmp_path):
    source = make(tmp_path, [("a.wav", "sad"), ("b.wav", "sad")])
    (tmp_path / "b.wav").unlink()
    with pytest.raises(BadCorpus, match=r"b\.wav does not exist, but metadata\.csv lists it"):
        open_corpus(source, EMOTION)


def test_recordings_that_cannot_be_decoded_are_left_out_and_said(tmp_path):
    source = make(tmp_path, [(f"{name}.wav", "sad") for name in "abcdef"])
    whole = (tmp_path / "b.wav").read_bytes()
    (tmp_path / "b.wav").write_text("not sound")
    (tmp_path / "c.wav").write_bytes(b"")
    (tmp_path / "d.wav").write_bytes(whole[: len(whole) // 2])
    soundfile.write(tmp_path / "e.wav", np.array([0.1, np.nan]), 16_000, "FLOAT")
    corpus = open_corpus(source, EMOTION)
    assert ids(corpus) == ["a", "f"]
    assert [s.clip_id for s in corpus.skipped] == ["b", "c", "d", "e"]
    assert "is not a readable sound file" in corpus.skipped[0].why
    assert corpus.skipped[2].why == "d.wav is cut off: 1,622 bytes are missing; copy it again"
    assert "holds NaN or infinite samples" in corpus.skipped[3].why
    assert ids(corpus) == ["a", "f"]
    assert len(corpus.skipped) == 4, "not counted twice"


def test_a_corpus_of_which_nothing_can_be_decoded_is_refused(tmp_path):
    source = make(tmp_path, [("a.wav", "sad")])
    (tmp_path / "a.wav").write_text("not sound")
    with pytest.raises(BadCorpus, match=r"has 1 clip, and none that can be used; .*a\.wav is not"):
        ids(open_corpus(source, EMOTION))


@pytest.mark.parametrize("source", ["no/such/folder/here", "./gone", "gone"])
def test_a_source_that_is_neither_folder_nor_dataset_is_refused(source):
    with pytest.raises(BadCorpus, match="no folder at"):
        open_corpus(source, EMOTION)


def test_a_folder_without_metadata_and_a_file_are_refused(tmp_path):
    with pytest.raises(BadCorpus, match=r"has no metadata\.csv"):
        open_corpus(str(tmp_path), EMOTION)
    (tmp_path / "f").write_text("")
    with pytest.raises(BadCorpus, match="is a file"):
        open_corpus(str(tmp_path / "f"), EMOTION)


def test_a_negative_zero_is_a_zero_so_that_stored_clips_equal_those_read(tmp_path):
    source = make(tmp_path, [("a.wav", "sad")])
    samples = np.array([-0.0, 0.5, -0.25] * 100, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    (clip,) = open_corpus(source, EMOTION).clips(EMOTION)
    assert not np.signbit(clip.waveform[0])
    data, _ = audio.encode_exact(clip.waveform, 16_000)
    assert audio.sha256(audio.read(data)[0]) == audio.sha256(clip.waveform)


def on_the_hub(monkeypatch, splits):
    """A Hub dataset of these splits, each with the bytes of its recordings."""
    import datasets
    import huggingface_hub

    features = datasets.Features({"audio": datasets.Audio(decode=False), "label": datasets.Value("string")})
    loaded = datasets.DatasetDict()
    for name, sounds in splits.items():
        stored = [None if data is None else {"bytes": data, "path": None} for data in sounds]
        columns = {"audio": stored, "label": ["sad"] * len(sounds)}
        loaded[name] = datasets.Dataset(pa.Table.from_pydict(columns, schema=features.arrow_schema))
    info = SimpleNamespace(sha="a" * 40, card_data=SimpleNamespace(license="cc-by-4.0"))
    api = SimpleNamespace(dataset_info=lambda repo_id, revision: info)
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    monkeypatch.setattr(datasets, "load_dataset", lambda repo_id, revision: loaded)


def encoded(i, container="FLAC", subtype="PCM_16", factor=0.1):
    buffer = io.BytesIO()
    noise = factor * np.random.default_rng(i).normal(size=1600)
    soundfile.write(buffer, noise, 16_000, format=container, subtype=subtype)
    return buffer.getvalue()


def test_recordings_in_the_rows_of_a_dataset_are_checked_as_files_are(monkeypatch):
    whole = encoded(0)
    open_length = whole[:21] + bytes([whole[21] & 0xF0]) + bytes(4) + whole[26:]
    sounds = [
        *(open_length, encoded(1)[:-40], encoded(2, "OGG", "VORBIS")[:-40]),
        *(encoded(3, "WAV", "FLOAT", 3000.0), None, b"text", encoded(4, "MP3", "MPEG_LAYER_III")),
    ]
    on_the_hub(monkeypatch, {"test": sounds})
    corpus = open_corpus("org/name", EMOTION)
    assert ids(corpus) == ["test-000000", "test-000006"]
    reasons = (
        *("is cut off, damaged or", "is cut off within page 3 of its Ogg stream", "is not at full scale 1"),
        *("has no audio; remove its row", "is not a readable sound file; expected WAV"),
    )
    for skipped, why in zip(corpus.skipped, reasons, strict=True):
        assert skipped.why.startswith(f"org/name: {skipped.clip_id} {why}")
    assert corpus.notes() == ["5 of 7 clips skipped: they cannot be used, for the reasons given by name"]


def test_the_splits_of_a_dataset_are_chosen_as_those_of_a_folder(monkeypatch):
    on_the_hub(monkeypatch, {"train": [encoded(0), encoded(1)], "testing": [encoded(2)]})
    corpus = open_corpus("org/name", EMOTION)
    assert ids(corpus) == ["testing-000000"]
    assert corpus.choice == (
        "org/name: split 'testing' is taken, read as its test split; --split takes another"
    )
    on_the_hub(monkeypatch, {"train": [encoded(0), encoded(1)], "validation": [encoded(2)]})
    with pytest.raises(BadCorpus, match="it has: train, validation; choose one with --split NAME"):
        open_corpus("org/name", EMOTION)
    with pytest.raises(BadCorpus, match="no split 'tran'; it has: train, validation; did you mean 'train'"):
        open_corpus("org/name", EMOTION, split="tran")
