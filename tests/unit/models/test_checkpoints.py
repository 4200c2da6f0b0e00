"""Pinning a model: what a folder is, what the Hub says, and each way it can go wrong in one line."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadModel
from harness.models.checkpoints import Checkpoint, resolve
from tests.helpers.hub import LoopbackHub
from tests.helpers.repository import ROOT

PARTS = {"config.json": b'{"a": 1}', "preprocessor_config.json": b"{}", "model.safetensors": b"weights"}


def folder_of(folder: Path, parts: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        (folder / name).write_bytes(content)
    return folder


def refusal(model: str | Path, revision: str | None = None) -> str:
    with pytest.raises(BadModel) as caught:
        resolve(str(model), revision)
    line = str(caught.value)
    assert "\n" not in line
    return line


# --- folders


def test_a_folder_is_what_is_in_its_files(tmp_path: Path) -> None:
    found = resolve(str(folder_of(tmp_path / "my model!", PARTS)))
    digest = {name: hashlib.sha256(content).hexdigest() for name, content in PARTS.items()}
    order = ("model.safetensors", "config.json", "preprocessor_config.json")
    lines = "\n".join(f"{digest[name]}  {name}" for name in order)
    assert found.ref.repo_id == "local/my-model"
    assert found.ref.weights_sha256 == digest["model.safetensors"]
    assert found.ref.revision == hashlib.sha256(lines.encode()).hexdigest()
    assert found.folder == tmp_path / "my model!"
    assert found.licence is None


def test_a_copy_under_another_name_has_the_same_revision(tmp_path: Path) -> None:
    a, b = (resolve(str(folder_of(tmp_path / name, PARTS))).ref for name in "ab")
    assert (a.revision, a.weights_sha256) == (b.revision, b.weights_sha256)
    assert (a.repo_id, b.repo_id) == ("local/a", "local/b")


@pytest.mark.parametrize("name", PARTS)
def test_a_change_in_any_file_is_another_revision(tmp_path: Path, name: str) -> None:
    before = resolve(str(folder_of(tmp_path, PARTS))).ref
    after = resolve(str(folder_of(tmp_path, {name: b'{"b": 2}'}))).ref
    assert before.revision != after.revision
    assert (before.weights_sha256 == after.weights_sha256) == (name != "model.safetensors")


def test_files_the_model_is_not_made_of_leave_the_revision_alone(tmp_path: Path) -> None:
    before = resolve(str(folder_of(tmp_path, PARTS))).ref
    folder_of(tmp_path, {"README.md": b"hello", "training_args.bin": b"x", "notes.safetensors": b"y"})
    assert resolve(str(tmp_path)).ref == before


def sharded(folder: Path, shards: dict[str, bytes], placement: Any) -> Path:
    parts = {name: content for name, content in PARTS.items() if name != "model.safetensors"}
    index = json.dumps({"weight_map": placement}).encode()
    return folder_of(folder, {**parts, **shards, "model.safetensors.index.json": index})


def test_the_weights_of_a_sharded_model_are_its_shards_in_order(tmp_path: Path) -> None:
    shards = {"model-2.safetensors": b"two", "model-1.safetensors": b"one"}
    found = resolve(str(sharded(tmp_path, shards, {"x": "model-2.safetensors", "y": "model-1.safetensors"})))
    assert found.ref.weights_sha256 == hashlib.sha256(b"onetwo").hexdigest()
    moved = sharded(tmp_path, shards, {"y": "model-2.safetensors", "x": "model-1.safetensors"})
    assert resolve(str(moved)).ref.revision != found.ref.revision


@pytest.mark.parametrize(
    ("placement", "line"),
    [
        ({"x": "model-3.safetensors"}, "names model-3.safetensors, which is not there"),
        ({"x": "../secret.safetensors"}, "names '../secret.safetensors'"),
        ({"x": "model.bin"}, "names 'model.bin'"),
        ({}, "has no weight_map"),
        ([], "has no weight_map"),
    ],
)
def test_an_index_that_leads_nowhere_is_refused(tmp_path: Path, placement: Any, line: str) -> None:
    assert line in refusal(sharded(tmp_path, {}, placement))


def test_the_dot_is_the_folder_one_stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder_of(tmp_path / "here", PARTS))
    assert resolve(".").ref.repo_id == "local/here"


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n# Model", "mit"),
        ("---\r\nlicense: apache-2.0\r\n---\r\n", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: openrail\n---\n", "openrail"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: [mit, cc0-1.0]\n---\n", "mit, cc0-1.0"),
        ("---\nlicense:\n---\n", None),
        ("---\njust text\n---\n", None),
        ("# no head\nlicense: mit\n", None),
    ],
)
def test_the_licence_is_what_the_model_card_states(tmp_path: Path, card: str, licence: str | None) -> None:
    folder_of(tmp_path, {**PARTS, "README.md": card.encode()})
    assert resolve(str(tmp_path)).licence == licence


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ("datasets:\n- org/speech\n- superb\n- org/speech", ("org/speech", "superb")),
        ("datasets: org/speech", ("org/speech",)),
        ("datasets: [1, null, {a: b}, 'two words', '<b>', fine]", ("fine",)),
        ("datasets: []", None),
        ("datasets: {a: b}", None),
        ("license: mit", None),
        (f"datasets: {[f'org/{i}' for i in range(900)]}", tuple(f"org/{i}" for i in range(50))),
    ],
)
def test_what_it_was_trained_on_is_what_the_model_card_names(
    tmp_path: Path, head: str, named: tuple[str, ...] | None
) -> None:
    folder_of(tmp_path, {**PARTS, "README.md": f"---\n{head}\n---\n".encode()})
    assert resolve(str(tmp_path)).trained_on == named


@pytest.mark.parametrize(
    ("head", "named"),
    [
        ("base_model: org/base", ("org/base",)),
        ("base_model:\n- org/one\n- org/two\n- org/one", ("org/one", "org/two")),
        ("base_model: [1, null, {a: b}, 'two words', '<b>', \"a\\u202eb\", fine]", ("fine",)),
        ("base_model: []", None),
        ("base_model: {a: b}", None),
        (f"base_model: {'x' * 101}", None),
        ("license: mit", None),
        (f"base_model: {[f'org/{i}' for i in range(900)]}", tuple(f"org/{i}" for i in range(20))),
    ],
)
def test_what_it_was_made_from_is_what_the_model_card_names(
    tmp_path: Path, head: str, named: tuple[str, ...] | None
) -> None:
    folder_of(tmp_path, {**PARTS, "README.md": f"---\n{head}\n---\n".encode()})
    assert resolve(str(tmp_path)).base_models == named


def without(name: str, **more: bytes) -> dict[str, bytes]:
    return {key: content for key, content in PARTS.items() if key != name} | more


def test_a_model_without_config_is_refused(tmp_path: Path) -> None:
    assert "has no config.json" in refusal(folder_of(tmp_path, without("config.json")))


def test_a_folder_of_models_is_told_apart(tmp_path: Path) -> None:
    folder_of(tmp_path / "one", PARTS)
    assert "is it a folder of models? give one of them" in refusal(tmp_path)


def test_a_model_without_feature_extractor_is_refused_with_the_line_that_makes_it(tmp_path: Path) -> None:
    line = refusal(folder_of(tmp_path, without("preprocessor_config.json")))
    assert "has no preprocessor_config.json" in line
    assert "AutoFeatureExtractor.from_pretrained(base).save_pretrained(folder)" in line


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "pytorch_model-00001-of-00002.bin"])
def test_pickled_weights_are_refused_with_the_way_to_convert_them(tmp_path: Path, name: str) -> None:
    line = refusal(folder_of(tmp_path, {**without("model.safetensors"), name: b"x", "optimizer.pt": b"x"}))
    assert f"has its weights in {name}, a pickle" in line
    assert "model.save_pretrained(folder)" in line


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, {**without("model.safetensors"), "training_args.bin": b"x"})
    assert "has no weights" in refusal(tmp_path)


def test_an_adapter_is_refused_with_the_way_to_merge_it(tmp_path: Path) -> None:
    parts = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}
    assert "merge_and_unload" in refusal(folder_of(tmp_path, parts))


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize(
    ("content", "line"), [(b"{", "readable JSON"), (b"\xff", "readable JSON"), (b"[]", "found list")]
)
def test_json_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes, line: str) -> None:
    found = refusal(folder_of(tmp_path, {**PARTS, name: content}))
    assert name in found
    assert line in found


def test_a_folder_takes_no_revision(tmp_path: Path) -> None:
    assert "leave --revision out" in refusal(folder_of(tmp_path, PARTS), "main")


def test_a_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    assert "give the folder that holds" in refusal(folder_of(tmp_path, PARTS) / "config.json")


@pytest.mark.parametrize("model", ["./missing", "/missing", "~/missing-model", "a/b/c", "missing/", "a\\b"])
def test_a_folder_that_is_not_there_is_not_looked_up_on_the_hub(model: str) -> None:
    assert f"no folder at {model}" in refusal(model)


def test_an_empty_name_is_not_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder_of(tmp_path, PARTS))
    assert "no model given" in refusal("")


def test_an_address_is_refused_with_the_form_of_an_id() -> None:
    assert "as in org/name" in refusal("https://huggingface.co/org/name")


@pytest.mark.parametrize("model", ["org/na me", "a--b/c", "org/..", "org/name.git"])
def test_what_cannot_be_a_hub_id_is_refused(model: str) -> None:
    assert "neither a folder here nor a Hub id" in refusal(model)


# --- the Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    card = {"README.md": b"---\nlicense: mit\n---\n"}
    folder_of(tmp_path / "models/org/toy", {**PARTS, **card, "tf_model.h5": b"never fetched"})
    folder_of(tmp_path / "models/org/toy/checkpoint-9", PARTS)
    with LoopbackHub(tmp_path) as hub:
        yield hub


ASK = """
import json, sys
from harness.models.checkpoints import resolve
from harness.errors import BadModel
for model, revision in json.loads(sys.argv[1]):
    try:
        found = resolve(model, revision)
        files = sorted(p.name for p in found.folder.iterdir())
        ref = found.ref
        print(json.dumps([ref.repo_id, ref.revision, ref.weights_sha256, found.licence, files]))
    except BadModel as refusal:
        print(json.dumps(str(refusal)))
