"""Adapters in processes of their own: the same answers, and one line for whatever goes wrong."""

from __future__ import annotations

import base64
import gc
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import BadModel
from harness.models import devices
from harness.models.external import answers, environments, imports
from harness.models.external.isolated import IsolatedAdapter, open_isolated
from tests.helpers.failing_adapters import FAILS, ends, is_running
from tests.helpers.repository import ROOT

Opener = Callable[..., IsolatedAdapter]
WAVEFORMS = [np.full(8, 0.5, dtype=np.float32), np.zeros(8, dtype=np.float32)]
ANSWER = [[0, 4], [0, 0]]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Opens a class of a text, in the interpreter of the tests."""
    adapters = []

    def opener(source: str, class_name: str = "Fails", **settings: Any) -> IsolatedAdapter:
        file = tmp_path / "fails.py"
        file.write_text(textwrap.dedent(source))
        arguments = settings.pop("arguments", {})
        settings.setdefault("command", [sys.executable])
        adapters.append(open_isolated(file, class_name, arguments, **settings))
        return adapters[-1]

    yield opener
    for adapter in adapters:
        adapter.close()


FAILURES = {
    "exits": "fails.py:Fails ended in logits, with exit code 3; its last line: last words",
    "crashes": "fails.py:Fails crashed in logits: SIGSEGV; its last line: malloc(): corrupted top size",
    "raises": "fails.py:Fails failed in logits: LinAlgError: Last 2 dimensions of the array must be square"
    " (fails.py, line 39)",
    "returns_much": "fails.py:Fails gave an array of shape (1000, 1000) for 2 waveforms and 2 classes",
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_call_that_fails_is_one_line_and_the_adapter_is_closed(how: str, opened: Opener) -> None:
    at = 7 if how == "exits" else 1
    adapter = opened(FAILS, arguments={"how": how, "at": str(at)})
    pid = adapter._connection.pid
    for _ in range(at - 1):
        assert adapter.logits(WAVEFORMS).tolist() == ANSWER
    with pytest.raises(BadModel) as failure:
        adapter.logits(WAVEFORMS)
    line = str(failure.value)
    assert line.startswith(FAILURES[how])
    assert "\n" not in line
    assert not is_running(pid)
    with pytest.raises(BadModel) as again:
        adapter.logits(WAVEFORMS)
    assert str(again.value) == line


def test_a_hang_is_one_line_and_ends_all_that_the_adapter_started(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD", str(tmp_path / "child"))
    adapter = opened(FAILS, arguments={"how": "hangs"}, timeout_s=1.0)
    pid = adapter._connection.pid
    assert os.getpgid(pid) != os.getpgrp(), "Ctrl-C in a terminal would reach it"
    with pytest.raises(BadModel, match=r"^fails.py:Fails did not answer within 1 s in logits; is it slow"):
        adapter.logits(WAVEFORMS)
    assert not is_running(pid)
    assert ends(int((tmp_path / "child").read_text()), 5)


def test_what_is_no_failure_comes_through(opened: Opener, capfd: pytest.CaptureFixture[str]) -> None:
    adapter = opened(FAILS, arguments={"how": "prints"})
    assert adapter.logits(WAVEFORMS).tolist() == ANSWER
    assert adapter.logits(WAVEFORMS[:1]).tolist() == ANSWER[:1]
    assert capfd.readouterr() == ("", "")
    assert (adapter.class_names, adapter.sample_rate_hz) == (("quiet", "loud"), 16_000)
    assert not any(hasattr(adapter, name) for name in ("scores", "window_seconds", "deeper", "how"))
    adapter.close()
    with pytest.raises(BadModel, match="is closed"):
        adapter.logits(WAVEFORMS)


def test_memory_that_runs_out_is_told_apart_and_the_adapter_goes_on(opened: Opener) -> None:
    adapter = opened(FAILS, arguments={"how": "fills_memory"})
    with pytest.raises(MemoryError, match=r"out of memory with 2 waveforms: RuntimeError: .*allocate"):
        adapter.logits(WAVEFORMS)
    assert adapter.logits(WAVEFORMS).tolist() == ANSWER
    assert set(devices._FULL) < set(answers._FULL), "the same messages as in this process"


ATTRIBUTES = """
    from __future__ import annotations
    import numpy as np, sys
    from pathlib import Path
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        from torch import Tensor

    class Adapter:
        window_seconds = None
        kind = "zero-shot"
        prompts = ("a", "b")
        licence: str | None = None
        threshold, above, threshold_source = np.float32(0.25), "b", "a line"

        def __init__(self, path: Path | None, n: int, tensor: Tensor = None, *, device):
            self.class_names, self.sample_rate_hz = ["a", "b"], np.int64(n)
            self.weights = ["w.safetensors", path]
            self.n_parameters, self.licence = 7, device
            self.answers = [np.nan, float("inf"), np.float16(0.5), np.ones((2, 3), np.float32), [1, 2]]

        def scores(self, waveforms):
            assert waveforms[0].flags.writeable and waveforms[0].dtype == np.float32
            assert [len(each) for each in waveforms] == [5, 1]
            return np.array(self.answers.pop(0))
