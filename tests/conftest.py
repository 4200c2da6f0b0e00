"""What every test stands on: Ctrl-C that works, caches of its own, and lines that do not depend on time."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

LONGEST = (
    *(
        "fuzz/test_fuzz",
        "browser/test_every_page",
        "browser/test_app_in_a_browser",
        "unit/cluster/test_cluster",
    ),
    *("unit/cluster/test_cluster", "browser/test_hostile_pages", "integration/test_verify"),
    "unit/recipes/test_recipes",
    *("unit/starter/test_build", "unit/starter/test_suite", "unit/leaderboard/app/test_space"),
    *("unit/leaderboard/test_command", "unit/evaluation/test_runner", "integration/test_loopback_hub"),
    *("integration/test_attacks", "integration/test_circle", "browser/test_browser", "browser/test_views"),
)
"""Files that take longest: first, so that no process is left with one of them when the others have ended."""

SAMPLED = (
    *("browser/test_every_page", "browser/test_hostile_pages", "browser/test_browser", "browser/test_views"),
    *("unit/cluster/test_cluster", "unit/recipes/test_recipes", "unit/starter/test_suite"),
    *("unit/evaluation/test_runner", "unit/cli/test_cached_evaluation", "unit/test_containers"),
    *("integration/test_verify", "integration/test_verify_kills", "integration/test_loopback_hub"),
    *("integration/test_loopback_faults", "integration/test_hub_kills", "integration/test_kill"),
    "integration/test_attacks",
)
"""Files of which `make test` runs a third, the same third on every machine; `make test-all` runs them all."""


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
    """Begin with LONGEST; all else stays in its order. Of SAMPLED all but a seeded third count as slow."""
    order = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(name_of(item), len(LONGEST)))
    for name in SAMPLED:
        quick = [i for i in items if name_of(i) == name and not i.get_closest_marker("slow")]
        sample = random.Random(name).sample(range(len(quick)), -(-len(quick) // 3))
        for i, item in enumerate(quick):
            if i not in sample:
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