"""


def ask(hub: LoopbackHub, *questions: tuple[str, str | None], **variables: str) -> list[Any]:
    """What `resolve` says in a process that knows this Hub and no other."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASK, json.dumps(questions)],
        env=hub.environment(hub.root / "cache") | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_model_of_the_hub_is_pinned_to_a_commit_and_only_its_files_are_fetched(hub: LoopbackHub) -> None:
    commit = hub.commit("models/org/toy")
    by_branch, by_commit = ask(hub, ("org/toy", None), ("org/toy", commit))
    weights = hashlib.sha256(b"weights").hexdigest()
    assert by_branch == ["org/toy", commit, weights, "mit", sorted([*PARTS, "README.md"])]
    assert by_commit == by_branch
    fetched = [request for request in hub.requests if request.startswith("GET /org/toy/resolve/")]
    assert sorted(request.split("/", 5)[-1] for request in fetched) == sorted([*PARTS, "README.md"])
    assert all(commit in request for request in fetched)


def test_settings_in_a_processor_config_are_fetched_and_hashed(hub: LoopbackHub) -> None:
    processor = {"processor_config.json": b'{"feature_extractor": {"sampling_rate": 16000}}'}
    folder_of(hub.root / "models/org/both", {**PARTS, **processor})
    folder_of(hub.root / "models/org/alone", without("preprocessor_config.json", **processor))
    folder_of(
        hub.root / "models/org/empty", without("preprocessor_config.json", **{"processor_config.json": b"{}"})
    )
    both, alone, empty = ask(hub, ("org/both", None), ("org/alone", None), ("org/empty", None))
    assert both[-1] == sorted([*PARTS, "processor_config.json"])
    assert alone[-1] == ["config.json", "model.safetensors", "processor_config.json"]
    assert "no feature_extractor in its processor_config.json" in empty


