"""The whole way round, with the real clients: publish, load, evaluate, submit, merge, board, verify."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
import yaml
from packaging.requirements import Requirement

from harness.dataset import parquet_io
from harness.dataset.suites import load
from harness.manifest import Manifest
from harness.schemas import Entry, from_json, to_json
from tests.helpers.lab import GUEST, REFERENCES, SIGNALS, SUBMISSIONS, VISITOR, Lab

LOAD = """
import importlib.util, io, json, sys
import datasets, soundfile
for name in ("torch", "torchcodec", "transformers", "scipy", "harness", "pip"):
    assert importlib.util.find_spec(name) is None, name
source = sys.argv[1]
signals = datasets.load_dataset(source, "emotion", split="test")
clips = datasets.load_dataset(source, "emotion_clips", split="test")
verdicts = datasets.load_dataset(source, "emotion_verdicts", split="test")
streamed = datasets.load_dataset(source, "emotion", split="test", streaming=True)
row = next(iter(streamed))
samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
info = soundfile.info(io.BytesIO(row["audio"]["bytes"]))
print(json.dumps({
    "n": [len(signals), len(clips), len(verdicts)],
    "default": datasets.load_dataset(source, split="test").num_rows,
    "audio": repr(signals.features["audio"]),
    "mask": repr(signals.features["mask"]),
    "same": row["signal_id"] == signals[0]["signal_id"] and row["audio"] == signals[0]["audio"],
    "n_streamed": sum(1 for _ in streamed),
    "sound": [len(samples) == row["n_samples"], rate, info.subtype, str(samples.dtype)],
    "candidates": sorted(set(verdicts["candidate"])),
}))
"""


pytestmark = pytest.mark.slow

N_CLIPS = 24
"""Enough for a lift."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), N_CLIPS)
    with lab.hub:
        lab.make_signals()
        yield lab


