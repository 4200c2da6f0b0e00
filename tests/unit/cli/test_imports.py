"""Which modules a command imports, seen in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.starter.paths import SUITE
from tests.helpers.repository import ROOT

ENTRY = str(next(SUITE.glob("signals/verdicts/*emotion*/*/*/entry.json")).parent)
HEAVY = ("torch", "transformers", "sklearn", "matplotlib", "datasets", "huggingface_hub", "jinja2", "joblib")
SCIPY = ("scipy.stats", "scipy.fft", "scipy.io", "scipy.optimize", "scipy.ndimage")
CODE = """
import sys
from harness.cli import run
code = run(sys.argv[1:])
print(*sorted({%r} & {*sys.modules}), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words", [("validate", ENTRY), ("export", ENTRY, "--as", "model-index")], ids=lambda words: words[0]
)
def test_checking_an_entry_imports_nothing_that_it_does_not_use(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    modules = "', '".join((*HEAVY, *SCIPY))
    result = subprocess.run(
        [sys.executable, "-c", CODE.replace("%r", f"'{modules}'"), *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr.splitlines()[-1] == ""
