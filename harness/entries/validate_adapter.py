"""Checks what an entry states of the adapter through which its model was reached.

Nothing here looks for the adapter, let alone imports it: an entry names files and never where they lie.

A problem is one line, as in `validate_facts`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from harness.entries.untrusted_files import Rule, rule_problems, text_problems
from harness.entries.untrusted_text import excerpt
from harness.metrics import threshold
from harness.model_facts import AdapterFacts, Kind, ModelFacts
from harness.plurals import plural
from harness.schemas import Entry
from harness.types import ModelRef

if TYPE_CHECKING:
    import pandas as pd

    from harness.tasks import Task

MAX_CODE = 50
"""Files of code."""
MAX_WEIGHTS = 500
"""Files of weights: large models lie in many."""
MAX_ARGUMENTS = 50
MAX_PACKAGES = 300
MAX_TEXT = 200
"""Characters of a text of an entry."""
MAX_THRESHOLD = 1e30
"""Largest size of a threshold; logits are float32."""

_FILE = re.compile(r"(?!\.{1,2}\Z|\s)[^/\\:]{1,120}(?<!\s)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_PACKAGE_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,63}")

_FILE_WHAT = "the name of a file, without a folder"


def validate_adapter(model: ModelRef, facts: ModelFacts, class_names: Sequence[str], suite: str) -> list[str]:
    """What is wrong with the kind and the adapter of a model.

    It needs no entry, so that a model can be refused before it is evaluated.

    Args:
        model: the model, by which its adapter must be known.
        facts: of the model.
        class_names: classes of the model, by index.
        suite: repo_id of the suite that it is evaluated on.
    """
    adapter = facts.adapter
    rules: list[Rule] = [
        ("facts.kind", facts.kind, facts.kind in get_args(Kind), f"one of {', '.join(get_args(Kind))}"),
        (
            "facts.kind",
            facts.kind,
            (facts.kind == "head") == (adapter is None),
            "head, or the adapter of another kind" if adapter is None else "another kind: it has an adapter",
        ),
    ]
    if adapter is None:
        stated = facts.n_parameters is not None
        rules.append(("facts.n_parameters", facts.n_parameters, stated, "0 to 1e15: it has no adapter"))
        return rule_problems(rules)
    revision, weights = adapter.revision, adapter.weights_sha256
    is_local = model.repo_id.startswith("local/")
    rules += [
        ("model.repo_id", model.repo_id, is_local, "local/ and a name: it has an adapter"),
        ("model.revision", model.revision, model.revision == revision, f"{revision}, that of its adapter"),
        (
            *("model.weights_sha256", model.weights_sha256, model.weights_sha256 == weights),
            f"{weights}, that of its adapter",
        ),
        (
            *("facts.remote_code", facts.remote_code, not facts.remote_code),
            "false: an adapter is code of its user",
        ),
    ]
    return [*rule_problems([*rules, *_content(adapter)]), *_threshold(adapter, class_names, suite)]


def refusal(model: ModelRef, facts: ModelFacts, class_names: Sequence[str], suite: str) -> str | None:
    """Why no entry by an adapter could be valid, in a line; to be asked before it is evaluated."""
    if facts.adapter is None:
        return None
    texts = text_problems(dataclasses.asdict(facts), MAX_TEXT)
    problems = [*validate_adapter(model, facts, class_names, suite), *(f"facts.{line}" for line in texts)]
    return f"{model.repo_id}: {problems[0]}" if problems else None


def of_suite(entry: Entry, corpora: Sequence[str]) -> list[str]:
    """Whether the threshold comes from a corpus of the suite, by the words of its author."""
    source = None if entry.facts.adapter is None else entry.facts.adapter.threshold_source
    return [] if source is None else _source(source, entry.signals.repo_id, corpora)


def of_verdicts(entry: Entry, task: Task, verdicts: pd.DataFrame) -> list[str]:
    """Whether the threshold was tuned on the clips of the suite, as far as sound verdicts show it."""
    if entry.facts.adapter is None:
        return []
    line = threshold.of_verdicts(verdicts, task.labels, entry.label_map, entry.facts.adapter)
    return [] if line is None else [f"facts.adapter.threshold: {line}"]


def _content(adapter: AdapterFacts) -> Iterator[Rule]:
    file, _, class_name = adapter.name.partition(":")
    named = (
        file.endswith(".py") and file != ".py" and bool(_FILE.fullmatch(file)) and class_name.isidentifier()
    )
    yield "facts.adapter.name", adapter.name, named, "file.py:Class, without a folder"
    yield "facts.adapter.code", ", ".join(adapter.code), file in adapter.code, f"{excerpt(file)} among them"
    for name, most in (
        *(("code", MAX_CODE), ("weights", MAX_WEIGHTS)),
        *(("arguments", MAX_ARGUMENTS), ("packages", MAX_PACKAGES)),
    ):
        n = len(getattr(adapter, name))
        yield f"facts.adapter.{name}", n, n <= most, f"at most {most}"
    yield from _files("code", adapter.code)
    yield from _files("weights", adapter.weights)
    for name in list(adapter.arguments)[:MAX_ARGUMENTS]:
        yield "facts.adapter.arguments", name, name.isidentifier(), "names of arguments"
    for name, version in list(adapter.packages.items())[:MAX_PACKAGES]:
        yield "facts.adapter.packages", name, bool(_PACKAGE.fullmatch(name)), "names of packages"
        is_version = bool(_PACKAGE_VERSION.fullmatch(version))
        yield f"facts.adapter.packages.{name}", version, is_version, "a version such as 2.10.0"
    prompts = adapter.prompts_sha256
    is_hash = prompts is None or bool(_SHA256.fullmatch(prompts))
    yield "facts.adapter.prompts_sha256", prompts, is_hash, "64 hex digits (a sha256), or nothing"


def _files(field: str, files: Mapping[str, str]) -> Iterator[Rule]:
    for name, sha256 in list(files.items())[:MAX_WEIGHTS]:
        yield f"facts.adapter.{field}", name, bool(_FILE.fullmatch(name)), _FILE_WHAT
        is_hash = bool(_SHA256.fullmatch(sha256))
        yield f"facts.adapter.{field}.{name}", sha256, is_hash, "64 hex digits (a sha256)"


def _threshold(adapter: AdapterFacts, class_names: Sequence[str], suite: str) -> list[str]:
    values: tuple[Any, ...] = (adapter.threshold, adapter.above, adapter.threshold_source)
    if values == (None, None, None):
        return []
    if adapter.threshold is None or adapter.above is None or adapter.threshold_source is None:
        stated = ", ".join(
            name
            for name, value in zip(("threshold", "above", "threshold_source"), values, strict=True)
            if value is not None
        )
        return [f"facts.adapter: {stated} alone, expected threshold, above and threshold_source, or none"]
    source = adapter.threshold_source
    n = len(class_names)
    problems = rule_problems(
        [
            (
                *("facts.adapter.threshold", adapter.threshold, abs(adapter.threshold) <= MAX_THRESHOLD),
                f"at most {MAX_THRESHOLD:g} in size",
            ),
            ("facts.adapter.above", adapter.above, adapter.above in class_names, "a class of the label map"),
            ("facts.adapter.threshold", plural(n, "class"), n == 2, "2 classes, of one score"),
            (
                "facts.adapter.threshold_source",
                source,
                bool(source.strip()),
                "where it comes from, in a line",
            ),
        ]
    )
    return [*problems, *_source(source, suite, ())]


def _source(source: str, suite: str, corpora: Sequence[str]) -> list[str]:
    name = threshold.names_the_suite(source, suite, corpora)
    if name is None:
        return []
    return [
        f"facts.adapter.threshold_source: {excerpt(source, 120)} names {excerpt(name)}, expected other clips"
        " than those that it is evaluated on, as in 'equal error rate on ASVspoof 2019 LA dev'"
    ]