@pytest.fixture(scope="module")
def pinned(lab: Lab) -> str:
    """What `publish` printed."""
    done = lab.run(("publish", lab.signals, "--to", SIGNALS), ("publish", lab.signals, "--to", SIGNALS))
    assert [one.code for one in done] == [0, 0], done
    assert done[0].out == done[1].out
    return done[0].out.strip()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages that has `datasets`, `soundfile` and what they need, and nothing else."""
    folder, known, todo = tmp_path_factory.mktemp("bare"), set(), ["datasets", "soundfile"]
    while todo:
        distribution = metadata.distribution(todo.pop())
        if distribution.name in known:
            continue
        known.add(distribution.name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
            with contextlib.suppress(FileExistsError):
                (folder / top).symlink_to(distribution.locate_file(top))
        needs = map(Requirement, distribution.requires or ())
        todo += [r.name for r in needs if r.marker is None or r.marker.evaluate({"extra": ""})]
    return folder


def loaded(lab: Lab, bare: Path, source: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-S", "-c", LOAD, source],
        env=lab.environment(token=None) | {"PYTHONPATH": str(bare)},
        cwd=bare,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_is_published_is_one_commit_with_a_tag_and_a_manifest_of_every_file(lab, pinned):
    repository = f"datasets/{SIGNALS}"
    assert pinned == f"{SIGNALS}@{lab.hub.commit(repository)}"
    assert lab.hub.commit(repository, "v1") == lab.hub.commit(repository)
    assert len(lab.hub.titles(repository)) == 2  # that of its making, and ours
    files = lab.hub.files(repository)
    manifest = from_json(Manifest, files["manifest.json"])
    assert {*manifest.files, "manifest.json"} == {*files} - {".gitattributes"}
    published = lab.signals / ".published"
    for path, sha256 in manifest.files.items():
        assert parquet_io.sha256_of(published / path) == sha256
        assert (published / path).read_bytes() == files[path]
    head = yaml.safe_load(files["README.md"].decode().split("---")[1])
    assert head["license"] == "cc-by-4.0"
    assert [c["config_name"] for c in head["configs"]] == ["emotion", "emotion_clips", "emotion_verdicts"]
    assert yaml.safe_load(files["eval.yaml"])["tasks"] == [
        {"id": "emotion", "config": "emotion", "split": "test"}
    ]


@pytest.mark.parametrize("where", ["hub", "folder"])
def test_it_loads_where_there_is_nothing_but_datasets_and_soundfile(lab, pinned, bare, where):
    found = loaded(lab, bare, SIGNALS if where == "hub" else str(lab.signals / ".published"))
    suite = load(str(lab.signals))
    n_signals = sum(c.n_signals for c in suite.counts("emotion"))
    n_verdicts = sum(len(pd.read_parquet(f / "verdicts.parquet")) for f in suite.verdicts())
    assert found["n"] == [n_signals, N_CLIPS, n_verdicts]
    assert found["default"] == found["n_streamed"] == n_signals
    assert "Audio(" in found["audio"]
    assert "decode=False" in found["audio"]
    assert "sampling_rate=16000" in found["audio"]
    assert found["mask"] == "List(Value('int32'))"
    assert found["same"]
    assert found["sound"] == [True, 16_000, "FLOAT", "float32"]
    assert found["candidates"] == sorted(REFERENCES)


def test_the_published_suite_is_the_one_that_was_built_signal_by_signal(lab, pinned, tmp_path):
    done, again = lab.run(
        ("download", pinned, "--out", tmp_path / "here"),
        ("download", pinned, "--out", tmp_path / "here", "--json"),
    )
    assert done.code == again.code == 0, (done, again)
    ours, theirs = load(str(lab.signals)), load(str(tmp_path / "here"))
    assert theirs.ref("emotion").sha256 == ours.ref("emotion").sha256
    assert f"{theirs.name}@{theirs.commit}" == pinned
    assert theirs.ref("emotion").revision == theirs.commit
    for name in REFERENCES:
        slug = name.replace("/", "__")
        pairs = zip(ours.signals("emotion", slug), theirs.signals("emotion", slug), strict=True)
        assert all(a.sha256 == b.sha256 and (x == y).all() for (a, x), (b, y) in pairs)


def test_nothing_is_fetched_twice_and_the_cache_answers_offline(lab, pinned, tmp_path):
    lab.run(("download", pinned))
    before = len(lab.hub.requests)
    done = lab.run(("download", pinned, "--out", tmp_path / "a"), ("download", pinned, "--list"))
    assert not [r for r in lab.hub.requests[before:] if r.startswith("GET") and "/resolve/" in r]
    offline = lab.run(
        ("download", pinned, "--out", tmp_path / "b"),
        ("download", SIGNALS, "--out", tmp_path / "c"),
        ("download", "lab/unknown", "--out", tmp_path / "d"),
        HF_HUB_OFFLINE="1",
    )
    assert [one.code for one in (*done, *offline)] == [0, 0, 0, 0, 2]
    assert offline[2].err == (
        "goodenough: the Hub cannot be reached while HF_HUB_OFFLINE is set, and what this needs of dataset"
        " lab/unknown is not in the local cache; give the same command once with a network and without it\n"
    )
    contents = [
        {p.relative_to(d): p.read_bytes() for p in d.rglob("*.parquet")}
        for d in (tmp_path / "a", tmp_path / "b", tmp_path / "c")
    ]
    assert contents[0] == contents[1] == contents[2]
    assert len(contents[0]) == 7


def test_only_what_a_task_needs_is_fetched(lab, pinned, tmp_path):
    """An evaluation reads clips and signals, its report the references' entries; none the card or a table."""
    before = len(lab.hub.requests)
    lab.cache, kept = tmp_path / "cache", lab.cache
    done = lab.run(("evaluate", VISITOR, "--signals", pinned, "--out", tmp_path / "results"), token=GUEST)
    lab.cache = kept
    assert done[0].code == 0, done
    asked = [r for r in lab.hub.requests[before:] if r.startswith("GET") and f"{SIGNALS}/resolve/" in r]
    below = {r.split("/resolve/")[1].split("/", 1)[1] for r in asked}
    assert {path for path in below if not path.startswith("verdicts/")} == {
        "manifest.json",
        "emotion_clips/clips.parquet",
        *(f"emotion/{name.replace('/', '__')}.parquet" for name in REFERENCES),
    }


def test_an_entry_goes_from_a_result_to_the_board_and_is_verified(lab, pinned, tmp_path):
    results, site = tmp_path / "results", tmp_path / "site"
    submit = ("submit", results, "--to", SUBMISSIONS, "--yes", "--json")
    evaluated, first, second = lab.run(
        ("evaluate", VISITOR, "--signals", pinned, "--out", results, "--json"), submit, submit, token=GUEST
    )
    assert evaluated.code == first.code == second.code == 0, (evaluated, first, second)
    entry = from_json(Entry, next(results.glob("*/*/*/entry.json")).read_bytes())
    assert f"{entry.signals.repo_id}@{entry.signals.revision}" == pinned
    [offered], [found] = json.loads(first.out)["offered"], json.loads(second.out)["offered"]
    assert offered["number"] == found["number"]
    assert not offered["was_open"]
    assert found["was_open"]
    repository = f"datasets/{SUBMISSIONS}"
    assert len(lab.hub.discussions(repository)) == 1
    assert set(lab.hub.files(repository)) == {"README.md"}  # nothing is changed until it is merged
    lab.hub.merge(repository, offered["number"])
    folder = f"submissions/{entry.path}"
    for name in ("entry.json", "verdicts.parquet"):
        assert lab.hub.files(repository)[f"{folder}/{name}"] == (results / entry.path / name).read_bytes()
    done = lab.run(
        submit,
        ("leaderboard", "build", "--submissions", SUBMISSIONS, "--signals", pinned, "--out", site, "--json"),
        ("verify", results, "-k", "8"),
    )
    assert [one.code for one in done] == [0, 0, 0], done
    assert json.loads(done[0].out)["offered"] == []
    assert len(lab.hub.discussions(repository)) == 1
    assert "left out" not in done[1].err
    [ranking] = json.loads(done[1].out)["rankings"]
    assert VISITOR in {row["model"]["repo_id"] for row in ranking["rows"]}
    assert "the same" in done[2].out


