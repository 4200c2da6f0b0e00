"""Where models run: on this machine, or on a Ray cluster.

    with engine.backend(opening) as backend:
        classifier = backend.open(checkpoint)
        build_reference.add(classifier, ..., engine=backend.extract)

The code is the same for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.common import info, label_map_for
from harness.cli.options import ModelOptions, refuse_with, refuse_without

if TYPE_CHECKING:
    from typing import TypeAlias

    from harness.cluster.ray_engine import RayEngine
    from harness.evaluation import runner
    from harness.extract import build_reference
    from harness.models.classifiers import Classifier
    from harness.models.loading import ModelSource
    from harness.tasks import Task
    from harness.types import LabelMap

    Backend: TypeAlias = "LocalBackend | RayEngine"


@dataclass(frozen=True)
class LocalBackend:
    """Runs models in this process; `RayEngine` runs them on a cluster."""

    opening: ModelOptions

    def open(self, source: ModelSource, /) -> Classifier:
        """Load a model."""
        return self.opening.open(source)

    @property
    def extract(self) -> build_reference.Extractor:
        """For `build_reference.add`."""
        from harness.extract.runner import extract

        return extract

    @property
    def judge(self) -> runner.Judge:
        """For `runner.evaluate`."""
        from harness.evaluation import predict

        return predict.judge


@dataclass
class PinnedModel:
    """A model that is loaded on first use."""

    source: ModelSource
    opening: ModelOptions
    backend: Backend

    @cached_property
    def classifier(self) -> Classifier:
        """The model, loaded."""
        return self.backend.open(self.source)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Its classes by index, in its own words.

        Usually its files name them; transformers leaves out the names LABEL_0 and LABEL_1, and then the model
        is loaded to get them.
        """
        from harness.models.loading import class_names_of

        return class_names_of(self.source) or self.classifier.class_names

    def labels(self, task: Task, label_map: Path | None) -> LabelMap:
        """How its classes are read; see `common.label_map_for`."""
        return label_map_for(self.class_names, self.source.ref, task, label_map)


@dataclass(frozen=True)
class EngineOptions:
    """Where models run: the options of every verb that can use a cluster."""

    engine: str
    ray_address: str | None
    workers: int | None
    gpus_per_worker: float | None
    cpus_per_worker: float | None

    @property
    def is_remote(self) -> bool:
        """Whether it is a cluster."""
        return self.engine == "ray"

    @contextmanager
    def backend(self, opening: ModelOptions) -> Iterator[Backend]:
        """The backend; a cluster is joined when the first model is opened, and left at the end.

        Raises:
            BadInput: an option of a cluster without one.
            BadCluster: ray is not installed.
        """
        if not self.is_remote:
            refuse_without("--engine ray", "ray_address", "workers", "gpus_per_worker", "cpus_per_worker")
            yield LocalBackend(opening)
            return
        refuse_with("--engine ray", "compile_backend")
        from harness.cluster.ray_engine import ray_engine
        from harness.cluster.resources import ResourceRequest

        request = ResourceRequest(self.ray_address, self.workers, self.gpus_per_worker, self.cpus_per_worker)
        with ray_engine(
            request, device=opening.device, batch_size=opening.batch_size, dtype=opening.dtype, notify=info
        ) as backend:
            yield backend


engine_options = options.bundle(
    "engine",
    EngineOptions,
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        help="Where models run [local].",
    ),
    click.option(
        "--ray-address",
        metavar="ADDR",
        help="HOST:PORT, auto [$RAY_ADDRESS or this machine].",
    ),
    options.number("--workers", help="Worker processes [one per GPU, or per 2 CPUs]."),
    click.option(
        "--gpus-per-worker",
        type=click.FloatRange(0, 1),
        metavar="F",
        help="Share of a GPU for each worker [1, if any].",
    ),
    click.option(
        "--cpus-per-worker",
        type=click.FloatRange(0, min_open=True),
        metavar="C",
        help="CPUs and threads of each worker [equal share].",
    ),
)
"""The options of every verb that can use a cluster."""
