"""Real recordings and models, where there are any: found through GOODENOUGH_REAL_AUDIO, skipped without.

The folder holds `instrument/` (metadata.csv with a split `test`) and `models/{ast,sew,wav2vec2,whisper}`.
"""

import json
import os
from pathlib import Path

import pytest

from harness import cli
from tests.helpers.instruments import INSTRUMENTS

ROOT = os.environ.get("GOODENOUGH_REAL_AUDIO")
pytestmark = [
    pytest.mark.skipif(ROOT is None, reason="GOODENOUGH_REAL_AUDIO is not set"),
    pytest.mark.timeout(1200),
]


def goodenough(*arguments):
    assert cli.run([str(a) for a in arguments]) == 0


def test_raw_wave_models_accept_each_others_signals_of_real_recordings(tmp_path, capsys):
    (tmp_path / "instrument.yaml").write_text(INSTRUMENTS)
    root = Path(str(ROOT))
    names = ("sew", "wav2vec2")
    for name in names:
        goodenough(
            *("extract", root / "models" / name, "--task", tmp_path / "instrument.yaml"),
            *("--corpus", root / "instrument", "--limit", 24, "--repetitions", 1),
            *("--out", tmp_path / "signals", "--batch-size", 64),
        )
    for name in names:
        capsys.readouterr()
        goodenough(
            *("evaluate", root / "models" / name, "--signals", tmp_path / "signals"),
            *("--out", tmp_path / "results", "--json"),
        )
        (result,) = json.loads(capsys.readouterr().out)["results"]
        card = result["scorecard"]
        assert card["known_answer"] == 1.0
        assert card["whole"]["accuracy"]["value"] > 0.5
        for family in card["families"]:
            (other,) = [c for c in family["cells"] if not c["same_weights"]]
            assert not other["near_copy"]
            assert other["rates"]["transfer"]["value"] > other["rates"]["silence"]["value"]
            assert other["rates"]["swap"]["value"] < other["rates"]["transfer"]["value"]
            assert other["rates"]["transfer"]["value"] > 0.4
