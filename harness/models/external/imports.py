"""What an adapter's file brings with it: modules beside it, and packages with their versions.

Stands on the standard library alone and on Python 3.8: the worker loads it by path, in an environment that
knows nothing of this package.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import sysconfig
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

_SUFFIXES = (
    *importlib.machinery.EXTENSION_SUFFIXES,
    *importlib.machinery.SOURCE_SUFFIXES,
    *importlib.machinery.BYTECODE_SUFFIXES,
)
"""Of modules, in the order in which Python looks for them."""


class _Source(importlib.machinery.SourceFileLoader):
    """Compiles the text of the file: compiled code in a cache may be of a text of a second ago."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def import_file(file: Path) -> Any:
    """Run a file as a module whose name is that of no package; what lies beside it can be imported last.

    Raises:
        Exception: what the file raised.
    """
    path = os.path.abspath(file)
    folder = os.path.dirname(path)
    if folder not in sys.path:
        sys.path.append(folder)
    name = f"_adapter_{zlib.crc32(path.encode()):08x}_{Path(path).stem}"
    spec = importlib.util.spec_from_loader(name, _Source(name, path))
    assert spec is not None  # noqa: S101 - for the types; it is, where the loader is given
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def imported_packages(file: Path) -> tuple[list[Path], dict[str, str]]:
    """Modules beside a file that it imports, itself left out, and versions of the distributions it imports.

    Counts every import statement that is written, also in functions and in the modules beside it, and
    `import_module` of a literal name. What is not installed is left out, as is the standard library.
    """
    folder = Path(os.path.abspath(file)).parent
    queue, files, external = [Path(os.path.abspath(file))], {}, set()
    while queue:
        path = queue.pop()
        key = os.path.realpath(path)
        if key in files:
            continue
        files[key] = path
        for level, parts in _imports(path):
            if level:
                root = path.parents[level - 1] if level <= len(path.parents) else folder.parent
                if root == folder or folder in root.parents:
                    queue += _files(root, parts)
            elif not _is_standard(parts[0]):
                is_beside, is_elsewhere = _locate(parts[0], folder)
                if is_beside:
                    queue += _files(folder, parts)
                if is_elsewhere:
                    external.add(parts[0])
    del files[os.path.realpath(file)]
    return sorted(files.values()), _versions(external)


def _imports(path: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Level (0: absolute) and dotted name of everything a module may import."""
    if path.suffix != ".py" and path.suffix in _SUFFIXES:
        return
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # it cannot be imported either
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield 0, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                yield node.level, (*module, alias.name)
        elif isinstance(node, ast.Call) and node.args:
            function, name = node.func, node.args[0]
            called = getattr(function, "attr", getattr(function, "id", ""))
            text = name.value if isinstance(name, ast.Constant) else None
            if called in ("import_module", "__import__") and isinstance(text, str) and text.strip("."):
                dotted = text.lstrip(".")
                yield len(text) - len(dotted), tuple(dotted.split("."))


def _files(root: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Files that are run to import a dotted name below a folder; its last part need not be a module."""
    at = root
    for part in parts:
        if part == "*":
            yield from sorted(at.glob("*.py"))
            return
        at = at / part
        candidates = (at / "__init__.py", *(at.with_name(part + suffix) for suffix in _SUFFIXES))
        yield from [path for path in candidates if path.is_file()][:1]
        if not at.is_dir():
            return


def _is_standard(name: str) -> bool:
    if hasattr(sys, "stdlib_module_names"):
        return name in sys.stdlib_module_names or name == "__main__"
    if name in sys.builtin_module_names or name == "__main__":
        return True
    folder = Path(sysconfig.get_paths()["stdlib"])
    return any(any(_files(at, (name,))) for at in (folder, folder / "lib-dynload"))


def _locate(name: str, folder: Path) -> tuple[bool, bool]:
    """Whether a name that is imported lies in a folder, and whether somewhere else (a namespace may do both).

    What was imported before does not count: it may be of another adapter.
    """
    spec = None
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, None)
        except Exception:  # noqa: S112 - a finder of any package
            continue
        if spec is not None:
            break
    spec = spec or importlib.machinery.PathFinder.find_spec(name, [str(folder)])
    if spec is None:
        return False, False
    places = list(spec.submodule_search_locations or [spec.origin or ""])
    here = os.path.realpath(folder)
    beside = [os.path.realpath(os.path.dirname(place)) == here for place in places]
    return any(beside), not all(beside)


def _versions(names: set[str]) -> dict[str, str]:
    """Version of each distribution that one of some importable names belongs to."""
    versions, others = {}, []
    for name in names:
        # Most have the name of their package; to read the lists of all that is installed takes half a second.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError, ValueError):
            distribution = importlib.metadata.distribution(name)
            if f"\n{name}/__init__.py," in "\n" + (distribution.read_text("RECORD") or ""):
                versions[distribution.metadata["Name"]] = distribution.version
                continue
        others.append(name)
    distributions = _distributions() if others else {}
    for name in others:
        for each in distributions.get(name, [name]):  # without a list of files: by its own name
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                versions[each] = importlib.metadata.version(each)
    return dict(sorted(versions.items()))


def _distributions() -> dict[str, list[str]]:
    """Names of distributions by names that can be imported."""
    if hasattr(importlib.metadata, "packages_distributions"):
        return dict(importlib.metadata.packages_distributions())
    names_of: dict[str, list[str]] = {}
    for distribution in importlib.metadata.distributions():
        stated = (distribution.read_text("top_level.txt") or "").split()
        files = distribution.files or []
        for name in {*stated, *(file.parts[0].partition(".")[0] for file in files if file.suffix == ".py")}:
            names_of.setdefault(name, []).append(distribution.metadata["Name"])
    return names_of
