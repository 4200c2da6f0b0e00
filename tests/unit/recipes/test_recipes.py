"""Recipes: read strictly, costed by hand-computed answers, run, continued, pinned."""

from __future__ import annotations

import json
import lzma
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from harness import audio, cli
from harness.cli import extract
from harness.dataset import licences
from harness.errors import BadInput
from harness.extract import DEFAULT
from harness.families import DEFAULT_RESOLUTIONS
from harness.manifest import Manifest
from harness.recipes import cost, recipe_file
from harness.schemas import Entry, from_json
from harness.tasks import TASKS
from tests.helpers import forking, toy_models
from tests.helpers.lab import NAMES, Lab, Said, _make_corpus
from tests.helpers.repository import ROOT

CORPUS = {
    "name": "studio",
    "source": "./corpus",
    "licence": "cc-by-4.0",
    "redistributable": True,
    "seen": "docs",
    "checked": "Made here.",
}
EAR = {"source": "./ear", "architecture": "wav2vec2", "seen": "docs", "note": "A toy."}
DRUM = {"source": "./drum", "architecture": "hubert", "seen": "docs", "note": "A toy."}
RECIPE: dict[str, Any] = {
    "name": "lab",
    "task": "emotion",
    "about": "Toys.",
    "searches": ["responsibility", "minimal"],
    "repetitions": 2,
    "corpora": [CORPUS],
    "models": [EAR, DRUM],
}


def written(folder: Path, **changed: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE | changed))
    return path


def said(*arguments: Any, **environment: str) -> Said:
    """A command in a process of its own."""
    [found] = forking.run([arguments], environment_of(**environment))
    return Said(*found)


def environment_of(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **more}


# ---- what is shipped -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", recipe_file.shipped())
def test_a_shipped_recipe_reads_and_claims_no_more_than_was_seen(name):
    recipe, task = recipe_file.read(name)
    assert recipe.name == name
    assert task is TASKS[name]
    assert len({m.source for m in recipe.models}) == len(recipe.models) >= 5
    entries: list[recipe_file.RecipeCorpus | recipe_file.RecipeModel] = [*recipe.corpora, *recipe.models]
    for entry in entries:
        # Nobody was at the Hub: a commit would be an invention.
        assert entry.revision in ("main", "refs/pr/1", "refs/pr/2")
        assert not recipe_file.is_folder(entry.source)
    for corpus in recipe.corpora:
        allowed = licences.problem(corpus.name, corpus.licence) is None
        assert corpus.redistributable == (corpus.masks_only_because is None)
        assert allowed or not corpus.redistributable
        assert set(corpus.labels.values()) <= set(task.labels)
    text = (Path(recipe_file.__file__).parent / f"{name}.yaml").read_text()
    assert text.startswith("# Never run against the real Hub")


def test_the_recipes_are_those_of_the_built_in_tasks():
    assert recipe_file.shipped() == sorted(TASKS)


def test_gtzan_states_no_licence_and_models_of_unknown_order_wait_for_a_label_map():
    genre, _ = recipe_file.read("music-genre")
    assert {c.name: c.redistributable for c in genre.corpora} == {
        "gtzan": False,
        "fma": False,
        "fma-commercial": True,
    }
    deepfake, _ = recipe_file.read("deepfake")
    waiting = [m.source for m in deepfake.models if m.needs == "label map"]
    assert waiting == ["Vansh180/deepfake-audio-wav2vec2"]
    assert all(m.labels is None for m in deepfake.models)


def test_a_recipe_and_a_command_allow_as_many_draws():
    assert extract.MAX_DRAWS == recipe_file.MAX_DRAWS


@pytest.mark.parametrize("name", recipe_file.shipped())
def test_the_searches_of_a_shipped_recipe_are_the_usual_ones(name):
    recipe, _ = recipe_file.read(name)
    assert (recipe.searches, recipe.completion, recipe.robust) == (DEFAULT, "zero", None)


# ---- strictness ----------------------------------------------------------------------------------