def test_what_the_hub_refuses_is_one_line_each(hub: LoopbackHub) -> None:
    folder_of(hub.root / "models/org/gated", PARTS)
    hub.gated.add("models/org/gated")
    folder_of(hub.root / "models/org/pickled", without("model.safetensors", **{"pytorch_model.bin": b"x"}))
    missing, tag, commit, gated, pickled = ask(
        hub,
        ("org/missing", None),
        ("org/toy", "v9"),
        ("org/toy", "0" * 40),
        ("org/gated", None),
        ("org/pickled", None),
    )
    assert "no model org/missing on the Hub, or it is private" in missing
    assert "org/toy has no revision 'v9'" in tag
    assert f"org/toy has no revision '{'0' * 40}'" in commit
    assert "org/gated is gated" in gated
    assert "pytorch_model.bin, a pickle" in pickled
    fetched = [request for request in hub.requests if request.startswith("GET /org/pickled/resolve")]
    assert all(request.endswith("/config.json") for request in fetched), fetched


def test_the_day_of_a_model_and_of_its_commit_are_those_that_the_hub_says(hub: LoopbackHub) -> None:
    code = (
        "from harness.models.checkpoints import committed_at, resolve; model = resolve('org/toy');"
        " print(model.released, committed_at(model), sep=', ')"
    )
    said = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=hub.environment(hub.root / "cache") | variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for variables in ({}, {"HF_HUB_OFFLINE": "1"})
    ]
    assert re.fullmatch(r"2\d{3}-\d\d-\d\d, 2026-01-01 \d\d:\d\d:\d\d\+00:00", said[0])
    assert said[1] == "None, None"  # nobody to ask


def test_without_a_network_the_snapshot_in_the_cache_is_used(hub: LoopbackHub) -> None:
    commit = hub.commit("models/org/toy")
    [online] = ask(hub, ("org/toy", None))
    n_requests = len(hub.requests)
    branch, pinned, missing = ask(
        hub, ("org/toy", None), ("org/toy", commit), ("org/else", None), HF_HUB_OFFLINE="1"
    )
    assert branch == pinned == online
    assert "the Hub cannot be reached while HF_HUB_OFFLINE is set" in missing
    assert "of model org/else is not in the local cache" in missing
    assert len(hub.requests) == n_requests


def test_a_hub_that_is_down_is_told_from_a_model_that_is_not_there(hub: LoopbackHub) -> None:
    [line] = ask(hub, ("org/toy", "main"), HF_ENDPOINT="http://127.0.0.1:9")
    assert "the Hub did not answer for model org/toy@main (ConnectError: " in line
    assert "the same command again goes on" in line


def test_a_checkpoint_is_frozen(tmp_path: Path) -> None:
    found: Checkpoint = resolve(str(folder_of(tmp_path, PARTS)))
    with pytest.raises(AttributeError):
        found.licence = "mit"  # type: ignore[misc]
