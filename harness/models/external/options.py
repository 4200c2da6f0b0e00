"""What a user gives to an adapter, and where it runs; light, for every start of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadInput


@dataclass(frozen=True)
class AdapterOptions:
    """The options of an adapter."""

    adapter_args: tuple[str, ...] = ()
    """`NAME=VALUE` each."""
    env: Path | None = None
    """Requirements of an environment of its own; without any, here or in its file, it runs in this one."""

    def refuse_without_adapter(self, *models: str) -> None:
        """Refuse these options where none of the models is an adapter.

        Raises:
            BadInput: there are some.
        """
        from harness.models.checkpoints import is_adapter

        if any(map(is_adapter, models)):
            return
        for option, is_given in (("--adapter-arg", self.adapter_args), ("--env", self.env)):
            if is_given:
                none = f"{', '.join(models)} is none" if models else "there is none"
                raise BadInput(
                    f"{option} is for adapters, and {none}; an adapter is given as path/to/file.py:Class"
                )

    def by_name(self) -> dict[str, str]:
        """The arguments.

        Raises:
            BadInput: one is not NAME=VALUE, or is given twice.
        """
        values: dict[str, str] = {}
        for argument in self.adapter_args:
            name, equals, value = argument.partition("=")
            if not equals or not name.isidentifier():
                raise BadInput(
                    f"--adapter-arg {argument!r:.80}: expected NAME=VALUE, as in checkpoint=best.pth"
                )
            if name in values:
                raise BadInput(f"--adapter-arg {name} is given twice; leave one of them out")
            values[name] = value
        return values
