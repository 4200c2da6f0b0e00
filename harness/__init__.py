"""goodenough as a library: the public names, each opened when it is first used.

    from harness import evaluate, harmonise, load_model, load_signals

Importing this package imports nothing heavy; `load_model` is what brings torch in.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.dataset.corpora import open_corpus
    from harness.dataset.suites import load as load_signals
    from harness.entries.validate import validate_entry
    from harness.errors import GoodenoughError
    from harness.evaluation.runner import evaluate
    from harness.extract import SEARCHES
    from harness.extract.build_reference import add as add_reference
    from harness.labels import harmonise
    from harness.metrics.scorecard import summarise
    from harness.models.classifiers import load as load_model
    from harness.schemas import Entry, Scorecard, from_json, to_json
    from harness.tasks import TASKS
    from harness.tasks import find as find_task
    from harness.types import Estimate

_EXPORTS = {
    "Entry": "harness.schemas:Entry",
    "Estimate": "harness.types:Estimate",
    "GoodenoughError": "harness.errors:GoodenoughError",
    "SEARCHES": "harness.extract:SEARCHES",
    "Scorecard": "harness.schemas:Scorecard",
    "TASKS": "harness.tasks:TASKS",
    "add_reference": "harness.extract.build_reference:add",
    "evaluate": "harness.evaluation.runner:evaluate",
    "find_task": "harness.tasks:find",
    "from_json": "harness.schemas:from_json",
    "harmonise": "harness.labels:harmonise",
    "load_model": "harness.models.classifiers:load",
    "load_signals": "harness.dataset.suites:load",
    "open_corpus": "harness.dataset.corpora:open_corpus",
    "validate_entry": "harness.entries.validate:validate_entry",
    "summarise": "harness.metrics.scorecard:summarise",
    "to_json": "harness.schemas:to_json",
}

__all__ = [
    "SEARCHES",
    "TASKS",
    "Entry",
    "Estimate",
    "GoodenoughError",
    "Scorecard",
    "add_reference",
    "evaluate",
    "find_task",
    "from_json",
    "harmonise",
    "load_model",
    "load_signals",
    "open_corpus",
    "summarise",
    "to_json",
    "validate_entry",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    module, attribute = _EXPORTS[name].split(":")
    return getattr(import_module(module), attribute)