"""


def test_attributes_and_answers_are_those_of_the_instance(opened: Opener, tmp_path: Path) -> None:
    adapter = opened(ATTRIBUTES, "Adapter", arguments={"path": "x.bin", "n": "8000"}, device="cuda:9")
    assert adapter._attributes == {
        "class_names": ("a", "b"),
        "sample_rate_hz": 8000,
        "window_seconds": None,
        "weights": (tmp_path / "w.safetensors", Path("x.bin").absolute()),
        "prompts": ("a", "b"),
        "kind": "zero-shot",
        "n_parameters": 7,
        "licence": "cuda:9",
        "threshold": 0.25,
        "above": "b",
        "threshold_source": "a line",
    }
    assert not hasattr(adapter, "logits")
    assert not hasattr(adapter, "min_samples")
    waveforms = [np.ones(5, np.float32)[::1], np.ones(1, np.float32)]
    found = [adapter.scores(waveforms) for _ in range(5)]
    assert [(each.dtype, each.shape) for each in found] == [
        ("float64", ()),
        ("float64", ()),
        ("float32", ()),
        ("float32", (2, 3)),
        ("float64", (2,)),
    ]
    assert np.isnan(found[0])
    assert found[1] == np.inf
    assert (adapter.packages["numpy"], adapter.modules) == (np.__version__, [])


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("class Fail: pass", "fails.py has no class Fails; did you mean 'Fail'?"),
        ("\nimport nothing_like_it", r"ModuleNotFoundError: No module .* \(fails.py, line 2\); do the req"),
        ("import os\nos.abort()", "crashed while it was constructed: SIGABRT$"),
        ("class Fails:\n  def __init__(self, way): pass", "no argument 'how'; it takes: way$"),
        (
            "class Fails:\n  def __init__(self, how):\n\n    self.x = {}[how]",
            r"cannot be constructed: KeyError: 'x' \(fails.py, line 4\)$",
        ),
        (
            "class Fails:\n  class_names = {1: 'a'}\n  def __init__(self, how): pass",
            "cannot be used: TypeError: class_names is a dict; expected text, a number, or a list of them",
        ),
    ],
)
def test_what_cannot_be_constructed_is_one_line(source: str, line: str, opened: Opener) -> None:
    with pytest.raises(BadModel, match=line) as failure:
        opened(source, arguments={"how": "x"})
    assert str(failure.value).startswith("fails.py:Fails ")
    assert "\n" not in str(failure.value)


def frame(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + data


READY = {"attributes": {"class_names": ["a", "b"]}, "methods": ["logits"], "modules": [], "packages": {}}
HOSTILE = {
    "a header of 4 GB": (b"\xff\xff\xff\xff", "no answer in logits"),
    "a header nested without end": (frame(b"[" * 2**19), "no answer in logits"),
    "a list": (frame([]), "no answer in logits"),
    "no text": (frame(b"\x80\x04K\x01."), "no answer in logits"),
    "a type of Python": (frame({"shape": [1], "dtype": "object"}), "no answer in logits"),
    "a shape that is negative": (frame({"shape": [-1, -1], "dtype": "float32"}), "no answer in logits"),
    "a shape of nothing that overflows": (frame({"shape": [0, 2**99], "dtype": "float32"}), "no answer"),
    "a shape of 8 TB": (frame({"shape": [10**6, 2 * 10**6], "dtype": "float32"}), "gave an array of shape"),
    "half an answer": (
        frame({"shape": [2, 2], "dtype": "float32"}, b"\0" * 8),
        "did not answer within 0.5 s",
    ),
    "an error that is no text": (frame({"error": [], "is_full": True}), "an error without a message"),
    "an error with escapes": (frame({"error": "\x1b[2J\n\ud800"}), r"failed in logits: \\x1b\[2J \\ud800$"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_process_that_sends_something_else_does_no_harm(what: str, opened: Opener, tmp_path: Path) -> None:
    sent, line = HOSTILE[what]
    (tmp_path / "sent").write_bytes(frame({"hello": 1}) + frame(READY) + sent)
    script = tmp_path / "other.py"
    script.write_text(
        f"import sys; sys.stdout.buffer.write(open({str(tmp_path / 'sent')!r}, 'rb').read());"
        "sys.stdout.flush(); sys.stdin.read(600)"
    )
    adapter = opened("", command=[sys.executable, "-S", str(script)], timeout_s=0.5)
    with pytest.raises(BadModel, match=line):
        adapter.logits(WAVEFORMS)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({**READY, "attributes": {"__class__": "x"}}, "attributes of a wrong form"),
        ({**READY, "attributes": {"weights": [["x"]]}}, "attributes of a wrong form"),
        ({**READY, "packages": {"x": 1}}, "attributes of a wrong form"),
        ({"hello": 1}, "attributes of a wrong form"),
    ],
)
def test_attributes_of_another_form_are_refused(answer: object, line: str, opened: Opener, tmp_path: Path):
    script = tmp_path / "other.py"
    text = repr(frame({"hello": 1}) + frame(answer))
    script.write_text(f"import sys; sys.stdout.buffer.write({text}); sys.stdout.flush(); sys.stdin.read(600)")
    with pytest.raises(BadModel, match=line):
        opened("", command=[sys.executable, "-S", str(script)])


def test_a_process_that_cannot_be_started_is_one_line(opened: Opener) -> None:
    with pytest.raises(BadModel, match=r"cannot be started: /nowhere/python: No such file"):
        opened("", command=["/nowhere/python"])
    with pytest.raises(BadModel, match=r"ended at its start, with exit code 0$"):
        opened("", command=["true"])


PARENT = """
import sys, threading, time
from pathlib import Path
from harness.models.external.isolated import open_isolated
import numpy as np

