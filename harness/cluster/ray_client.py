"""The only module that uses ray: joins or starts a cluster, starts workers, and receives their messages.

The output of ray itself is suppressed: it would end up among the data on stdout.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Sequence
from typing import Any

from click import unstyle

from harness.cluster.resources import Node, WorkerSpec
from harness.cluster.worker import Message, Worker
from harness.errors import BadCluster, GoodenoughError

_TIMEOUT_S = 5
"""For the first answer of a cluster: ray itself would wait for five minutes, and then end the process."""

_STORE_BYTES = 1 << 29
"""Memory for what is on its way between processes, where the cluster is ours: a few clips for each worker."""


class WorkerLost(Exception):
    """A worker is gone, or cannot be reached; the text says why."""


class RayWorker:
    """A worker on the cluster: one work item at a time, message by message."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.stream: Any = None
        """Its messages; None when it is idle."""

    def begin(self, method: str, *arguments: Any) -> None:
        """Start a method of it; `next` returns the messages."""
        import ray

        try:
            self.stream = getattr(self._handle, method).options(num_returns="streaming").remote(*arguments)
        except ray.exceptions.RayError as error:
            raise WorkerLost(_reason(error)) from None

    def next(self) -> Message | None:
        """The next message, which is waited for; None when the work is done.

        Raises:
            WorkerLost: the worker is gone.
            GoodenoughError: what the worker raised on purpose.
        """
        import ray

        try:
            message: Message = ray.get(next(self.stream))
        except StopIteration:
            self.stream = None
            return None
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, GoodenoughError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            raise WorkerLost(_reason(error)) from None
        return message

    def stop(self) -> None:
        """End it, whatever it is doing."""
        import ray

        self.stream = None
        with contextlib.suppress(Exception):
            ray.kill(self._handle)


class RayCluster:
    """A connection to a cluster; one that was open before stays open."""

    def __init__(self, address: str | None) -> None:
        """Join a cluster at `host:port` or `auto`, or by $RAY_ADDRESS; else start one as long as this lasts.

        Raises:
            BadCluster: there is none, or it is of another version.
        """
        import ray

        self._is_own = not ray.is_initialized()
        if self._is_own:
            _join(address or os.environ.get("RAY_ADDRESS") or "local")

    def nodes(self) -> list[Node]:
        """The machines of the cluster."""
        import ray

        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return [Node(float(resources.get("CPU", 0)), float(resources.get("GPU", 0))) for resources in alive]

    def start_worker(self, spec: WorkerSpec) -> RayWorker:
        """Start one more worker; it may have to wait for resources."""
        import ray

        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        options = ray.remote(Worker).options(
            num_cpus=spec.cpus,
            num_gpus=spec.gpus,
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": dict.fromkeys(names, str(spec.threads))},
        )
        return RayWorker(options.remote())

    def ready(self, workers: Sequence[RayWorker], seconds: float) -> RayWorker | None:
        """One of some busy workers that has a message or is done; None if none has within the time."""
        import ray

        worker_by_stream = {worker.stream: worker for worker in workers}
        ready_refs, _ = ray.wait(list(worker_by_stream), num_returns=1, timeout=seconds, fetch_local=False)
        return worker_by_stream[ready_refs[0]] if ready_refs else None

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        import ray

        if self._is_own:
            ray.shutdown()


def require() -> None:
    """Check that ray is installed.

    Raises:
        BadCluster: it is not.
    """
    try:
        import ray  # noqa: F401
    except ImportError:
        raise BadCluster(
            "--engine ray needs ray, which is not installed: pip install 'goodenough[ray]'"
        ) from None


def _join(address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # What ray will do in any case from some version on; without it, it says so.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if address.startswith("ray://"):
        raise BadCluster(
            f"{address} is of Ray Client, which cannot carry this; run the command on a node of the cluster"
            " and give --ray-address auto, or hand it in with `ray job submit`"
        )
    settings = {"object_store_memory": _STORE_BYTES} if address == "local" else {}
    if address not in ("local", "auto"):
        _require_reachable(address)
    # Despite `log_to_driver` ray would print the death of a worker on stdout.
    ray._private.worker.print_to_stdstream = lambda *args, **kwargs: None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            include_dashboard=False if settings else None,
            logging_level=logging.CRITICAL,
            **settings,
        )
    except (Exception, SystemExit) as error:
        message = f"no Ray cluster could be joined at {address}"
        if settings:
            message = "no cluster could be started here"
        raise BadCluster(f"{message}: {_reason(error)}") from None
    finally:
        # Ray would have the end of this process by SIGTERM look like a success.
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGTERM, handler)


def _require_reachable(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise BadCluster(
            f"{address!r} is no address of a Ray cluster; expected HOST:PORT, as 10.0.0.1:6379, or auto"
        )
    try:
        socket.create_connection((host, int(port)), _TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise BadCluster(
            f"no Ray cluster answers at {address} ({error}); begin one with `ray start --head`, or leave out"
            " --ray-address and unset RAY_ADDRESS"
        ) from None


def _reason(error: BaseException) -> str:
    """The last line that says something, without colours."""
    lines = [line.strip() for line in unstyle(str(error)).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
