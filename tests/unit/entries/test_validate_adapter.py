"""What an entry may state of an adapter, and every way in which it may not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.entries import store
from harness.entries.validate import validate_entry
from harness.entries.validate_adapter import MAX_CODE, MAX_PACKAGES, of_suite, refusal
from harness.schemas import Entry, from_json, to_json
from harness.tasks import TASKS
from tests.helpers.entries import ADAPTER, DETECTOR, by_adapter, make_entry, with_two_classes
from tests.helpers.families import HEADLINE

MADE = with_two_classes(
    *make_entry(
        task="deepfake",
        labels=("spoof", "bonafide"),
        n_clips=6,
        n_degenerate=1,
        acceptance=1.0,
        control_acceptance=1.0,
    )
)
HASH = "0" * 64


def problems(folder: Path) -> list[str]:
    return validate_entry(folder, tuple(TASKS.values()), strict_files=True)


def problems_of(tmp_path: Path, entry: Entry) -> list[str]:
    """Of the entry alone, without its verdicts."""
    folder = tmp_path / "submissions" / entry.path
    folder.mkdir(parents=True)
    (folder / store.ENTRY).write_text(to_json(entry))
    return [line for line in problems(folder) if not line.startswith(store.VERDICTS)]


@pytest.mark.parametrize("adapter", [ADAPTER, DETECTOR])
def test_a_sound_entry_by_an_adapter_has_no_problems(tmp_path: Path, adapter: Any) -> None:
    entry = by_adapter(MADE[0], adapter)
    folder = store.write(tmp_path, entry, MADE[1])
    assert problems(folder) == []
    assert store.read(folder).facts == entry.facts


def test_an_entry_from_before_there_were_adapters_is_of_a_head(tmp_path: Path) -> None:
    content = json.loads(to_json(MADE[0]))
    del content["facts"]["kind"], content["facts"]["adapter"]
    facts = from_json(Entry, json.dumps(content)).facts
    assert (facts.kind, facts.adapter) == ("head", None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "/etc/evil.py:Evil"}, "facts.adapter.name: '/etc/evil.py:Evil', expected file.py:Class"),
        (
            {"name": "../aasist.py:Aasist"},
            "facts.adapter.name: '../aasist.py:Aasist', expected file.py:Class",
        ),
        ({"name": "aasist.py"}, "facts.adapter.name: 'aasist.py', expected file.py:Class"),
        ({"name": "aasist.py:A.B"}, "facts.adapter.name: 'aasist.py:A.B', expected file.py:Class"),
        ({"name": "aasist.sh:Aasist"}, "facts.adapter.name: 'aasist.sh:Aasist', expected file.py:Class"),
        ({"name": ".py:Aasist"}, "facts.adapter.name: '.py:Aasist', expected file.py:Class"),
        ({"name": "aasist.py:Aasist\n"}, "facts.adapter.name: 'aasist.py:Aasist\\n', expected"),
        ({"code": {}}, "facts.adapter.code: '', expected 'aasist.py' among them"),
        ({"code": {"aasist.py": HASH, "a/b.py": HASH}}, "facts.adapter.code: 'a/b.py', expected the name of"),
        ({"code": {"aasist.py": HASH, "..": HASH}}, "facts.adapter.code: '..', expected the name of a file"),
        (
            {"code": {"aasist.py": HASH, "a\\b.py": HASH}},
            "facts.adapter.code: 'a\\\\b.py', expected the name",
        ),
        ({"code": {"aasist.py": "best"}}, "facts.adapter.code.aasist.py: 'best', expected 64 hex digits"),
        (
            {"code": {"aasist.py": HASH, **{f"m{i}.py": HASH for i in range(MAX_CODE)}}},
            f"facts.adapter.code: {MAX_CODE + 1}, expected at most {MAX_CODE}",
        ),
        ({"weights": {"a\u202eb": HASH}}, "facts.adapter.weights.a b: 'a\\u202eb', expected plain text"),
        ({"weights": {"w" * 121: HASH}}, "expected the name of a file, without a folder"),
        ({"weights": {"w.onnx": HASH[1:]}}, "facts.adapter.weights.w.onnx: '000"),
        ({"arguments": {"not one": "1"}}, "facts.adapter.arguments: 'not one', expected names of arguments"),
        ({"arguments": {"prompt": "<script>"}}, "facts.adapter.arguments.prompt: '<script>', expected plain"),
        ({"arguments": {"prompt": "x" * 201}}, "facts.adapter.arguments.prompt: 'xxx"),
        ({"arguments": {"prompt": "x\ny"}}, "facts.adapter.arguments.prompt: 'x\\ny', expected plain text"),
        ({"packages": {"../torch": "1"}}, "facts.adapter.packages: '../torch', expected names of packages"),
        (
            {"packages": {"torch": "the newest"}},
            "facts.adapter.packages.torch: 'the newest', expected a version",
        ),
        (
            {"packages": {f"p{i}": "1" for i in range(MAX_PACKAGES + 1)}},
            f"facts.adapter.packages: {MAX_PACKAGES + 1}, expected at most {MAX_PACKAGES}",
        ),
        ({"prompts_sha256": "the prompts"}, "facts.adapter.prompts_sha256: 'the prompts', expected 64 hex"),
        ({"threshold": None}, "facts.adapter: above, threshold_source alone, expected threshold, above and"),
        (
            {"above": None, "threshold_source": None},
            "facts.adapter: threshold alone, expected threshold, above",
        ),
        ({"threshold": 1e31}, "facts.adapter.threshold: 1e+31, expected at most 1e+30 in size"),
        ({"above": "fake"}, "facts.adapter.above: 'fake', expected a class of the label map"),
        ({"threshold_source": " "}, "facts.adapter.threshold_source: ' ', expected where it comes from"),
        ({"threshold_source": "a\nb"}, "facts.adapter.threshold_source: 'a\\nb', expected plain text"),
        (
            {"threshold_source": "equal error rate on the clips of this suite"},
            "names 'this suite', expected other clips than those that it is evaluated on",
        ),
        ({"threshold_source": "EER, toys/signals"}, "names 'toys/signals', expected other clips"),
    ],
)
def test_what_an_adapter_cannot_be_is_named(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    entry = by_adapter(MADE[0], dataclasses.replace(DETECTOR, **fields))
    lines = problems_of(tmp_path, entry)
    assert any(expected in line for line in lines), lines
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda e: facts(e, adapter=None), "facts.kind: 'adapter', expected head, or the adapter of"),
        (lambda e: facts(e, kind="head"), "facts.kind: 'head', expected another kind: it has an adapter"),
        (
            lambda e: facts(e, adapter=None, kind="head"),
            "facts.n_parameters: nothing, expected 0 to 1e15: it has no adapter",
        ),
        (lambda e: facts(e, remote_code=True), "facts.remote_code: True, expected false"),
        (lambda e: facts(e, n_parameters=-1), "facts.n_parameters: -1, expected 0 to 1e15"),
        (
            lambda e: facts(e, adapter=dataclasses.replace(ADAPTER, packages={"torch": "2.12.0"})),
            "model.revision: ",
        ),
        (
            lambda e: facts(e, adapter=dataclasses.replace(ADAPTER, arguments={"checkpoint": "other"})),
            "model.weights_sha256: ",
        ),
        (
            lambda e: dataclasses.replace(e, model=dataclasses.replace(e.model, repo_id="clova/aasist")),
            "model.repo_id: 'clova/aasist', expected local/ and a name: it has an adapter",
        ),
    ],
)
def test_an_entry_that_is_not_of_its_adapter_is_refused(
    tmp_path: Path, change: Callable[[Entry], Entry], expected: str
) -> None:
    lines = problems_of(tmp_path, change(by_adapter(MADE[0])))
    assert any(line.startswith(expected) for line in lines), lines


def facts(entry: Entry, **fields: Any) -> Entry:
    return dataclasses.replace(entry, facts=dataclasses.replace(entry.facts, **fields))


def test_one_score_has_two_classes(tmp_path: Path) -> None:
    entry = by_adapter(make_entry(n_clips=6)[0], dataclasses.replace(DETECTOR, above="Angry"))
    assert "facts.adapter.threshold: '5 classes', expected 2 classes, of one score" in problems_of(
        tmp_path, entry
    )


def test_an_unknown_kind_is_refused_when_it_is_read(tmp_path: Path) -> None:
    content = json.loads(to_json(by_adapter(MADE[0])))
    content["facts"]["kind"] = "oracle"
    with pytest.raises(ValueError, match=r"facts\.kind: Input should be 'head', 'zero-shot'"):
        from_json(Entry, json.dumps(content))


def test_a_threshold_from_a_corpus_of_the_suite_is_refused_against_the_suite() -> None:
    adapter = dataclasses.replace(DETECTOR, threshold_source="EER on Asterisk core sounds, all voices")
    (line,) = of_suite(by_adapter(MADE[0], adapter), ["asterisk-core-sounds"])
    assert "names 'asterisk-core-sounds'" in line
    assert of_suite(by_adapter(MADE[0], DETECTOR), ["asterisk-core-sounds", "org/ASVspoof-2019"]) == []
    assert of_suite(by_adapter(MADE[0]), ["asterisk-core-sounds"]) == []


def test_an_entry_whose_verdicts_show_a_tuned_threshold_is_refused(tmp_path: Path) -> None:
    entry, verdicts = with_two_classes(
        *make_entry(
            task="deepfake",
            labels=("spoof", "bonafide"),
            n_clips=60,
            n_degenerate=55,
            acceptance=1.0,
            control_acceptance=1.0,
            families=(HEADLINE,),
        )
    )
    assert problems(store.write(tmp_path / "honest", by_adapter(entry, DETECTOR), verdicts)) == []
    whole = [i for i, verdict in enumerate(verdicts) if verdict.stimulus == "whole"]
    is_above = np.array([verdicts[i].predicted == "bonafide" for i in whole])
    truth = np.array([verdicts[i].truth == "bonafide" for i in whole])
    margins = np.where(is_above, 1, -1) * np.random.default_rng(0).uniform(9, 12, len(whole))
    weights = np.where(truth, 1 / truth.sum(), 1 / (~truth).sum())
    margins[is_above] *= -(weights * margins)[~is_above].sum() / (weights * margins)[is_above].sum()
    labels = TASKS["deepfake"].labels
    for i, margin in zip(whole, margins, strict=True):
        p = {"bonafide": 1 / (1 + np.exp(-margin)), "spoof": 1 / (1 + np.exp(margin))}
        verdicts[i] = dataclasses.replace(verdicts[i], p=tuple(p[label] for label in labels))
    (line,) = problems(store.write(tmp_path / "tuned", by_adapter(entry, DETECTOR), verdicts))
    assert line.startswith("facts.adapter.threshold: the threshold 0.5173892 is the mean score of the clips")


def test_what_no_entry_could_hold_is_refused_before_the_model_is_evaluated() -> None:
    entry = by_adapter(MADE[0])
    ref, stated = entry.model, entry.facts
    assert refusal(ref, stated, entry.label_map.names, "toys/signals") is None
    assert refusal(MADE[0].model, MADE[0].facts, (), "toys/signals") is None
    prompt = dataclasses.replace(ADAPTER, arguments={"prompt": "<|audio|> what is it?"})
    line = refusal(ref, dataclasses.replace(stated, adapter=prompt), entry.label_map.names, "toys/signals")
    assert line is not None
    assert line.startswith("local/aasist: ")