def test_the_lift_is_offered_to_the_page_of_the_model_beside_what_stands_there(lab, pinned, tmp_path):
    page = lab.root / "hub/models" / VISITOR / ".eval_results/goodenough.yaml"
    page.parent.mkdir()
    other = {"dataset": {"id": "somebody/else", "task_id": "x"}, "value": 0.5}
    page.write_text(yaml.safe_dump([other]))
    results = tmp_path / "results"
    offer = ("submit", results, "--model-card", "--yes", "--json")
    done = lab.run(("evaluate", VISITOR, "--signals", pinned, "--out", results), offer, offer)[1:]
    entry = from_json(Entry, next(results.glob("*/*/*/entry.json")).read_bytes())
    assert [one.code for one in done] == [0, 0], done
    numbers = [json.loads(one.out)["offered"][0]["number"] for one in done]
    assert numbers[0] == numbers[1]
    content = lab.hub.files(f"models/{VISITOR}", f"refs/pr/{numbers[0]}")[".eval_results/goodenough.yaml"]
    kept, ours = yaml.safe_load(content)
    assert kept == other
    assert ours["dataset"] == {"id": SIGNALS, "task_id": "emotion", "revision": pinned.split("@")[1]}
    assert ours["value"] == entry.scorecard.headline.rates.lift.value
    page.unlink()
    page.parent.rmdir()


def test_masks_alone_come_to_the_same_verdicts_with_ones_own_copy_of_the_corpus(lab, pinned, tmp_path):
    masks, here = "lab/masks", tmp_path / "here"
    published, silent, deaf, rebuilt = lab.run(
        ("publish", lab.signals, "--to", masks, "--masks-only"),
        ("download", masks, "--out", tmp_path / "silent"),
        ("evaluate", VISITOR, "--signals", masks, "--out", tmp_path / "deaf"),
        ("download", masks, "--out", here, "--corpus", f"emotion={lab.corpus}", "--reference", REFERENCES[0]),
    )
    assert published.code == silent.code == rebuilt.code == 0, (published, silent, rebuilt)
    assert not any(b"RIFF" in data or b"fLaC" in data for data in lab.hub.files(f"datasets/{masks}").values())
    assert "emotion: masks only; to rebuild the audio: --corpus emotion=FOLDER --out DIR" in silent.err
    assert deaf.code == 2
    assert f"goodenough download {masks} --corpus emotion=FOLDER --out DIR" in deaf.err
    assert f"of {4 * N_CLIPS} signals {4 * N_CLIPS} rebuilt to the last bit" in rebuilt.err
    assert f"{REFERENCES[0]} accepts 16 of 16 of its signals" in rebuilt.err
    done = lab.run(
        ("evaluate", VISITOR, "--signals", here, "--out", tmp_path / "masks"),
        ("evaluate", VISITOR, "--signals", pinned, "--out", tmp_path / "audio"),
    )
    assert [one.code for one in done] == [0, 0], done
    first, second = (
        next((tmp_path / name).glob("*/*/*/verdicts.parquet")).read_bytes() for name in ("masks", "audio")
    )
    assert first == second


def test_a_new_version_leaves_what_is_not_of_the_suite_and_takes_away_what_was(lab, pinned, tmp_path):
    name = "lab/shared"
    repository = f"datasets/{name}"
    place = lab.root / "hub" / repository
    place.mkdir(parents=True)
    (place / "NOTES.md").write_text("ours")
    (place / "other.parquet").write_bytes(b"not a suite's")
    grown = tmp_path / "grown"
    shutil.copytree(lab.signals, grown, ignore=shutil.ignore_patterns(".published"))
    [first] = lab.run(("publish", grown, "--to", name))
    before = set(lab.hub.files(repository))
    shutil.rmtree(grown / ".published")
    manifest = from_json(Manifest, (grown / "manifest.json").read_bytes())
    kept = tuple(r for r in manifest.references if r.model.repo_id == REFERENCES[0])
    gone = f"emotion/{REFERENCES[1].replace('/', '__')}.parquet"
    files = {path: sha256 for path, sha256 in manifest.files.items() if path != gone}
    smaller = dataclasses.replace(manifest, references=kept, files=files)
    (grown / "manifest.json").write_text(to_json(smaller))
    shutil.rmtree(grown / "verdicts")
    judged, second = lab.run(
        ("evaluate", REFERENCES[0], "--signals", grown, "--update-suite", "--out", tmp_path / "own"),
        ("publish", grown, "--to", name),
    )
    assert first.code == judged.code == second.code == 0, (first, judged, second)
    after = set(lab.hub.files(repository))
    assert {"NOTES.md", "other.parquet"} <= before & after
    assert gone in before - after
    assert set(lab.hub.tags(repository)) == {"v1", "v2"}