file = Path(sys.argv[1])
idle, busy = (
    open_isolated(file, "Fails", {"how": "hangs"}, command=[sys.executable]) for _ in range(2)
)
threading.Thread(target=lambda: busy.logits([np.zeros(4, np.float32)]), daemon=True).start()
while not Path(sys.argv[2]).exists() or not Path(sys.argv[2]).read_text().endswith("\\n"):
    time.sleep(0.01)
print(idle._connection.pid, busy._connection.pid, Path(sys.argv[2]).read_text(), flush=True)
if sys.argv[3] == "wait":
    time.sleep(600)
"""


@pytest.mark.parametrize("how", ["wait", pytest.param("exit", marks=pytest.mark.slow)])
def test_nothing_is_left_when_the_parent_ends_or_is_killed_also_during_a_call(
    how: str, tmp_path: Path
) -> None:
    file = tmp_path / "fails.py"
    file.write_text(FAILS)
    environment = {**os.environ, "CHILD": str(tmp_path / "child"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PARENT, str(file), str(tmp_path / "child"), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 3
        if how == "wait":
            assert all(is_running(pid) for pid in pids)
            parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert [pid for pid in pids if not ends(pid, 20)] == []


def test_an_adapter_that_nobody_holds_ends(opened: Opener, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(FAILS)
    adapter = open_isolated(tmp_path / "a.py", "Fails", {"how": "exits"}, command=[sys.executable])
    pid = adapter._connection.pid
    owner, adapter._connection._owner = adapter._connection._owner, -1
    adapter._connection.end(0)  # as a fork of this process would
    with pytest.raises(RuntimeError, match="belongs to the process that opened it"):
        adapter.logits(WAVEFORMS)
    assert is_running(pid)
    adapter._connection._owner = owner
    del adapter
    gc.collect()
    assert not is_running(pid)


def test_ctrl_c_during_a_call_ends_the_adapter(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = opened(FAILS, arguments={"how": "exits", "at": "0"})

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adapter._connection, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        adapter.logits(WAVEFORMS)
    with pytest.raises(BadModel, match="was interrupted"):
        adapter.logits(WAVEFORMS)


NET = """
    import torch
    from torch import nn

    class Net:
        class_names = ("a", "b", "c")
        sample_rate_hz = 16_000

        def __init__(self, seed: int):
            torch.manual_seed(seed)
            layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
            self.front, self.body = nn.Conv1d(1, 32, 400, 160), nn.TransformerEncoder(layer, 2)
            self.head = nn.Linear(32, 3)
            for part in (self.front, self.body, self.head):
                part.eval()

        def logits(self, waveforms):
            x = torch.stack([torch.from_numpy(waveform.copy()) for waveform in waveforms])[:, None]
            assert torch.get_num_threads() == 2
            return self.head(self.body(self.front(x).transpose(1, 2)).mean(1))
