"""Entries of models of the Hub, verified by the real clients against a Hub on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from harness.entries import store, verification
from tests.helpers import forking
from tests.helpers.hub import LoopbackHub
from tests.helpers.small_starter import MODEL, MODELS, small_suite


def test_a_model_of_the_hub_on_signals_of_the_hub_is_fetched_at_its_commit(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shutil.copytree(MODELS / MODEL, tmp_path / "hub" / "models" / "org" / "ear")
    signals = tmp_path / "hub" / "datasets" / "org" / "signals"
    shutil.copytree(small_suite(tmp_path_factory.getbasetemp()) / "signals", signals)
    results = tmp_path / "results"
    with LoopbackHub(tmp_path / "hub") as hub:

        def goodenough(*arguments: object) -> tuple[int, str, str]:
            (said,) = forking.run([arguments], hub.environment(tmp_path / "cache"))
            return said

        asked = ("--task", "emotion", "--signals", "org/signals")
        code, _, err = goodenough("evaluate", "org/ear", *asked, "--out", results)
        assert code == 0, err
        (folder,) = store.find(results)
        code, out, err = goodenough("verify", results, "-k", 8)
        assert code == 0, err
        assert out.startswith(f"{folder}: holds: replayed, ")
        v = verification.read(folder)
        assert v is not None
        assert (v.base or "").startswith("random:"), "there is no commit"
        code, out, err = goodenough("export", results, "--as", "eval-results")
        assert code == 0, err
        (told,) = yaml.safe_load(out)
        commit = hub.commit("datasets/org/signals")
        assert told["dataset"] == {"id": "org/signals", "task_id": "emotion", "revision": commit}
        # The model has moved on since: it is asked at the commit of its entry all the same.
        shutil.rmtree(tmp_path / "cache")
        weights = tmp_path / "hub" / "models" / "org" / "ear" / "model.safetensors"
        shutil.copy(MODELS / "starter-emotion-data2vec" / "model.safetensors", weights)
        verification.sidecar_of(folder).unlink()
        code, _, err = goodenough("verify", results, "-k", 8)
        assert code == 0, err
        # It is gone: nothing can be said.
        shutil.rmtree(tmp_path / "cache")
        shutil.rmtree(weights.parent)
        verification.sidecar_of(folder).unlink()
        code, _, err = goodenough("verify", results, "-k", 8)
        assert code == 2
        assert "no model org/ear on the Hub" in err
        assert err.count("\n") == 1
        assert not verification.sidecar_of(folder).exists()
