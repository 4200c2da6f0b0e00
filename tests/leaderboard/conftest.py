"""One invented world per test session; tests read it and leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.dataset.suites import Suite
from leaderboard.app.sessions import SessionStore
from leaderboard.board import ranking
from leaderboard.board.types import Board
from tests.leaderboard import world as making


@dataclass(frozen=True)
class World:
    suite: Suite
    submissions: Path
    board: Board


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
