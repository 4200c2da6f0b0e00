"""A hash of the code that results in a cache were made by, so that a change of it makes them anew.

The code of some modules is all of this project that they import, at any level and at any time: it is found in
their text, which needs no import. Versions of the libraries that count are part of it.
"""

from __future__ import annotations

import hashlib
import platform
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

import harness

ROOT = Path(harness.__file__).parent.parent
"""Folder of the packages."""

_LIBRARIES = ("numpy", "pandas", "pyarrow", "pydantic", "scipy")
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+((?:harness|leaderboard)[\w.]*)[ \t]+import[ \t]*(\([^)]*\)|[^\n]*)"
    rb"|import[ \t]+((?:harness|leaderboard)[\w.]*))",
    re.MULTILINE,
)
_BESIDE = re.compile(rb'Path\(__file__\)\.with_name\("(\w+)\.py"\)')
"""A program beside a module, which it starts."""


@cache
def code_hash(*modules: str) -> str:
    """A hash of modules, by their dotted names, of what they import, and of the libraries."""
    names, texts = [*modules], dict[str, bytes]()
    while names:
        name = names.pop()
        if name not in texts and (module := _module(name)) is not None:
            texts[name], imports = module
            names += imports
    digest = hashlib.sha256(platform.python_version().encode())
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    for name, text in sorted(texts.items()):
        digest.update(name.encode() + b"\0" + text + b"\0")
    return digest.hexdigest()


@cache
def _module(name: str) -> tuple[bytes, list[str]] | None:
    """The text of a module or package, and what it imports; None where there is none of that name."""
    path = ROOT.joinpath(*name.split("."))
    for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        if file.is_file():
            text = file.read_bytes()
            return text, _imports(name, text)
    return None


def _imports(name: str, text: bytes) -> list[str]:
    """Dotted names that a module may import; not all of them are modules."""
    package = name.rpartition(".")[0]
    names = [package] if package else []
    names += [f"{package}.{file.decode()}" for file in _BESIDE.findall(text)]
    for source, members, module in _IMPORT.findall(text):
        parent = (source or module).decode()
        names += [
            parent,
            *(f"{parent}.{member.decode()}" for member in re.findall(rb"[A-Za-z_]\w*", members)),
        ]
    return names