"""


def test_answers_are_those_of_this_process_to_the_last_bit(opened: Opener, tmp_path: Path) -> None:
    import torch

    rng = np.random.default_rng(0)
    waveforms = [rng.normal(size=16_000).astype(np.float32) for _ in range(5)]
    before = torch.get_num_threads()
    torch.set_num_threads(2)  # by the process, not by a variable that its children see
    try:
        isolated = opened(NET, "Net", arguments={"seed": "3"})
        here = imports.import_file(tmp_path / "fails.py").Net(3)
        for batch in (waveforms, waveforms[:1]):
            expected = answers.ask(here.logits, batch)
            assert expected.shape == (len(batch), 3)
            assert isolated.logits(batch).tobytes() == expected.tobytes()
    finally:
        torch.set_num_threads(before)


# ---- environments ----------------------------------------------------------------------------------


def wheel(folder: Path, name: str, files: dict[str, str]) -> None:
    """A package of version 1.2.3, made by hand."""
    info = f"{name}-1.2.3.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    with zipfile.ZipFile(folder / f"{name}-1.2.3-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(path, text)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of wheels: numpy, and a package that no index has."""
    folder = tmp_path_factory.mktemp("wheels")
    wheel(folder, "tiny_detector", {"tinydetector/__init__.py": "def loudness(w): return abs(w).max()\n"})
    download = ["pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", str(folder)]
    subprocess.run([sys.executable, "-m", *download, f"numpy=={np.__version__}"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        yield folder


DETECTOR = """
    import importlib.util, sys
    from tinydetector import loudness

    class tinydetector:
        class_names = ("quiet", "loud")
        sample_rate_hz = 16_000
        threshold, above, threshold_source = 0.25, "loud", "by hand"
        prompts = [sys.prefix, *(str(importlib.util.find_spec(name)) for name in ("torch", "harness"))]

        def scores(self, waveforms):
            return [loudness(w) for w in waveforms]
"""


HEAD = """\
# /// script
# dependencies = ["tiny-detector"]
# requires-python = ">=3.11"
# [tool.uv]
# no-index = true
# find-links = ["{wheels}"]
# ///
"""


@pytest.mark.parametrize("is_head", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_adapter_runs_in_an_environment_of_its_own(
    is_head: bool, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOODENOUGH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    file, requirements = tmp_path / "tinydetector.py", None
    file.write_text(HEAD.format(wheels=wheels) + textwrap.dedent(DETECTOR))
    if not is_head:
        requirements = tmp_path / "requirements.txt"
        requirements.write_text(f"--no-index\n--find-links {wheels}\ntiny-detector\n")
    environment = environments.environment_of(file, requirements)
    assert not environment.is_ready()
    with open_isolated(file, "tinydetector", {}, requirements=requirements) as adapter:
        assert environment.is_ready()
        assert adapter.scores(WAVEFORMS).tolist() == [0.5, 0.0]
        assert adapter.packages == {"tiny_detector": "1.2.3"}
        assert adapter.modules == [], "the package of the same name is imported, not the adapter itself"
        assert adapter.prompts == (str(environment.folder), "None", "None")
    # What has been made needs neither uv nor a network.
    monkeypatch.setattr(environments, "_uv", lambda: pytest.fail("uv was looked for"))
    environments.environment_of(file, requirements).make()
    (requirements or file).write_text((requirements or file).read_text().replace("tiny-d", "tiny_d"))
    assert not environments.environment_of(file, requirements).is_ready()


@pytest.mark.parametrize(
    ("requirements", "line"),
    [
        (
            "--no-index\n--find-links {wheels}\nno-such-detector\n",
            "no-such-detector was not found .*; uv does not read pip's settings",
        ),
        ("numpy <<3\n", "Couldn't parse requirement"),
        ("-r other.txt\n", "other.txt"),
    ],
)
def test_an_environment_that_cannot_be_made_is_one_line_with_the_reason_of_uv(
    requirements: str, line: str, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOODENOUGH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "r.txt").write_text(requirements.format(wheels=wheels))
    with pytest.raises(BadModel, match=line) as failure:
        open_isolated(tmp_path / "a.py", "A", {}, requirements=tmp_path / "r.txt")
    assert str(failure.value).startswith("a.py:A: uv cannot make the environment of r.txt: ")
    assert "\n" not in str(failure.value)


UV_0_9 = """Using Python 3.11.7 environment at: e9
  × No solution found when resolving dependencies:
  ╰─▶ Because x was not found in the provided package locations
      and you require x, we can conclude that your requirements
      are unsatisfiable.

      hint: Packages were unavailable because index lookups were disabled
      and no additional package locations were provided (try: `--find-links
      <uri>`)
"""
UV_0_13 = """Using Python 3.11.7 environment at: e9
error: Request failed after 3 retries in 6.7s
  cause: Failed to fetch: http://127.0.0.1:9/simple/numpy/
  cause: Connection refused (os error 111)

hint: try again
"""


def test_the_reason_of_every_version_of_uv_is_read() -> None:
    assert environments._reason(UV_0_9) == (
        "No solution found when resolving dependencies: Because x was not found in the provided package"
        " locations and you require x, we can conclude that your requirements are unsatisfiable"
    )
    assert environments._reason(UV_0_13) == (
        "Request failed after 3 retries in 6.7s: Failed to fetch: http://127.0.0.1:9/simple/numpy/:"
        " Connection refused (os error 111)"
    )
    assert environments._reason("") == ""


def test_without_uv_the_line_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOODENOUGH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "uv", None)
    (tmp_path / "r.txt").write_text("")
    with pytest.raises(BadModel, match=r"needs uv; install it: pip install 'goodenough\[env\]'$"):
        open_isolated(tmp_path / "a.py", "A", {}, requirements=tmp_path / "r.txt")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import numpy\n", 'does not say which packages it needs; .*begin it with "# /// script"'),
        ("# /// script\n# x =\n# ///\n", "cannot read its head"),
        ("# /// script\n# x = 1\n# ///\n\n# /// script\n#\n# ///\n", "it has two of them"),
        ("# /// script\n# requires-python = 3.11\n# ///\n", "requires-python is 3.11; expected text"),
        ("\udcff", "cannot read"),
        (None, "cannot read the requirements .*a.py: No such file"),
    ],
)
def test_a_head_that_cannot_be_read_is_one_line(text: str | None, line: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "a.py").write_text(text, errors="surrogateescape")
    with pytest.raises(BadModel, match=line):
        environments.environment_of(tmp_path / "a.py", None)


def test_a_head_is_read_as_it_is_defined(tmp_path: Path) -> None:
    block = '# /// script\n# dependencies = [\n#   "x",\n#\n# ]\n# ///\n'
    text = f"#!/usr/bin/env python\n# /// other\n# a\n# ///\n\n{block}"
    (tmp_path / "a.py").write_text(text)
    assert environments.head(tmp_path / "a.py") == 'dependencies = [\n  "x",\n\n]\n'


def test_files_that_a_file_of_requirements_names_are_part_of_its_environment(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("-r more.txt\n")
    folders = set()
    for text in ("a", "b", "a"):
        (tmp_path / "more.txt").write_text(text)
        folders.add(environments.environment_of(tmp_path / "a.py", tmp_path / "r.txt").folder)
    assert len(folders) == 2
