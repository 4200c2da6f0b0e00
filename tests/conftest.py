"""What every test stands on: Ctrl-C that works, caches of its own, and lines that do not depend on time."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator

import hypothesis
import pytest

LONGEST = (
    "test_every_page",
    "test_app_in_a_browser",
    "test_cluster",
    "test_hostile_pages",
    "test_verify",
    "test_recipes",
    "test_build",
    "test_suite",
    "test_app_space",
    "test_board_cli",
    "test_evaluation",
    "test_loopback_hub",
    "test_attacks",
    "test_circle",
    "test_browser",
    "test_views",
)
"""Files that take longest: first, so that no process is left with one of them when the others have ended."""

SAMPLED = (
    *("test_every_page", "test_hostile_pages", "test_browser", "test_views", "test_cluster", "test_verify"),
    *(
        "test_recipes",
        "test_suite",
        "test_evaluation",
        "test_loopback_hub",
        "test_attacks",
        "test_verify_kills",
    ),
    *("test_loopback_faults", "test_hub_kills", "test_kill", "test_containers", "test_cached_evaluation"),
)
"""Files of which `make test` runs a third, the same third on every machine; `make test-all` runs them all."""


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
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))
    for name in SAMPLED:
        quick = [i for i in items if i.path.stem == name and not i.get_closest_marker("slow")]
        chosen = random.Random(name).sample(range(len(quick)), -(-len(quick) // 3))
        for place, item in enumerate(quick):
            if place not in chosen:
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
