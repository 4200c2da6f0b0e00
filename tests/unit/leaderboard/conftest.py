"""One invented world per test session; tests read it and leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from leaderboard.app.sessions import SessionStore
from leaderboard.board import ranking
from tests.helpers import board_world as making
from tests.helpers.board_world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    suite, submissions = making.made(tmp_path_factory.getbasetemp() / "world")
    return World(suite, submissions, ranking.build(submissions, suite))


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[SessionStore]:
    """No room yet; what is left of them is removed."""
    folder = tmp_path / "rooms"
    folder.mkdir()
    rooms = SessionStore(folder)
    yield rooms
    rooms.close()
