"""What every test stands on: Ctrl-C that works, caches of its own, and lines that do not depend on time."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

LONGEST = (
    *("fuzz/test_fuzz", "browser/test_every_page", "browser/test_documentation"),
    *("integration/test_docs_commands", "browser/test_app_in_a_browser", "unit/cluster/test_cluster"),
    *("browser/test_hostile_pages", "integration/test_verify", "unit/recipes/test_recipes"),
    *("unit/starter/test_build", "unit/starter/test_suite", "unit/leaderboard/app/test_space"),
    *("unit/leaderboard/test_command", "unit/evaluation/test_runner", "integration/test_loopback_hub"),
    *("integration/test_docs_commands", "integration/test_attacks", "integration/test_circle"),
    *("browser/test_browser", "browser/test_views"),
)
"""Files that take longest: first, so that no process is left with one of them when the others have ended."""

SAMPLED = (
    *("browser/", "integration/", "unit/cluster/", "unit/recipes/", "unit/starter/", "unit/leaderboard/app/"),
    *("unit/leaderboard/board/", "unit/leaderboard/test_command", "unit/test_containers"),
    *(
        "unit/cli/test_cached_evaluation",
        "unit/cli/test_check",
        "unit/cli/test_cli",
        "unit/cli/test_empty_tables",
    ),
    *("unit/dataset/test_hold_back", "unit/dataset/test_pairs", "unit/dataset/test_parquet"),
    *("unit/dataset/test_publish", "unit/dataset/test_suite_notes", "unit/leaderboard/test_suite_notes"),
    "unit/metrics/test_paired_evidence",
    *("unit/cli/test_several_models", "unit/cli/test_completion", "unit/entries/test_every_eval_ever"),
    *("unit/entries/test_validate", "unit/evaluation/test_answer_cache", "unit/evaluation/test_runner"),
    *("unit/extract/test_invariance", "unit/extract/test_runner", "unit/extract/test_sets"),
    *("unit/metrics/test_scorecard", "unit/metrics/test_study", "unit/submit/test_replay"),
    *("unit/models/test_classifiers", "unit/models/test_loading", "unit/models/test_same_logits"),
    *("conventions/test_submissions", "test_renamed_commands"),
)
"""Of each file of these `make test` runs a twelfth, rounded up or down by lot, the same on every machine."""
ONE_IN = 12
WHOLE = (
    *("integration/test_before_the_move", "integration/test_notebooks", "integration/test_docs_commands"),
    *("browser/test_documentation", "integration/test_adapters", "integration/test_shipped_adapters"),
)
"""Files of these that run as a whole: the numbers that must not change, the documentation, and adapters."""


def name_of(item: pytest.Item) -> str:
    """Path of its file below tests/, without the suffix."""
    return item.path.relative_to(Path(__file__).parent).with_suffix("").as_posix()


def pytest_configure(config: pytest.Config) -> None:
    """No example has to be fast: how busy this machine is says nothing of the code.

    Without the slow checks hypothesis tries fewer examples, where a test names no number of its own.
    """
    any_time = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
    hypothesis.settings.register_profile("full", **any_time)
    hypothesis.settings.register_profile("sample", max_examples=25, **any_time)
    hypothesis.settings.load_profile("sample" if config.getoption("markexpr") == "not slow" else "full")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with LONGEST; all else stays in its order. Of SAMPLED all but a seeded sample count as slow."""
    order = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(name_of(item), len(LONGEST)))
    quick: dict[str, list[pytest.Item]] = {}
    for item in items:
        is_sampled = name_of(item).startswith(SAMPLED) and name_of(item) not in WHOLE
        if is_sampled and not item.get_closest_marker("slow"):
            quick.setdefault(name_of(item), []).append(item)
    for name, tests in quick.items():
        rng = random.Random(name)
        sample = rng.sample(tests, int(len(tests) / ONE_IN + rng.random()))
        for item in tests:
            if item not in sample:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """A process started in the background ignores Ctrl-C, and so would those it starts; here they do not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope="session")
def no_lines_of_progress() -> Iterator[None]:
    """What a command says does not depend on how busy this machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.progress.SECONDS", 3600.0)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_columns() -> Iterator[None]:
    """Nor on the terminal that the tests were started on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test finds, or leaves, anything in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOODENOUGH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
