"""Environments of adapters, made by uv: from a file of requirements, or from what an adapter has in its head.

    # /// script
    # requires-python = ">=3.9,<3.11"
    # dependencies = ["musicnn"]
    # ///

An environment is made once and lies in `environments/` of the cache folder, under the hash of what it was
made from: the same text gives the same versions until that folder is deleted, also without a network. Nothing
of this package's environment is seen in it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from harness.cache_folder import cache
from harness.errors import BadModel

_DROPPED = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT")
"""Variables that say where this environment is."""
_HEAD = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""A block of PEP 723, as it defines it."""
_NESTED = re.compile(r"(?m)^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)")
_MOST_REASON = 600


@dataclass(frozen=True)
class Environment:
    """What an adapter runs in; made when it is first needed."""

    source: Path
    """File of requirements, or Python file with a head."""
    request: str
    """Which Python, as uv takes it: a path, or versions."""
    folder: Path
    """Where it is, or will be."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def is_ready(self) -> bool:
        """Whether it has been made; if not, it takes as long as its packages take to download."""
        return self.python.exists()

    def make(self) -> None:
        """Make it where it is not there.

        Raises:
            BadModel: no uv, or uv could not; its reason is named.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.with_suffix(".lock")):
            if self.is_ready():
                return
            uv, new = _uv(), self.folder.with_suffix(".new")
            for folder in (new, self.folder):  # left by a process that was killed; or its Python is gone
                shutil.rmtree(folder, ignore_errors=True)
            self._run(uv, "venv", "--relocatable", "--no-project", "--python", self.request, str(new))
            install = ["pip", "install", "--python", str(new / "bin" / "python"), "-r", str(self.source)]
            # With hashes, nothing can be added.
            with_numpy = [] if "--hash" in self.source.read_text("utf-8") else ["numpy"]
            self._run(uv, *install, *with_numpy)
            new.rename(self.folder)

    def _run(self, uv: str, *words: str) -> None:
        # Of all that will do, the Python of this process is looked at first.
        path = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), os.environ.get("PATH", os.defpath)])
        done = subprocess.run(
            [uv, *words, "--no-python-downloads", "--no-progress", "--color", "never"],
            env={"UV_PYTHON_PREFERENCE": "system", **variables(), "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise BadModel(
                f"uv cannot make the environment of {self.source.name}:"
                f" {_reason(done.stderr.decode(errors='replace'))}; {_advice(words[0])}"
            )


def environment_of(file: Path, requirements: Path | None) -> Environment:
    """That of an adapter: of a file of requirements, else of its own head.

    Raises:
        BadModel: neither is there, or it cannot be read.
    """
    source = requirements or file
    try:
        text = source.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadModel(
            f"cannot read the requirements {source}: {getattr(error, 'strerror', error)}"
        ) from None
    requires_python = None
    if requirements is None:
        content = head(file)
        if content is None:
            raise BadModel(
                f"{file.name} does not say which packages it needs; name a file of them, or begin it with"
                ' "# /// script" and its dependencies (PEP 723)'
            )
        text, requires_python = content, tomllib.loads(content).get("requires-python")
        if not isinstance(requires_python, str | None):
            raise BadModel(f'{file.name}: requires-python is {requires_python!r}; expected text: ">=3.9"')
    wanted = os.environ.get("UV_PYTHON") or requires_python or ""
    version = "{}{}.{}".format(sys.implementation.name, *sys.version_info)
    parts = (
        version,
        wanted,
        sysconfig.get_platform(),
        str(source.parent.absolute()),
        text,
        *_nested(source, text),
    )
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    return Environment(source, wanted or sys.executable, cache() / "environments" / key)


def head(file: Path) -> str | None:
    """TOML that a Python file begins with, as PEP 723 says; None: it has none.

    Raises:
        BadModel: it cannot be read, or there are two.
    """
    try:
        text = file.read_text("utf-8")
        blocks = [match for match in _HEAD.finditer(text) if match["type"] == "script"]
        if len(blocks) > 1:
            raise ValueError("it has two of them")
        if not blocks:
            return None
        lines = blocks[0]["content"].splitlines(keepends=True)
        content = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
        tomllib.loads(content)
    except (OSError, ValueError) as error:
        raise BadModel(f'{file.name}: cannot read its head "# /// script": {error}') from None
    return content


def variables() -> dict[str, str]:
    """Those of this process, without those that would lead another Python to the packages of this one."""
    return {name: value for name, value in os.environ.items() if name not in _DROPPED}


def _nested(source: Path, text: str, depth: int = 5) -> Iterator[str]:
    """Texts of the files that a file of requirements names."""
    for name in _NESTED.findall(text) if source.suffix != ".py" and depth else ():
        path = source.parent / name
        if path.is_file():
            content = path.read_text("utf-8", errors="replace")
            yield from (content, *_nested(path, content, depth - 1))


def _uv() -> str:
    try:
        import uv
    except ImportError:
        pass
    else:
        try:
            return str(uv.find_uv_bin())
        except FileNotFoundError:
            pass
    if path := shutil.which("uv"):
        return path
    raise BadModel("an environment of an adapter's own needs uv; install it: pip install 'goodenough[env]'")


def _reason(stderr: str) -> str:
    """What uv says was wrong, in one line; older versions draw it as a tree."""
    lines = [line.strip(" ×╰├─▶│") for line in stderr.partition("hint:")[0].splitlines()]
    first = next((i for i, line in enumerate(lines) if line.startswith("error:")), 0)
    if "×" in stderr:
        first = next(i for i, line in enumerate(stderr.splitlines()) if "×" in line)
    reason = " ".join(line for line in lines[first:] if line).removeprefix("error: ").rstrip(".")
    reason = re.sub(r" (?:cause|Caused by): ", ": ", reason)
    return reason if len(reason) <= _MOST_REASON else f"{reason[:200]} ... {reason[200 - _MOST_REASON :]}"


def _advice(verb: str) -> str:
    if verb == "venv":
        return (
            "a Python that is missing is installed by `uv python install VERSION`, or named by UV_PYTHON=PATH"
        )
    return (
        "uv does not read pip's settings: name an index by UV_DEFAULT_INDEX=URL, another one by UV_INDEX=URL,"
        " a folder of wheels by UV_FIND_LINKS=FOLDER"
    )
