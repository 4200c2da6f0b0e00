"""A crew: pieces of work dealt to workers as they are free, and once more where a worker died.

What a worker has sent stays; the rest of its piece is given out again, first of all, and another worker is
hired in its place. A piece over which workers keep dying is named and ends the run: what was finished by then
is with whoever asked for it.

Public: WorkerPool, WorkItem.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.cluster.ray_client import Door, RayWorker, WorkerLost
from harness.cluster.resources import ResourceRequest, WorkerSpec, shape_of
from harness.cluster.worker import Model, own_build
from harness.errors import BadCluster

DEATHS = 3
"""Workers that may die over one piece, and that may fail to begin one after the other."""

_PATIENCE_S = 600.0
"""For the first worker to find its place."""


@dataclass
class WorkItem:
    """Work for one worker."""

    left: dict[str, Any]
    """What is not finished, by key."""
    deaths: int = 0
    """Workers that died over it."""


@dataclass
class _WorkerSlot:
    """A place in the crew."""

    worker: RayWorker
    piece: WorkItem | None = None
    who: str = ""
    """Process and host; empty before it has greeted."""


class WorkerPool:
    """Workers on a cluster, hired when there is something to do."""

    def __init__(self, wishes: ResourceRequest, device: str | None, say: Callable[[str], None]) -> None:
        """Take down what is wished; nothing is started yet.

        Args:
            wishes: what the user asks of the cluster.
            device: where models run, if the user says it.
            say: tells the user something, in a line.
        """
        self._wishes, self._device, self._say = wishes, device, say
        self._door: Door | None = None
        self._shape: WorkerSpec | None = None
        self._posts: list[_WorkerSlot] = []
        self._n_failed = 0
        self.pids: dict[int, str] = {}
        """Processes at work, with their hosts."""

    @property
    def shape(self) -> WorkerSpec:
        """The workers there are; the cluster is joined or started for it.

        Raises:
            BadCluster: there is none, or it has no room.
        """
        if self._shape is None:
            self._door = Door(self._wishes.address)
            self._shape = shape_of(self._wishes, self._door.nodes(), self._device)
        return self._shape

    def run(
        self, method: str, model: Model, context: tuple[Any, ...], pieces: Iterator[WorkItem]
    ) -> Iterator[Any]:
        """Have pieces worked on.

        Args:
            method: of `Worker`.
            model: its first argument; whoever is hired opens it at once.
            context: its further arguments; the last is a list of what is left of a piece.
            pieces: taken when a worker is free, not before.

        Yields:
            What the workers send, as it comes: (keys, content), of which keys were struck off their piece.

        Raises:
            BadCluster: workers do not begin, or keep dying over a piece.
            GoodenoughError: what a worker raised on purpose.
        """
        first = next(pieces, None)
        if first is None:
            return  # nobody is hired where there is nothing to do
        again = deque([first])
        try:
            while self._assign(method, model, context, pieces, again):
                post = self._next()
                if post is None:
                    continue
                try:
                    message = post.worker.next()
                    if message is None and post.piece is not None and post.piece.left:
                        raise WorkerLost("it ended before its work was done")
                except WorkerLost as why:
                    self._requeue(post, str(why), again)
                    continue
                if message is None:
                    post.piece = None
                elif post.piece is None:
                    self._register(post, *message[1])
                else:
                    for key in message[0]:
                        del post.piece.left[key]
                    yield message
        finally:
            for post in [post for post in self._posts if post.piece is not None]:
                self._dismiss(post)

    def close(self) -> None:
        """Let everyone go, and leave the cluster."""
        for post in list(self._posts):
            self._dismiss(post)
        if self._door is not None:
            self._door.close()

    def _assign(
        self,
        method: str,
        model: Model,
        context: tuple[Any, ...],
        pieces: Iterator[WorkItem],
        again: deque[WorkItem],
    ) -> bool:
        """Give whoever is free a piece; whether anything is still to come."""
        while len(self._posts) < self.shape.workers:
            self._hire(model)
        for post in [post for post in self._posts if post.worker.stream is None]:
            piece = again.popleft() if again else next(pieces, None)
            if piece is None:
                break
            post.piece = piece
            try:
                post.worker.begin(method, model, *context, list(piece.left.values()))
            except WorkerLost as why:
                self._requeue(post, str(why), again)
        busy = any(post.piece is not None for post in self._posts)
        if not busy and not again and (piece := next(pieces, None)) is not None:
            again.append(piece)  # for whoever is hired in place of those who died
        return busy or bool(again)

    def _next(self) -> _WorkerSlot | None:
        """Someone who has something to say; None where that takes long, or nobody is at work."""
        assert self._door is not None  # noqa: S101 - joined when the first was hired
        at_work = {id(post.worker): post for post in self._posts if post.worker.stream is not None}
        if not at_work:
            return None
        found = self._door.ready([post.worker for post in at_work.values()], _PATIENCE_S)
        if found is None and not any(post.who for post in self._posts):
            raise BadCluster(
                f"no worker could begin within {_PATIENCE_S / 60:g} min: the cluster is busy with other work;"
                " try again later, or ask for less with --cpus-per-worker or --gpus-per-worker"
            )
        return None if found is None else at_work[id(found)]

    def _hire(self, model: Model) -> None:
        shape = self.shape
        assert self._door is not None  # noqa: S101 - joined by `shape`
        post = _WorkerSlot(self._door.hire(shape))
        self._posts.append(post)
        try:
            post.worker.begin("greet", own_build(), model)
        except WorkerLost as why:
            self._requeue(post, str(why), deque())

    def _register(self, post: _WorkerSlot, pid: int, host: str) -> None:
        post.who = f"process {pid} on {host}"
        self.pids[pid] = host
        self._n_failed = 0

    def _requeue(self, post: _WorkerSlot, why: str, again: deque[WorkItem]) -> None:
        """A worker is gone: its piece is given out again, its place will be filled."""
        who, piece = post.who, post.piece
        self._dismiss(post)
        if piece is None or not who:
            self._n_failed += 1
            if self._n_failed >= DEATHS:
                raise BadCluster(
                    f"workers cannot begin on this cluster: {why}; each node needs goodenough"
                    f" {own_build().goodenough} with the same versions of everything"
                )
            return
        if not piece.left:
            self._say(f"worker {who} died; it had done its work")
            return
        piece.deaths += 1
        named = ", ".join(list(piece.left)[:8]) + (", ..." if len(piece.left) > 8 else "")
        if piece.deaths >= DEATHS:
            raise BadCluster(
                f"{piece.deaths} workers died one after the other over {named}, most likely for want of"
                " memory; try a smaller --batch-size or fewer --workers, or leave that out; what was finished"
                " is kept, the same command continues"
            )
        self._say(f"worker {who} died; {named} will be given out again")
        again.appendleft(piece)

    def _dismiss(self, post: _WorkerSlot) -> None:
        self._posts.remove(post)
        post.worker.dismiss()
        self.pids = {pid: host for pid, host in self.pids.items() if post.who != f"process {pid} on {host}"}
