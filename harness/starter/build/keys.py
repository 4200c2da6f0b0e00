"""Keys: short hashes of everything that decides what a step of the build makes.

The code that makes something is part of what decides it. It is hashed as parsed, without comments, docstrings
and imports, and without what a record looks like in a notebook: neither better words nor a module that moves
make anything stale.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

import harness


def key(*parts: str) -> str:
    """16 hex digits of a hash over texts; their order counts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@cache
def code(*modules: str) -> str:
    """Key of modules of the package, e.g. `code("starter.build.music", "domains.fft")`."""
    root = Path(harness.__file__).parent
    return key(*(_bare((root / f"{name.replace('.', '/')}.py").read_text("utf-8")) for name in modules))


def _bare(source: str) -> str:
    """Source without comments, docstrings, imports, layout and the looks of records."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # A string that stands alone is a docstring, of a module, a function or a field.
            node.body = [item for item in body if not _decides_nothing(item)] or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _decides_nothing(node: ast.AST) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name in ("__repr__", "_repr_html_")
    return isinstance(node, ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
