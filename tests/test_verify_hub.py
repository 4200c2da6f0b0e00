"""Entries of models of the Hub, verified by the real clients against a Hub on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from harness.starter.root import SUITE
from harness.submit import store, verification
from tests.hub import LoopbackHub

ROOT = Path(__file__).parent.parent


def test_a_model_of_the_hub_on_signals_of_the_hub_is_fetched_at_its_commit(tmp_path: Path) -> None:
    shutil.copytree(
        SUITE / "models" / "starter-emotion-wav2vec2", tmp_path / "hub" / "models" / "org" / "ear"
    )
    signals = tmp_path / "hub" / "datasets" / "org" / "signals"
    shutil.copytree(SUITE / "signals", signals, ignore=shutil.ignore_patterns("verdicts"))
    with LoopbackHub(tmp_path / "hub") as hub:

        def goodenough(*arguments: object) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "harness", *map(str, arguments)],
                cwd=tmp_path,
                env={**hub.environment(tmp_path / "cache"), "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=False,
            )

        asked = ("--task", "emotion", "--signals", "org/signals")
        made = goodenough("evaluate", "org/ear", *asked, "--out", "results")
        assert made.returncode == 0, made.stderr
        (folder,) = store.find(tmp_path / "results")
        said = goodenough("verify", "results", "-k", "8")
        assert said.returncode == 0, said.stderr
        assert said.stdout.startswith(f"{folder.relative_to(tmp_path)}: holds: replayed, ")
        v = verification.read(folder)
        assert v is not None
        assert len(v.base or "") == 40
        exported = goodenough("export", "results", "--as", "eval-results")
        assert exported.returncode == 0, exported.stderr
        (told,) = yaml.safe_load(exported.stdout)
        commit = hub.commit("datasets/org/signals")
        assert told["dataset"] == {"id": "org/signals", "task_id": "emotion", "revision": commit}
        # The model has moved on since: it is asked at the commit of its entry all the same.
        shutil.rmtree(tmp_path / "cache")
        weights = tmp_path / "hub" / "models" / "org" / "ear" / "model.safetensors"
        shutil.copy(SUITE / "models" / "starter-emotion-data2vec" / "model.safetensors", weights)
        verification.sidecar_of(folder).unlink()
        assert goodenough("verify", "results", "-k", "8").returncode == 0
        # It is gone: nothing can be said.
        shutil.rmtree(tmp_path / "cache")
        shutil.rmtree(weights.parent)
        verification.sidecar_of(folder).unlink()
        refused = goodenough("verify", "results", "-k", "8")
        assert refused.returncode == 2
        assert "no model org/ear on the Hub" in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert not verification.sidecar_of(folder).exists()