WRONG = [
    ({"shape": 1}, "shape: Unexpected keyword argument"),
    ({"limit": "400"}, "limit: Input should be a valid integer"),
    ({"limit": 0}, "limit is 0; expected at least 1"),
    ({"limit": None}, "`limit` is empty; give it a value, or leave the line out"),
    ({"corpora": [CORPUS | {"split": None}]}, "`split` is empty"),
    ({"corpora": [CORPUS | {"split": ""}]}, "`split` is empty"),
    ({"corpora": [CORPUS | {"splits": "test"}]}, "splits: Unexpected keyword argument"),
    ({"tasks": "emotion"}, "tasks: Unexpected keyword argument"),
    ({"name": "My Lab"}, "must be lower case letters, digits and hyphens"),
    ({"task": "weather"}, "no task named 'weather'"),
    ({"searches": []}, "`searches` is empty"),
    ({"searches": ["magic"]}, "no search named 'magic'; known: responsibility, minimal, gradient"),
    ({"searches": ["minimal", "gradient"], "repetitions": None}, "are of one family"),
    ({"searches": ["minimal"]}, "`repetitions` is of the search responsibility"),
    ({"searches": ["minimal", "minimal@bins"], "repetitions": None}, "are of one family; name one of each"),
    ({"searches": ["minimal@bands64"]}, "`repetitions` is of the search responsibility"),
    (
        {"searches": ["responsibility@some"]},
        "no resolution is called 'some'; examples: bins, bands128, mel64",
    ),
    ({"searches": ["responsibility@"]}, "no resolution is called ''"),
    ({"searches": ["responsibility@bands0"]}, "no resolution is called 'bands0'"),
    ({"searches": ["minimal@blocks15ms"]}, "blocks are multiples of 10 ms"),
    ({"searches": ["minimal@tiles8x99999999"]}, "expected numbers of at most 10,000,000"),
    ({"searches": ["minimal@bins+swap"]}, "no resolution is called 'bins+swap'"),
    ({"searches": "minimal"}, "searches: Input should be a valid array"),
    ({"bands": 64}, "a recipe has no field `bands`; name the bands with the search"),
    ({"completion": "nois:-40"}, "no completion is called 'nois:-40'; examples: zero, noise:-40"),
    ({"completion": "noise:3"}, "no completion is called 'noise:3'"),
    ({"completion": "zero", "robust": 0.9}, "`robust` needs a `completion` other than zero"),
    ({"robust": 0.9}, "`robust` needs a `completion` other than zero"),
    ({"completion": "swap", "robust": 0.0}, "robust is 0; expected a share above 0, at most 1"),
    ({"completion": "swap", "robust": 1.5}, "robust is 1.5; expected a share above 0, at most 1"),
    ({"completion": "swap", "robust": "all"}, "robust: Input should be a valid number"),
    ({"draws": 0}, "draws is 0; expected at least 1"),
    ({"draws": 101}, "draws is 101; expected at most 100"),
    ({"draws": "2"}, "draws: Input should be a valid integer"),
    ({"seed": -1}, "seed is -1; expected 0 or more"),
    ({"models": []}, "`models` is empty"),
    ({"models": [EAR, EAR]}, "twice"),
    ({"models": [EAR | {"revision": "main"}]}, "a folder has no revision 'main'"),
    ({"models": [EAR | {"source": "org/name"}]}, "a Hub id needs a revision"),
    ({"models": [EAR | {"source": "org/name", "revision": "abcdef1"}]}, "neither all 40 digits"),
    ({"models": [EAR | {"source": "name"}]}, "'name' is no Hub id"),
    ({"models": [EAR | {"seen": "yes"}]}, "models.0.seen: Input should be 'docs', 'second-hand' or 'no'"),
    ({"models": [EAR | {"labels": {"LABEL_0": "angry"}}]}, "`labels` and `labels_from`"),
    (
        {"models": [EAR | {"labels": {"a": "angry", "b": "joyous"}, "labels_from": "Said so."}]},
        "'b' is mapped to 'joyous', which is no label of emotion",
    ),
    (
        {"models": [EAR | {"labels": {"a": "angry", "b": None}, "labels_from": "Said so."}]},
        "must name at least 2 labels",
    ),
    ({"corpora": [CORPUS | {"redistributable": False}]}, "say either `redistributable: true`"),
    ({"corpora": [CORPUS | {"licence": None}]}, "its licence is not stated"),
    ({"corpora": [CORPUS | {"licence": "cc-by-nd-4.0"}]}, "allows no derivatives"),
    ({"corpora": [CORPUS | {"licence": "my own"}]}, "is no licence known here"),
    ({"corpora": [CORPUS | {"labels": {"Glad": "glad"}}]}, "'Glad' is mapped to 'glad', which is no label"),
    ({"corpora": [CORPUS | {"labels": {"Sad": "sad"}}]}, "'Sad' is mapped to itself"),
    ({"corpora": [CORPUS | {"seconds": 0}]}, "seconds is 0.0; expected more than 0"),
]


