"""What an adapter's file brings with it, and what becomes of its arguments."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import numpy as np
import pytest

from harness.models.external import answers, imports
from harness.models.external.arguments import convert, signature_of
from tests.helpers.repository import ROOT

if TYPE_CHECKING:  # as adapters do: the names of these in annotations mean nothing while it runs
    import pathlib
    from collections.abc import Sequence

    from torch import Tensor

FILES = {
    "musicnn.py": """
        import json, os.path
        import numpy as np, yaml
        import net.body as body
        from frontend import mel
        from net import head, missing
        from . import sibling

        def later():
            from sklearn.svm import SVC
            import no_such_package
            importlib.import_module("dynamic")
            import_module(".relative", __package__)
            __import__("pip")
            importlib.import_module(f"no_{literal}")
    """,
    "frontend.py": "import scipy.signal\nfrom musicnn import later",
    "sibling.py": "def",
    "dynamic.py": "",
    "relative.py": "",
    "json.py": "import pandas",
    "numpy.py": "import pandas",
    "unused.py": "import pandas",
    "net/__init__.py": "",
    "net/body.py": "from .layers import Conv\nfrom ..frontend import mel\nfrom .... import outside",
    "net/head.py": "from net.space import inner",
    "net/layers.py": "import soundfile",
    "net/space/inner.py": "import torch",
    "net/unused.py": "import pandas",
    ".venv/lib/installed.py": "",
}


def test_modules_beside_an_adapter_are_listed_and_packages_have_their_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(inspect.cleandoc(text))
    modules, packages = imports.imported_packages(tmp_path / "musicnn.py")
    beside = {p.relative_to(tmp_path).as_posix() for p in modules}
    assert beside == {
        *("dynamic.py", "frontend.py", "relative.py", "sibling.py", "net/__init__.py", "net/body.py"),
        *("net/head.py", "net/layers.py", "net/space/inner.py"),
    }
    names = ("PyYAML", "numpy", "pip", "scikit-learn", "scipy", "soundfile", "torch")
    assert packages == {name: version(name) for name in names}

    # An environment in the folder of the adapter is not beside it.
    monkeypatch.syspath_prepend(str(tmp_path / ".venv/lib"))
    (tmp_path / "other.py").write_text("import installed")
    assert imports.imported_packages(tmp_path / "other.py") == ([], {})


def test_an_adapter_is_imported_by_path_and_may_have_the_name_of_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    file = tmp_path / "yaml.py"
    (tmp_path / "beside_it.py").write_text("X = 3")
    for i in (1, 2):  # of the same length and time: not what was compiled before
        file.write_text(f"import yaml\nfrom beside_it import X\nhere = {i}, yaml.__name__, yaml.safe_load, X")
        assert imports.import_file(file).here[:2] == (i, "yaml")
    assert sys.path[-1] == str(tmp_path)
    file.write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        imports.import_file(file)


class Adapter:
    def __init__(
        self,
        checkpoint: Path,
        layers: int = 1,
        *,
        scale: Optional[float] = None,  # noqa: UP045 - as it is written for older versions
        fast: bool | None = None,
        tag: Annotated[str, "any"] = "",
        size: pathlib.Path | None = None,
        window: Tensor | float = 1.0,
        rate: Sequence[Tensor] | None = None,
        device: Any = "cpu",
    ) -> None: ...


HERE = Path.cwd()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"checkpoint": "a/b.pt"}, {"checkpoint": HERE / "a/b.pt"}),
        ({"checkpoint": "~/b.pt"}, {"checkpoint": Path.home() / "b.pt"}),
        ({"checkpoint": "/b", "layers": "12"}, {"checkpoint": Path("/b"), "layers": 12}),
        ({"checkpoint": "/b", "layers": "-1"}, {"checkpoint": Path("/b"), "layers": -1}),
        ({"checkpoint": "none", "scale": "none"}, {"checkpoint": HERE / "none", "scale": None}),
        ({"checkpoint": "/b", "scale": "1e-3"}, {"checkpoint": Path("/b"), "scale": 0.001}),
        *(
            ({"checkpoint": "/b", "fast": text}, {"checkpoint": Path("/b"), "fast": value})
            for text, value in (("TRUE", True), ("yes", True), ("1", True), ("no", False), ("0", False))
        ),
        (
            {"checkpoint": "/b", "tag": "none", "window": "2"},
            {"checkpoint": Path("/b"), "tag": "none", "window": "2"},
        ),
        ({"checkpoint": "/b", "rate": "8000"}, {"checkpoint": Path("/b"), "rate": "8000"}),
        ({"checkpoint": "/b", "size": "x"}, {"checkpoint": Path("/b"), "size": HERE / "x"}),
    ],
)
def test_arguments_become_what_they_are_annotated_as(given: dict[str, str], expected: dict[str, Any]) -> None:
    found = convert(given, signature_of(Adapter))
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]
    assert convert(given, signature_of(Adapter), "cuda")["device"] == "cuda"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "checkpoint missing; give it by --adapter-arg checkpoint=VALUE"),
        ({"checkpoint": "x", "layer": "1"}, "no argument 'layer'; did you mean 'layers'?"),
        (
            {"xyz": "1"},
            "no argument 'xyz'; it takes: checkpoint, layers, scale, fast, tag, size, window, rate, device",
        ),
        ({"checkpoint": "x", "layers": "1e3"}, "the argument layers is '1e3'; expected a whole number"),
        ({"checkpoint": "x", "layers": "none"}, "the argument layers is 'none'; expected a whole number"),
        ({"checkpoint": "x", "scale": ""}, "the argument scale is ''; expected a number"),
        ({"checkpoint": "x", "fast": "on"}, "the argument fast is 'on'; expected true or false"),
        (
            {"checkpoint": "x", "device": "cuda"},
            "the argument device is that of the command: --device cuda",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_one_line(given: dict[str, str], line: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        convert(given, signature_of(Adapter), "cpu")


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 7),
        ("int", 7),
        (int | None, 7),
        (Optional[int], 7),  # noqa: UP045 - as it is written for older versions
        ("typing.Optional[int]", 7),
        ("None | int", 7),
        (Annotated[float, "seconds"], 7.0),
        (str | int, "7"),
        ("Sequence[int]", "7"),
        (inspect.Parameter.empty, "7"),
    ],
)
def test_annotations_are_read_as_types_and_as_text(annotation: Any, value: object) -> None:
    parameter = inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
    found = convert({"x": "7"}, inspect.Signature([parameter]))["x"]
    assert (found, type(found)) == (value, type(value))


def test_an_adapter_may_take_any_argument_none_or_a_device_or_not() -> None:
    class Open:
        def __init__(self, **settings): ...

    class Closed:
        pass

    def by_position(x, /): ...

    assert convert({"a": "1"}, signature_of(Open), "cuda") == {"a": "1"}
    assert convert({}, signature_of(Closed), "cuda") == {}
    with pytest.raises(ValueError, match="no argument 'a'; it takes: none"):
        convert({"a": "1"}, signature_of(Closed))
    with pytest.raises(ValueError, match="x can only be given by its position"):
        convert({}, signature_of(by_position))


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ("spoof", "gave str; expected an array of numbers"),
        (None, "gave NoneType; expected an array of numbers"),
        (np.array(["a"]), "gave an array of <U1; expected an array of numbers"),
        (np.ones(2, dtype=complex), "gave an array of complex128; expected an array of numbers"),
        ([[1.0], [1.0, 2.0]], "gave list that is no array: setting an array element with a sequence"),
    ],
)
def test_what_is_no_array_of_numbers_is_one_line(answer: object, line: str) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(line)}"):
        answers.as_floats(answer)


def test_an_error_is_described_by_its_line_in_the_file_of_the_adapter(tmp_path: Path) -> None:
    file = tmp_path / "a.py"

    def described(text: str) -> str:
        file.write_text(text)
        with pytest.raises(BaseException) as failure:  # noqa: PT011
            imports.import_file(file)
        return answers.describe(failure.value, tmp_path)

    assert described("x = 1\nclass A:\n  y = (") == "SyntaxError: '(' was never closed (a.py, line 3)"
    assert described("import json\n\njson.loads('')").endswith("(char 0) (a.py, line 3)")
    assert described("import sys\nsys.exit()") == "SystemExit (a.py, line 2)"
    assert described("raise OSError('a\\n  b')") == "OSError: a b (a.py, line 1)"
    assert "x" * 500 + " (a.py" in described("raise OSError('x' * 10000)")


@pytest.mark.parametrize("name", ["audio_lm", "clap", "deepfense", "deepfense_frontends", "onnx"])
def test_a_shipped_adapter_can_be_imported_where_this_package_is_not(name: str) -> None:
    tree = ast.parse((ROOT / f"harness/models/adapters/{name}.py").read_text("utf-8"))
    modules = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert [module for module in modules if module and module.split(".")[0] == "harness"] == []
