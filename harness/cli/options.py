"""Options that several verbs have, and which of them this run was given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.disk_errors import refuse_package
from harness.errors import BadInput
from harness.models.external.options import AdapterOptions

if TYPE_CHECKING:
    from harness.models.classifiers import Classifier
    from harness.models.loading import ModelSource


class Shard(click.ParamType):  # type: ignore[type-arg]
    """`i/n` as (i, n)."""

    name = "i/n"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """The two numbers, 1 <= i <= n; a usage error where they are not."""
        match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", str(value))
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            self.fail(f"{value!r} is not a shard; expected i/n, as 1/4 to 4/4", param, ctx)
        return int(match[1]), int(match[2])


class OutputPath(click.Path):
    """A path that a command writes at, or below: any but one of the installed package."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """The path; BadInput where it lies in the package."""
        path = Path(str(super().convert(value, param, ctx)))
        refuse_package(path)
        return path


@dataclass(frozen=True)
class ModelOptions:
    """How a model is opened: the options of every verb that does."""

    revision: str | None
    device: str | None
    batch_size: int
    dtype: str
    trust_remote_code: bool
    adapter_args: tuple[str, ...] = ()
    env: Path | None = None
    compile_backend: str | None = None

    def resolve(self, model: str) -> ModelSource:
        """Find and pin it; an adapter is run for that."""
        from harness.models import loading

        return loading.resolve(
            model,
            self.revision,
            trust_remote_code=self.trust_remote_code,
            device=self.device,
            adapter=self.adapter,
        )

    def open(self, source: ModelSource) -> Classifier:
        """Load it."""
        from harness.models import loading

        classifier = loading.open_model(
            source, device=self.device, batch_size=self.batch_size, dtype=self.dtype
        )
        if self.compile_backend is not None:
            classifier.compile(self.compile_backend)
        return classifier

    @property
    def adapter(self) -> AdapterOptions:
        """Those of an adapter."""
        return AdapterOptions(self.adapter_args, self.env)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def bundle(name: str, record: type, *options: Decorator) -> Decorator:
    """A decorator that adds options to a verb; those that are fields of a record reach it as one parameter.

    Args:
        name: of the parameter.
        record: a dataclass.
        *options: in the order of the help.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_record(**params: Any) -> Any:
            values = {field.name: params.pop(field.name) for field in fields(record)}
            return command(**{name: record(**values)}, **params)

        decorated: Callable[..., Any] = with_record
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


flag = partial(click.option, is_flag=True)


number = partial(click.option, type=click.IntRange(1), metavar="N")


repeatable = partial(click.option, multiple=True)
ci_width = partial(
    click.option, "--ci-width", type=click.FloatRange(0, 1, min_open=True), metavar="W", show_default=True
)
out = partial(click.option, "--out", type=OutputPath(), metavar="DIR", show_default=True)


as_json = flag("--json", "as_json", help="Print one JSON object on stdout.")


tasks = repeatable("--task", "task_names", metavar="T", help="Task, repeatable; default: all.")


task_files = repeatable(
    "--task", "task_files", metavar="FILE", help="Definition of a task that is not built in."
)


signals = click.option(
    "--signals", metavar="SOURCE", help="Signals folder or Hub dataset ORG/NAME[@REVISION]."
)


_ADAPTER = (
    repeatable(
        "--adapter-arg", "adapter_args", metavar="NAME=VALUE", help="Argument of an adapter, repeatable."
    ),
    click.option(
        "--env",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="Requirements: run it in an environment of its own.",
    ),
)

adapter = bundle("adapter", AdapterOptions, *_ADAPTER)
"""The options of an adapter, for a verb that opens no other model."""

model = bundle(
    "opening",
    ModelOptions,
    click.option("--revision", metavar="R", help="Branch, tag or commit of a Hub model."),
    flag(
        "--trust-remote-code",
        help="Run Python code that comes with the model.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(["float32", "bfloat16", "float16"]),
        default="float32",
        metavar="TYPE",
        help="float32, bfloat16 or float16 [float32].",
    ),
    click.option("--compile", "compile_backend", flag_value="inductor", help="Compile it by torch.compile."),
    click.option(
        "--label-map",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="JSON file: class names of the model to labels.",
    ),
    *_ADAPTER,
    number("--batch-size", default=16, help="Largest batch size [16]."),
    click.option("--device", metavar="D", help="cpu, cuda, cuda:1, mps [a GPU if there is one]."),
    as_json,
)
"""The options of every verb that opens a model."""


def given() -> dict[str, click.Parameter]:
    """The parameters of this run that are on the command line, by name."""
    from click.core import ParameterSource

    context = click.get_current_context()
    return {
        name: parameter
        for parameter in context.command.params
        if (name := parameter.name) and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }


def command_line(*omit: str, **values: object) -> str:
    """The command line of this run without some parameters, for a message that suggests the next command.

    Args:
        *omit: parameters to leave out.
        **values: of parameters, in place of those given.
    """
    context = click.get_current_context()
    words = context.command_path.split()
    for name, parameter in given().items():
        if name in omit:
            continue
        option = [parameter.opts[0]] if isinstance(parameter, click.Option) else []
        value = values.get(name, context.params[name])
        for v in value if isinstance(value, tuple) else (value,):
            words += option if v is True else [*option, str(v)]
    return shlex.join(words)


def refuse_with(option: str, *parameters: str, hint: str = "") -> None:
    """Refuse parameters that were given and mean nothing beside an option.

    Raises:
        BadInput: one of them was given; `hint` is the end of the line.
    """
    for name in _given(parameters):
        raise BadInput(f"{name} cannot be combined with {option}; leave one of them out{hint}")


def refuse_without(option: str, *parameters: str) -> None:
    """Refuse parameters that were given without the option that they belong to.

    Raises:
        BadInput: one of them was given.
    """
    for name in _given(parameters):
        raise BadInput(f"{name} requires {option}; add it, or leave {name} out")


def _given(names: Sequence[str]) -> list[str]:
    """The parameters that were given, of some, as a command line names them."""
    return [
        parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
        for name, parameter in given().items()
        if name in names
    ]
