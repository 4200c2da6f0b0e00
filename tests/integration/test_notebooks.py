"""The notebooks of the documentation: each runs as it stands, without a warning, with what a reader has."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import jupytext
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from tests.helpers.repository import DOCS

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.py"))
LIBRARIES = {"goodenough", "matplotlib", "pandas"}


def test_there_are_two() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["score_a_model", "study_a_suite"]


@pytest.mark.slow  # the site that tests/browser/test_documentation.py builds executes them, too
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_without_a_warning(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    with mpl.rc_context({"backend": "Agg"}):
        names = runpy.run_path(str(path))
        plt.close("all")
    assert shown
    assert names["suite"].tasks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_opens_in_jupyter_with_a_title_and_needs_no_other_library(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    assert notebook.metadata["kernelspec"]["name"] == "python3"
    assert [line for line in notebook.cells[0].source.splitlines() if line.startswith("# ")]
    assert {cell.cell_type for cell in notebook.cells} == {"code", "markdown"}
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert "goodenough" in imported <= LIBRARIES
