"""Goodenough: which parts of a sound audio classifiers need, and whether they agree.

    import goodenough as ge

    suite = ge.load_suite()                               # the starter suite; a folder; "org/name@revision"
    model = ge.load_model("superb/hubert-large-superb-er")
    result = ge.evaluate(model, suite, task="emotion")    # or a Hub id in place of the model
    result.lift                                           # +12.2 pp [+0.6, +23.4], n = 155
    result.to_frame(), result.verdicts                    # pandas
    result.save("results/")                               # entry.json, verdicts.parquet, report.html
    ge.transfer_matrix(suite, "emotion", extra=[result])  # pandas; the next line draws it
    ge.plot_matrix(suite, "emotion", extra=[result])
    signal = suite.signals("emotion", reference="starter-emotion-ast")[0]
    signal.play(), signal.plot()
    ge.extract(model, sound, sample_rate_hz=16_000)       # one clip -> its signal
    ge.study(suite, "emotion").to_frame("flat_earthers")  # pandas

Importing this imports nothing heavy: each name is opened when it is first used. The command line does the
same and more: `goodenough --help`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api.models import extract as extract
    from harness.api.models import load_model as load_model
    from harness.api.models import starter_models as starter_models
    from harness.api.results import Result as Result
    from harness.api.results import evaluate as evaluate
    from harness.api.results import plot_matrix as plot_matrix
    from harness.api.results import transfer_matrix as transfer_matrix
    from harness.api.signals import Picture as Picture
    from harness.api.signals import Player as Player
    from harness.api.signals import Signal as Signal
    from harness.api.study import StudyResult as StudyResult
    from harness.api.study import study as study
    from harness.api.suite import Suite as Suite
    from harness.api.suite import load_suite as load_suite
    from harness.errors import GoodenoughError as GoodenoughError
    from harness.models.classifiers import Classifier as Classifier
    from harness.schemas import Entry as Entry
    from harness.types import Estimate as Estimate
    from harness.types import SufficientSignal as SufficientSignal

_MODULES = {
    "harness.api.signals": ("Picture", "Player", "Signal"),
    "harness.api.suite": ("Suite", "load_suite"),
    "harness.api.models": ("load_model", "starter_models", "extract"),
    "harness.api.results": ("Result", "evaluate", "transfer_matrix", "plot_matrix"),
    "harness.api.study": ("StudyResult", "study"),
    "harness.errors": ("GoodenoughError",),
    "harness.models.classifiers": ("Classifier",),
    "harness.schemas": ("Entry",),
    "harness.types": ("Estimate", "SufficientSignal"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted([*_MODULE_OF, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("goodenough")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'goodenough' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return list(__all__)


if __name__ == "__main__":
    from harness.cli import main

    main()
