"""How many workers fit a cluster, and what each of them gets; does not use ray.

Conventions: GPUs of a worker are a fraction of one card, 0 to 1: a model lies on one card, and several small
ones may share it. CPUs of a worker are also the threads that it computes with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import BadCluster
from harness.plurals import plural


@dataclass(frozen=True)
class ResourceRequest:
    """What a user asks of a cluster; None: chosen automatically."""

    address: str | None = None
    """Of the cluster; None for one of this machine, which lasts as long as the command."""
    workers: int | None = None
    """Number of workers."""
    gpus_per_worker: float | None = None
    """Share of a GPU that each of them gets."""
    cpus_per_worker: float | None = None
    """CPUs that each of them gets."""


@dataclass(frozen=True)
class Node:
    """What one machine of a cluster has."""

    cpus: float
    """CPUs."""
    gpus: float
    """GPUs."""

    def fits(self, cpus: float, gpus: float) -> int:
        """Workers of so many CPUs and GPUs that it has room for."""
        by_cpu = math.floor(self.cpus / cpus + 1e-9) if cpus else None
        # Each card is shared by itself: of two cards and workers of 0.6 there are two, not three.
        by_gpu = int(self.gpus) * math.floor(1 / gpus + 1e-9) if gpus else None
        return min(n for n in (by_cpu, by_gpu) if n is not None)


@dataclass(frozen=True)
class WorkerSpec:
    """The workers of a run."""

    workers: int
    """How many."""
    cpus: float
    """CPUs of each."""
    gpus: float
    """GPUs of each, 0 to 1."""
    device: str
    """Where their models run, as torch names it."""

    @property
    def threads(self) -> int:
        """Threads that each computes with."""
        return max(1, int(self.cpus))


def shape_of(request: ResourceRequest, nodes: Sequence[Node], device: str | None) -> WorkerSpec:
    """The workers of a run on a cluster; `device` is None where the user names none.

    Raises:
        BadCluster: it has no room for them, or the request contradicts itself.
    """
    n_cpus, n_gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    gpus = request.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if n_gpus >= 1 and device in (None, "cuda") else 0.0
    if device not in (None, "cpu", "cuda", "mps"):
        raise BadCluster(
            f"the cluster deals its GPUs: with --engine ray --device is cuda or cpu, not {device}"
        )
    if device == "cuda" and gpus == 0:
        raise BadCluster("--device cuda needs workers that have a GPU, and these have none")
    if device in ("cpu", "mps") and gpus > 0:
        raise BadCluster(f"--device {device} uses no GPU of the cluster: leave out --gpus-per-worker")

    def capacity(cpus: float) -> int:
        return sum(node.fits(cpus, gpus) for node in nodes if cpus or gpus)

    if request.workers is not None:
        workers = request.workers
    elif gpus:
        workers = max(1, capacity(0))
    else:
        cpus_each = request.cpus_per_worker
        workers = max(1, int(n_cpus) // 2 if cpus_each is None else capacity(cpus_each))
    cpus = request.cpus_per_worker
    if cpus is None:
        # As many as fit, and the same for all: on a node of 8 and one of 4, four workers get 2 each.
        candidates = range(int(n_cpus) // workers, 0, -1)
        cpus = float(next((n for n in candidates if capacity(n) >= workers), 0 if gpus else 1))
    if capacity(cpus) < workers:
        gpu_text = f" and {gpus:g} GPUs" if gpus else ""
        raise BadCluster(
            f"no room for {plural(workers, 'worker')} of {cpus:g} CPUs{gpu_text} each: the cluster has"
            f" {n_cpus:g} CPUs and {n_gpus:g} GPUs, for {capacity(cpus)} of them; ask for fewer with"
            " --workers, or less for each with --cpus-per-worker or --gpus-per-worker"
        )
    return WorkerSpec(workers, cpus, gpus, device or ("cuda" if gpus else "cpu"))