@pytest.mark.parametrize(("changed", "line"), WRONG)
def test_a_recipe_that_does_not_say_what_it_must_is_refused_in_a_line(tmp_path, changed, line):
    with pytest.raises(BadInput) as refusal:
        recipe_file.read(str(written(tmp_path, **changed)))
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: a\nname: b\n", "line 2: 'name' stands there twice"),
        ("1: a\n", "1 must be text"),
        ("{", "is not readable YAML"),
        ("[]", "is no recipe"),
        ("name: 2026-01-01\n", "is no recipe"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_in_a_line(tmp_path, text, line):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(BadInput, match=line) as refusal:
        recipe_file.read(str(tmp_path / "recipe.yaml"))
    assert "\n" not in str(refusal.value)


def test_notes_are_no_content_but_models_and_searches_are(tmp_path):
    def content(name: str, **changed: Any) -> str:
        return recipe_file.content_sha256(*recipe_file.read(str(written(tmp_path / name, **changed))))

    before = content("here")
    assert content("elsewhere", models=[EAR | {"note": "A better toy.", "parameters_m": 2.0}, DRUM]) == before
    changes = (
        *({"models": [EAR]}, {"limit": 9}, {"searches": ["responsibility"]}, {"alpha": 0.5}),
        *({"searches": [f"responsibility@{atoms}", "minimal"]} for atoms in ("bands64", "bins")),
        *({"completion": "swap"}, {"completion": "swap", "robust": 0.5}, {"seed": 1}, {"draws": 2}),
    )
    assert len({before, *(content(f"{i}", **c) for i, c in enumerate(changes))}) == 1 + len(changes)


# ---- combinations of options ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--recipe", "emotion", "org/model"], "MODEL cannot be combined with --recipe emotion"),
        (["--recipe", "emotion", "--task", "emotion"], "--task cannot be combined with --recipe emotion"),
        (["--recipe", "emotion", "--limit", "3"], "--limit cannot be combined with --recipe emotion"),
        (["--recipe", "emotion", "--search", "minimal"], "--search cannot be combined with --recipe emotion"),
        (
            ["--recipe", "emotion", "--completion", "swap"],
            "--completion cannot be combined with --recipe emo",
        ),
        (["--recipe", "emotion", "--robust", "0.5"], "--robust cannot be combined with --recipe emotion"),
        (["--recipe", "emotion", "--seed", "0"], "--seed cannot be combined with --recipe emotion"),
        (["--recipe", "emotion", "--draws", "2"], "--draws cannot be combined with --recipe emotion"),
        (["--recipe", "emotion", "--alpha", "0"], "--alpha cannot be combined with --recipe emotion"),
        (["--recipe", "emotion", "--masks-only"], "--masks-only cannot be combined with --recipe emotion"),
        (
            ["--recipe", "emotion", "--revision", "main"],
            "--revision cannot be combined with --recipe emotion",
        ),
        (
            ["--recipe", "emotion", "--trust-remote-code"],
            "--trust-remote-code cannot be combined with --recipe emotion",
        ),
        (["m", "--task", "emotion", "--corpus", "c", "--dry-run"], "--dry-run requires a recipe"),
        (["m", "--task", "emotion", "--corpus", "c", "--only", "m"], "--only requires a recipe"),
        (
            ["m", "--task", "emotion", "--corpus", "c", "--corpus-folder", "a=b"],
            "--corpus-folder requires a recipe",
        ),
        (["--task", "emotion", "--corpus", "c"], "Missing argument 'MODEL'"),
        (["m", "--corpus", "c"], "Missing option '--task'"),
        (["m", "--task", "emotion"], "Missing option '--corpus'"),
        (["--recipe", "weather", "--dry-run"], "no recipe named 'weather'; known: deepfake, emotion, music-"),
        (["--recipe", "gone.yaml", "--dry-run"], "no recipe file at gone.yaml"),
        (["--recipe", "emotion", "--only", "org/x"], "recipe emotion has no model 'org/x'; it has superb/"),
        (["--recipe", "emotion", "--corpus-folder", "ravdess"], "expected NAME=FOLDER"),
        (["--recipe", "emotion", "--corpus-folder", "x=/tmp"], "recipe emotion has no corpus 'x'"),
        (["--recipe", "emotion", "--corpus-folder", "ravdess=/gone"], "there is no folder at /gone"),
    ],
)
def test_a_wrong_combination_of_options_is_one_line(tmp_path, capsys, arguments, line):
    assert cli.run(["extract", *arguments, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("goodenough: ")
    assert line in told
    assert not (tmp_path / "out").exists()


# ---- arithmetic, by hand -------------------------------------------------------------------------


def test_queries_of_a_search_scale_with_its_settings():
    assert cost.queries_of("minimal") == cost.Spent(24, 131, 220)
    # at single bins 7 partitions less of 10 splits of 14 queries: 980 less
    assert cost.queries_of("responsibility@bins", 3) == cost.Spent(439, 437, 468)
    assert cost.queries_of("responsibility", 10, 200) == cost.Spent(200, 200, 200)
    for atoms in ("", "@bands32", "@bands24", "@mel32"):
        assert cost.queries_of(f"responsibility{atoms}") == cost.ON_BANDS
    for atoms in ("bins", "bands33", "bands1000000", "blocks10ms", "tiles8x16"):
        assert cost.queries_of(f"responsibility@{atoms}") == cost.QUERIES["responsibility"]
    assert cost.queries_of("minimal@bands64") == cost.QUERIES["minimal"]
    # on bands 7 partitions less of (247 - 12) / 10 queries
    fewer = 7 * 23.5
    three = cost.queries_of("responsibility", 3)
    assert (three.low, three.likely, three.high) == pytest.approx((242 - fewer, 247 - fewer, 282 - fewer))


def test_the_queries_are_those_that_were_measured():
    results = ROOT / "tests/benchmarks/results"
    lines = json.loads(lzma.decompress((results / "extract.json.xz").read_bytes()))["pairs"]
    lines = [line for line in lines if line["by"] == "responsibility" and line["model"].startswith("starter")]
    lines += [
        line
        for line in json.loads((results / "minimal.json").read_text())
        if line["clips"] == "starter suite"
    ]
    for name, n in (("responsibility", 107), ("minimal", 77), ("gradient", 77)):
        found = sorted(line["queries"] for line in lines if line["by"] == name)
        low, high = np.percentile(found, (50, 90))
        spent = cost.QUERIES[name]
        assert len(found) == n
        assert (round(low), round(sum(found) / n), round(high)) == (spent.low, spent.likely, spent.high)
    lines = json.loads((ROOT / "tests/benchmarks/results/bands.json").read_text())
    found = sorted(line["queries"] for line in lines)
    assert {line["resolution"] for line in lines} == {DEFAULT_RESOLUTIONS["responsibility"]}
    assert len(found) == 10
    assert cost.Spent(found[4], round(sum(found) / 10), found[9]) == cost.ON_BANDS


def test_operations_of_a_query_by_hand():
    # 10 s of wav2vec2: 500 positions; 2 x 100e6 x 500 + 4.9e9 x 10 + 500^2 x 100e6 / (3 x 768)
    assert cost.flops_of("wav2vec2", 100, 10) == pytest.approx(1e11 + 4.9e10 + 1.0851e10, rel=1e-4)
    # Whisper computes on 30 s whatever it is given
    assert cost.flops_of("whisper", 637, 1) == cost.flops_of("whisper", 637, 30)
    assert cost.input_seconds("audio-spectrogram-transformer", 2) == 10.24
    assert cost.gpu_hours(30e12 * 3600 * 2) == pytest.approx(2)
    # 10 s at .075 ms, and .65 ms for each of 10.24 s of features: 7.406 ms
    assert cost.cpu_hours("audio-spectrogram-transformer", 10, 1000) == pytest.approx(7.406 / 3600)


def test_bytes_and_stimuli_by_hand():
    assert cost.signal_bytes(3, 16_000) == 192_000
    assert cost.mask_bytes(3, 16_000) == pytest.approx(24_001 * 0.027)
    # a signal, 3 swap, 4 matched, largest, complement; and 7 levels of the minimal one
    assert cost.stimuli_of(["minimal"]) == 1 + 3 + 4 + 1 + 1
    assert cost.stimuli_of(["responsibility", "minimal"]) == 10 + 10 + 7
    assert cost.judged_queries(4, 10, ["responsibility", "minimal"]) == 10 + 4 * 10 * 27
    assert cost.judged_queries(4, 10, ["responsibility", "minimal"], 3) == 10 + 4 * 10 * 27 * 3
    # levels only where a ranking is in the same domain: that of bands ranks bins, that of tiles does not
    assert cost.stimuli_of(["responsibility@tiles8x16", "minimal"]) == 10 + 10
    assert cost.stimuli_of(["responsibility@tiles8x16", "minimal@tiles4x4", "minimal"]) == 10 + 10 + 7 + 10
    assert cost.stimuli_of(["responsibility", "minimal", "minimal@bands64"]) == 10 + 2 * (10 + 7)


def test_the_stimuli_of_the_starter_suite_are_no_more_than_is_costed():
    from harness.dataset.suites import Suite
    from harness.starter.paths import embedded

    suite = Suite(embedded(), "embedded/starter")
    for folder in suite.verdicts():
        task = folder.name.split("@")[0]
        n = pq.read_metadata(folder / "verdicts.parquet").num_rows
        n_clips, n_references = len(suite.clips(task)), len(suite.references(task))
        families = ("responsibility", "minimal", "responsibility@tiles8x16")
        headline = cost.stimuli_of(["responsibility"])  # extracted twice, all else once
        most = cost.judged_queries(n_references, n_clips, families) + n_references * n_clips * headline
        assert 0.6 * most < n <= most + 1  # silence is asked once, degenerate signals not at all


def test_bytes_a_verdict_and_a_mask_are_those_of_the_starter_suite():
    from harness.dataset.paths import signals_path
    from harness.dataset.suites import Suite
    from harness.starter.paths import embedded

    suite = Suite(embedded(), "embedded/starter")
    n_bins = n_bytes = 0
    for task in suite.tasks:
        tables = [f / "verdicts.parquet" for f in suite.verdicts() if f.name.startswith(f"{task.name}@")]
        n_rows = sum(pq.read_metadata(path).num_rows for path in tables)
        size = sum(path.stat().st_size for path in tables)
        assert size / n_rows == pytest.approx(cost.VERDICT_BYTES[task.name], rel=0.1)
        for record in suite.references(task.name):
            path = suite.root / signals_path(task.name, record.model.slug)
            n_bytes += path.stat().st_size
            samples = pq.read_table(path, columns=["n_samples"])["n_samples"].to_pylist()
            n_bins += sum(n // 2 + 1 for n in samples)
    assert n_bytes / n_bins == pytest.approx(cost.MASK_BYTES_PER_BIN, rel=0.1)


def test_the_cost_of_a_recipe_by_hand(tmp_path):
    models = [
        EAR | {"parameters_m": 100.0},
        DRUM,
        EAR | {"source": "./mute", "needs": "label map"},
    ]
    searches = ["responsibility@bins", "minimal"]
    recipe, task = recipe_file.read(str(written(tmp_path, models=models, repetitions=3, searches=searches)))
    size = cost.Size(10, 10.0)
    mute = recipe.models[2].source
    found = cost.cost_of(recipe, task, {"studio": size}, {mute: "it waits"})
    ear, drum, waiting = found.references
    # `responsibility` at single bins, 7 partitions less of 10 splits of 14 queries, and `minimal`
    assert ear.queries == cost.Spent(10 * (439 + 24), 10 * (437 + 131), 10 * (468 + 220))
    assert ear.audio_hours == pytest.approx(5680 * 10 / 3600)
    assert ear.gpu_hours is not None
    assert ear.gpu_hours.likely == pytest.approx(5680 * 1.59851e11 / 30e12 / 3600, rel=1e-4)
    assert ear.audio_bytes == 10 * 2 * 640_000
    assert ear.judged_queries == 10 + 2 * 10 * 27
    assert drum.gpu_hours is None
    assert drum.queries == ear.queries
    assert (waiting.passed_over, waiting.queries) == ("it waits", None)
    assert found.total("queries") == 2 * 5680
    assert found.total("gpu_hours") == pytest.approx(ear.gpu_hours.likely)


def test_every_draw_costs_as_much_again(tmp_path):
    models = [EAR | {"parameters_m": 100.0}]
    one, three = (
        cost.cost_of(*recipe_file.read(str(written(tmp_path / str(n), models=models, draws=n))), sizes, {})
        for n, sizes in ((1, {"studio": cost.Size(10, 10.0)}), (3, {"studio": cost.Size(10, 10.0)}))
    )
    for field in ("queries", "gpu_hours", "audio_bytes", "mask_bytes", "audio_hours"):
        assert three.total(field) == pytest.approx(3 * one.total(field))
    assert one.total("judged_queries") == 10 + 10 * 27
    assert three.total("judged_queries") == 10 + 3 * 10 * 27


def test_masks_alone_are_costed_where_audio_may_not_be_kept(tmp_path):
    locked = CORPUS | {"licence": None, "redistributable": False, "masks_only_because": "Not stated."}
    recipe, task = recipe_file.read(str(written(tmp_path, corpora=[locked])))
    found = cost.cost_of(recipe, task, {"studio": cost.Size(10, 10.0)}, {})
    assert found.total("audio_bytes") == 0
    assert found.total("mask_bytes") == pytest.approx(2 * 20 * 80_001 * cost.MASK_BYTES_PER_BIN)


# ---- dry runs ------------------------------------------------------------------------------------

NO_NETWORK = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}


def test_a_dry_run_asks_no_network_and_writes_nothing(tmp_path):
    out, home = tmp_path / "out", tmp_path / "home"
    shown = said(
        *("extract", "--recipe", "deepfake", "--out", out, "--dry-run"), **NO_NETWORK, HF_HOME=str(home)
    )
    assert shown.code == 0, shown.err
    assert "WpythonW/ast-fakeaudio-detector" in shown.out
    assert "passed over, in-the-wild: unzip release_in_the_wild.zip" in shown.err
    told = said("extract", "--recipe", "deepfake", "--dry-run", "--json", **NO_NETWORK, HF_HOME=str(home))
    found = json.loads(told.out)
    by_model = {r["model"]: r for r in found["references"] if r["corpus"] == "voices"}
    assert by_model["WpythonW/ast-fakeaudio-detector"]["queries"]["likely"] == 600 * (247 + 131)
    assert by_model["Vansh180/deepfake-audio-wav2vec2"]["passed_over"] == "passed over"
    assert found["assumed"]["tflops_achieved"]["value"] == 30
    assert not out.exists()
    assert not home.exists()


def test_a_dry_run_counts_what_lies_in_a_folder(tmp_path, capsys):
    _make_corpus(tmp_path / "corpus", 6)
    assert cli.run(["extract", "--recipe", str(written(tmp_path, limit=4)), "--dry-run", "--json"]) == 0
    [ear, _] = json.loads(capsys.readouterr().out)["references"]
    assert (ear["clips"], ear["seconds"]) == (4, pytest.approx(3050 / 16_000, abs=0.004))


# ---- a recipe of local folders, run --------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus and three models: two that can be used, and one whose classes say nothing."""
    root = tmp_path_factory.mktemp("lab")
    _make_corpus(root / "corpus", 8)
    toy_models.save_model(root / "ear", "wav2vec2", NAMES, seed=0)
    toy_models.save_model(root / "drum", "hubert", NAMES, seed=1)
    toy_models.save_model(root / "mute", "wav2vec2", ("LABEL_0", "LABEL_1"), seed=2)
    models = [EAR, EAR | {"source": "./mute"}, DRUM]
    written(root, models=models)
    return root


def folder_state(root: Path) -> dict[str, Any]:
    """What a recipe leaves behind, without times."""
    manifest = from_json(Manifest, (root / "manifest.json").read_bytes())
    entries = sorted(root.glob("verdicts/*/*/*/entry.json"))
    found = [from_json(Entry, path.read_bytes()) for path in entries]
    return {
        "references": sorted(r.model.repo_id for r in manifest.references),
        "entries": {e.model.repo_id: (e.signals.sha256, e.verdicts_sha256, e.complete) for e in found},
        "known": [e.scorecard.known_answer for e in found],
    }


def test_a_recipe_fills_the_matrix_although_one_model_fails(lab, tmp_path, capsys):
    out = tmp_path / "out"
    command = ("extract", "--recipe", lab / "recipe.yaml", "--out", out)
    done = said(*command, **NO_NETWORK)
    assert done.code == 1, done.err
    assert "failed, " in done.err
    last = done.err.splitlines()[-1]
    assert last.startswith("goodenough: 1 of 3 failed, the others are done; the first, ")
    assert "the class name 'LABEL_0' does not say what it means" in last
    state = folder_state(out)
    assert state["references"] == ["local/drum", "local/ear"]
    assert len({signals for signals, _, _ in state["entries"].values()}) == 1
    assert state["known"] == [1.0, 1.0]
    # the same again does nothing twice, and what it left can be published
    words = [str(word) for word in command]
    assert cli.run([*words, "--only", "ear", "--only", "drum", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [r["state"] for r in told["references"]] == ["there", "there"]
    assert folder_state(out) == state
    assert cli.run(["publish", str(out)]) == 0


def test_a_recipe_says_of_which_atoms_signals_are_and_what_stands_in_for_the_rest(lab, tmp_path, capsys):
    recipe = written(
        lab / "tiles",
        models=[EAR | {"source": "../ear"}, DRUM | {"source": "../drum"}],
        corpora=[CORPUS | {"source": "../corpus"}],
        searches=["responsibility@tiles8x16", "minimal"],
        completion="noise:-40",
        robust=0.75,
        limit=4,
    )
    command = ["extract", "--recipe", str(recipe), "--out", str(tmp_path / "out")]
    assert cli.run(command) == 0
    manifest = from_json(Manifest, (tmp_path / "out/manifest.json").read_bytes())
    families = ["responsibility@tiles8x16+noise:-40", "minimal@bins+noise:-40"]
    assert manifest.headlines == {"emotion": families[0]}
    for record in manifest.references:
        assert [count.family for count in record.counts] == families
        assert all(" with noise:-40 robust to 0.75" in search for search in record.searches)
    entries = [
        from_json(Entry, path.read_bytes()) for path in (tmp_path / "out/verdicts").glob("*/*/*/entry.json")
    ]
    assert [e.scorecard.known_answer for e in entries] == [1.0, 1.0]
    assert {e.signals.headline for e in entries} == {families[0]}
    for entry in entries:
        assert [score.family for score in entry.scorecard.families] == families
    capsys.readouterr()
    assert cli.run([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [r["state"] for r in told["references"]] == ["there", "there"]


def test_another_recipe_is_not_continued_in_the_same_folder(lab, tmp_path, capsys):
    out = tmp_path / "out"
    recipe = written(
        lab / "one", models=[EAR | {"source": "../ear"}], corpora=[CORPUS | {"source": "../corpus"}]
    )
    assert cli.run(["extract", "--recipe", str(recipe), "--out", str(out)]) == 0
    before = (out / ".recipe.json").read_bytes()
    other = written(
        lab / "other",
        models=[EAR | {"source": "../ear"}],
        corpora=[CORPUS | {"source": "../corpus"}],
        limit=4,
    )
    capsys.readouterr()
    assert cli.run(["extract", "--recipe", str(other), "--out", str(out)]) == 2
    assert "was begun with this recipe with other content" in capsys.readouterr().err
    assert (out / ".recipe.json").read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    assert cli.run(["extract", "--recipe", str(recipe), "--out", str(tmp_path / "full")]) == 2
    assert "no recipe was begun in it" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "full").iterdir() if not p.name.startswith(".")] == ["notes.txt"]


def test_labels_of_a_recipe_are_taken_and_several_corpora_make_a_folder_each(lab, tmp_path):
    named = {"source": "../mute", "labels": {"LABEL_0": "angry", "LABEL_1": "sad"}, "labels_from": "The lab."}
    locked = {"licence": None, "redistributable": False, "masks_only_because": "Not stated."}
    _make_corpus(lab / "field", 4)
    (lab / "field/metadata.csv").write_text(
        "file_name,label\nc00.wav,Furious\nc01.wav,sad\nc02.wav,sad\nc03.wav,sad\n"
    )
    corpora = [
        CORPUS | {"source": "../corpus"},
        CORPUS | {"name": "field", "source": "../field", "labels": {"Furious": "angry"}} | locked,
    ]
    recipe = written(lab / "two", models=[EAR | named], corpora=corpora, limit=4)
    assert cli.run(["extract", "--recipe", str(recipe), "--out", str(tmp_path / "out")]) == 0
    folders = {name: tmp_path / "out" / name for name in ("studio", "field")}
    records = {
        name: from_json(Manifest, (folder / "manifest.json").read_bytes()).references[0]
        for name, folder in folders.items()
    }
    assert records["studio"].label_map.canonical == ("angry", "sad")
    assert records["studio"].label_map.source == "file"
    assert (records["studio"].corpus.licence, records["field"].corpus.licence) == ("cc-by-4.0", None)
    for name, has_audio in (("studio", True), ("field", False)):
        table = pq.read_table(folders[name] / "emotion/local__mute.parquet")
        assert [a is not None for a in table["audio"].to_pylist()] == [has_audio] * table.num_rows
        assert table.num_rows > 0
    assert set(pq.read_table(folders["field"] / "emotion/local__mute.parquet")["truth"].to_pylist()) == {
        "angry",
        "sad",
    }


MOMENTS = [
    "manifest.json",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (".emotion-*ear.journal", ".emotion-*drum.journal")
    ),
    pytest.param("verdicts/.answers/*/*/*", marks=pytest.mark.slow),
    pytest.param("verdicts/*/*/*/entry.json", marks=pytest.mark.slow),
]
"""What is there when the run is killed: the first reference, half of one, some answers, one entry."""


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in the process that is killed: another number of threads moves the last bit of a probability."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("there", MOMENTS)
def test_a_recipe_that_was_killed_is_continued_by_the_same_command(lab, tmp_path, there, one_thread):
    done = [tmp_path / name for name in ("undisturbed", "killed")]
    recipe = written(
        lab / "kill",
        models=[EAR | {"source": "../ear"}, DRUM | {"source": "../drum"}],
        corpora=[CORPUS | {"source": "../corpus"}],
    )
    command = ["extract", "--recipe", str(recipe), "--out"]
    assert cli.run([*command, str(done[0])]) == 0
    process, told = forking.start(forking.said, [[*command, str(done[1])]], environment_of())
    while not any(done[1].glob(there)) and process.is_alive():
        time.sleep(0.0005)
    process.kill()
    process.join()
    told.close()
    assert process.exitcode == -signal.SIGKILL
    assert cli.run([*command, str(done[1])]) == 0
    assert folder_state(done[1]) == folder_state(done[0])
    assert not list(done[1].glob(".emotion-*.journal"))


# ---- on a Hub ------------------------------------------------------------------------------------


def _calls_in(folder: Path) -> None:
    """A Hub dataset whose columns and class names are its own: `sound` beside `copy`, `kind`."""
    stored = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = datasets.Features({"copy": stored, "sound": stored, "kind": datasets.Value("string")})
    rng = np.random.default_rng(0)
    sounds = [(rng.integers(-9000, 9000, 1600) / 32_768).astype(np.float32) for _ in range(4)]
    files = [{"bytes": audio.encode_exact(x, 16_000)[0], "path": f"{i}.flac"} for i, x in enumerate(sounds)]
    kinds = ["machine", "real", "machine", None]
    columns = {"copy": files[:1] * 4, "sound": files, "kind": kinds}
    table = datasets.Dataset.from_dict(columns, features=features)
    for name in ("copy", "sound"):
        table = table.cast_column(name, datasets.Audio(decode=False))
    (folder / "data").mkdir(parents=True)
    table.to_parquet(folder / "data/test-00000-of-00001.parquet")
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")


def test_a_recipe_stays_with_the_commits_it_was_begun_with(tmp_path):
    lab = Lab(tmp_path, n_clips=4)
    _calls_in(tmp_path / "hub/datasets/lab/calls")
    toy_models.save_model(tmp_path / "hub/models/lab/spoof", "wav2vec2", ("fake", "real"), seed=4)
    columns = {"audio": "sound", "label": "kind", "labels": {"machine": "spoof"}}
    corpus = CORPUS | {"name": "calls", "source": "lab/calls", "revision": "main", "split": "test"} | columns
    models = [
        EAR | {"source": "lab/spoof", "revision": "main"},
        EAR | {"source": "lab/gone", "revision": "main"},
    ]
    recipe = written(tmp_path / "recipe", task="deepfake", corpora=[corpus], models=models)
    command = ("extract", "--recipe", recipe, "--out", tmp_path / "out")
    with lab.hub:
        commits = {
            "models": {"lab/spoof": lab.hub.commit("models/lab/spoof")},
            "corpora": {"calls": lab.hub.commit("datasets/lab/calls")},
        }
        [first] = lab.run(command)
        assert first.code == 1, first
        assert "no model lab/gone on the Hub" in first.err.splitlines()[-1]
        pins = json.loads((tmp_path / "out/.recipe.json").read_text())
        assert {name: pins[name] for name in commits} == commits
        # the Hub moves on
        toy_models.save_model(tmp_path / "hub/models/lab/spoof", "wav2vec2", ("fake", "real"), seed=5)
        (tmp_path / "hub/datasets/lab/calls/README.md").write_text("---\nlicense: mit\n---\n")
        assert lab.hub.commit("models/lab/spoof") != commits["models"]["lab/spoof"]
        assert lab.hub.commit("datasets/lab/calls") != commits["corpora"]["calls"]
        # and the model that was missing is there
        toy_models.save_model(tmp_path / "hub/models/lab/gone", "hubert", ("fake", "real"), seed=6)
        [again] = lab.run(command)
        assert again.code == 0, again
        assert "1 extracted, 1 there before, 0 passed over" in again.err
        late = {"lab/gone": lab.hub.commit("models/lab/gone")}
        assert json.loads((tmp_path / "out/.recipe.json").read_text()) == pins | {
            "models": pins["models"] | late
        }
    records = from_json(Manifest, (tmp_path / "out/manifest.json").read_bytes()).references
    found = {record.model.repo_id: record for record in records}
    assert found["lab/spoof"].model.revision == commits["models"]["lab/spoof"]
    assert {r.corpus.revision for r in records} == {commits["corpora"]["calls"]}
    clips = pq.read_table(tmp_path / "out/deepfake_clips/clips.parquet")
    assert clips["label"].to_pylist() == ["spoof", "bonafide", "spoof", None]
    # one verdict of each on what both found, none on what was there before
    entries = list((tmp_path / "out/verdicts").glob("*/*/*/entry.json"))
    assert len(entries) == len({from_json(Entry, e.read_bytes()).model.repo_id for e in entries}) == 2
    assert len({from_json(Entry, e.read_bytes()).signals.sha256 for e in entries}) == 1


def test_a_recipe_of_which_nothing_can_be_resolved_begins_nothing(tmp_path):
    done = said(
        *(
            "extract",
            "--recipe",
            "emotion",
            "--out",
            tmp_path / "out",
            "--only",
            "superb/hubert-base-superb-er",
        ),
        **NO_NETWORK,
        HF_HOME=str(tmp_path / "home"),
    )
    assert done.code == 2, done.err
    assert "the Hub cannot be reached" in done.err.splitlines()[-1]
    assert not (tmp_path / "out/.recipe.json").exists()
