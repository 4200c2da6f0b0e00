"""A pool of workers: each takes a work item when it is free; an item whose worker died is queued again.

Results that a dead worker had already sent are kept; the rest of its item goes to the front of the queue, and
a new worker is started. An item over which workers keep dying ends the run with an error that names it; the
results up to then have been yielded. `ray.util.ActorPool` is not enough: it neither replaces a worker that
died nor keeps what it had sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.cluster.ray_client import RayCluster, RayWorker, WorkerLost
from harness.cluster.resources import ResourceRequest, WorkerSpec, shape_of
from harness.cluster.worker import Model, own_build
from harness.errors import BadCluster

MAX_DEATHS = 3
"""Workers that may die over one item, or fail to start one after the other."""

_TIMEOUT_S = 600.0
"""How long the first worker may take to be scheduled."""


@dataclass
class WorkItem:
    """Work for one worker."""

    pending: dict[str, Any]
    """The inputs that are not finished, by key."""
    deaths: int = 0
    """Workers that died over it."""


@dataclass
class _WorkerSlot:
    """A worker of the pool and the item it works on."""

    worker: RayWorker
    item: WorkItem | None = None
    name: str = ""
    """Process and host; empty before it has greeted."""


class WorkerPool:
    """Workers on a cluster, started when there is something to do."""

    def __init__(self, request: ResourceRequest, device: str | None, notify: Callable[[str], None]) -> None:
        """Store the request and the device, and what tells the user a line; nothing is started yet."""
        self._request, self._device, self._notify = request, device, notify
        self._cluster: RayCluster | None = None
        self._shape: WorkerSpec | None = None
        self._slots: list[_WorkerSlot] = []
        self._n_failed = 0

    @property
    def shape(self) -> WorkerSpec:
        """The number and kind of workers; joins or starts the cluster if needed.

        Raises:
            BadCluster: there is none, or it has no room.
        """
        if self._shape is None:
            self._cluster = RayCluster(self._request.address)
            self._shape = shape_of(self._request, self._cluster.nodes(), self._device)
        return self._shape

    def run(
        self, method: str, model: Model, context: tuple[Any, ...], items: Iterator[WorkItem]
    ) -> Iterator[Any]:
        """Process work items.

        Args:
            method: of `Worker`.
            model: its first argument; a new worker opens it at once.
            context: its further arguments; the last is the list of pending inputs of an item.
            items: taken when a worker is free, not before.

        Yields:
            Messages of the workers as they arrive: (keys, content); these keys are no longer pending.

        Raises:
            BadCluster: workers do not start, or keep dying over an item.
            GoodenoughError: what a worker raised on purpose.
        """
        first = next(items, None)
        if first is None:
            return  # no worker is started where there is nothing to do
        queue = deque([first])
        try:
            while self._assign(method, model, context, items, queue):
                slot = self._next()
                if slot is None:
                    continue
                try:
                    message = slot.worker.next()
                    if message is None and slot.item is not None and slot.item.pending:
                        raise WorkerLost("it ended before its work was done")
                except WorkerLost as error:
                    self._requeue(slot, str(error), queue)
                    continue
                if message is None:
                    slot.item = None
                elif slot.item is None:
                    slot.name = "process {} on {}".format(*message[1])
                    self._n_failed = 0
                else:
                    for key in message[0]:
                        del slot.item.pending[key]
                    yield message
        finally:
            for slot in [slot for slot in self._slots if slot.item is not None]:
                self._stop(slot)

    def close(self) -> None:
        """Stop all workers, and leave the cluster."""
        for slot in list(self._slots):
            self._stop(slot)
        if self._cluster is not None:
            self._cluster.close()

    def _assign(
        self,
        method: str,
        model: Model,
        context: tuple[Any, ...],
        items: Iterator[WorkItem],
        queue: deque[WorkItem],
    ) -> bool:
        """Give each free worker an item; whether any item is pending or in progress."""
        while len(self._slots) < self.shape.workers:
            self._start_worker(model)
        for slot in [slot for slot in self._slots if slot.worker.stream is None]:
            item = queue.popleft() if queue else next(items, None)
            if item is None:
                break
            slot.item = item
            try:
                slot.worker.begin(method, model, *context, list(item.pending.values()))
            except WorkerLost as error:
                self._requeue(slot, str(error), queue)
        busy = any(slot.item is not None for slot in self._slots)
        if not busy and not queue and (item := next(items, None)) is not None:
            queue.append(item)  # for the workers that replace the dead ones
        return busy or bool(queue)

    def _next(self) -> _WorkerSlot | None:
        """A worker that has a message; None after a timeout, or where all are idle."""
        assert self._cluster is not None  # noqa: S101 - joined when the first worker was started
        busy_slots = {id(slot.worker): slot for slot in self._slots if slot.worker.stream is not None}
        if not busy_slots:
            return None
        worker = self._cluster.ready([slot.worker for slot in busy_slots.values()], _TIMEOUT_S)
        if worker is None and not any(slot.name for slot in self._slots):
            raise BadCluster(
                f"no worker could begin within {_TIMEOUT_S / 60:g} min: the cluster is busy with other work;"
                " try again later, or ask for less with --cpus-per-worker or --gpus-per-worker"
            )
        return None if worker is None else busy_slots[id(worker)]

    def _start_worker(self, model: Model) -> None:
        shape = self.shape
        assert self._cluster is not None  # noqa: S101 - joined by `shape`
        slot = _WorkerSlot(self._cluster.start_worker(shape))
        self._slots.append(slot)
        try:
            slot.worker.begin("greet", own_build(), model)
        except WorkerLost as error:
            self._requeue(slot, str(error), deque())

    def _requeue(self, slot: _WorkerSlot, reason: str, queue: deque[WorkItem]) -> None:
        """Queue the item of a worker that died again; another worker will be started."""
        name, item = slot.name, slot.item
        self._stop(slot)
        if item is None or not name:
            self._n_failed += 1
            if self._n_failed >= MAX_DEATHS:
                raise BadCluster(
                    f"workers cannot begin on this cluster: {reason}; each node needs goodenough"
                    f" {own_build().goodenough} with the same versions of everything"
                )
            return
        if not item.pending:
            self._notify(f"worker {name} died; it had done its work")
            return
        item.deaths += 1
        keys = ", ".join(list(item.pending)[:8]) + (", ..." if len(item.pending) > 8 else "")
        if item.deaths >= MAX_DEATHS:
            raise BadCluster(
                f"{item.deaths} workers died one after the other over {keys}, most likely for want of"
                " memory; try a smaller --batch-size or fewer --workers, or leave that out; what was finished"
                " is kept, the same command continues"
            )
        self._notify(f"worker {name} died; {keys} will be given out again")
        queue.appendleft(item)

    def _stop(self, slot: _WorkerSlot) -> None:
        self._slots.remove(slot)
        slot.worker.stop()
