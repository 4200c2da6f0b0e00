"""Arguments of an adapter: from the text of a command line to what its `__init__` is annotated with.

Stands on the standard library alone and on Python 3.8: the worker loads it by path.
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def signature_of(adapter: Callable[..., Any]) -> inspect.Signature:
    """What a class takes in `__init__`; annotations that are text are resolved where all names are known."""
    signature = inspect.signature(adapter)
    module = sys.modules.get(getattr(adapter, "__module__", ""))
    parameters = []
    for parameter in signature.parameters.values():
        annotation = parameter.annotation
        if isinstance(annotation, str):
            holder = type("_Holder", (), {"__annotations__": {"value": annotation}})
            try:
                annotation = typing.get_type_hints(holder, vars(module) if module else None)["value"]
            except (
                Exception
            ):  # one name of many that is imported for types alone, or a form of a later Python
                annotation = parameter.annotation
        parameters.append(parameter.replace(annotation=annotation))
    return signature.replace(parameters=parameters)


def convert(
    arguments: Mapping[str, str], signature: inspect.Signature, device: str | None = None
) -> dict[str, Any]:
    """Keyword arguments of a call: int, float, bool and Path as annotated, all else as text.

    Paths are absolute. A parameter that is called `device` gets that of the command.

    Raises:
        ValueError: an unknown name, a missing one, or a value of another type; one line.
    """
    accepted = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes_any = any(p.kind == p.VAR_KEYWORD for p in signature.parameters.values())
    if device is not None and "device" in accepted:
        if "device" in arguments:
            raise ValueError(f"the argument device is that of the command: --device {arguments['device']}")
        arguments = {**arguments, "device": device}
    values = {}
    for name, text in arguments.items():
        if name in accepted:
            values[name] = _value(name, text, accepted[name].annotation)
        elif takes_any:
            values[name] = text
        else:
            near = difflib.get_close_matches(name, accepted, n=1)
            known = ", ".join(accepted) or "none"
            slip = f"; did you mean {near[0]!r}?" if near else f"; it takes: {known}"
            raise ValueError(f"no argument {name!r}{slip}")
    required = [p for p in signature.parameters.values() if p.default is p.empty and p.name not in values]
    missing = [p.name for p in required if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} missing; give it by --adapter-arg {missing[0]}=VALUE"
            if missing[0] in accepted
            else f"{missing[0]} can only be given by its position; arguments of an adapter are given by name"
        )
    return values


def _value(name: str, text: str, annotation: Any) -> Any:
    kind, is_optional = _kind(annotation)
    if is_optional and kind in ("int", "float", "bool") and text.casefold() == "none":
        return None
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return _TRUTH[text.strip().casefold()]
    except (ValueError, KeyError):
        raise ValueError(f"the argument {name} is {text!r}; expected {_WORDS[kind]}") from None
    return Path(text).expanduser().absolute() if kind == "Path" else text


def _kind(annotation: Any) -> tuple[str, bool]:
    """Name of the type that an annotation asks for, and whether it may be None."""
    if isinstance(annotation, str):
        text = re.sub(r"\s|['\"]", "", annotation)
        inner = re.fullmatch(r"(?:[\w.]*\.)?Optional\[(.*)\]", text)
        members = inner[1].split("|") if inner else text.split("|")
        others = [member for member in members if member != "None"]
        return (others[0].rpartition(".")[2] if len(others) == 1 else ""), bool(inner) or "None" in members
    if typing.get_origin(annotation) is not None and hasattr(annotation, "__metadata__"):
        return _kind(typing.get_args(annotation)[0])
    members = list(typing.get_args(annotation))
    if type(None) in members:
        others = [member for member in members if member is not type(None)]
        return (_kind(others[0])[0] if len(others) == 1 else ""), True
    return getattr(annotation, "__name__", ""), False
