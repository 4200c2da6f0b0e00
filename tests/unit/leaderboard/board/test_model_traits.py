"""What a reference's signals keep, over frequency."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.dataset.suites import Suite
from harness.types import ModelRef
from leaderboard.board import model_traits
from tests.helpers.toy_models import TASK, add_signals, clip_of


@pytest.mark.parametrize(
    ("family", "total"), [("minimal@bins", 1), ("minimal@tiles2x16", 1), ("minimal@blocks10ms", 0)]
)
def test_blocks_keep_all_frequencies_alike_and_have_no_distribution(
    tmp_path: Path, family: str, total: int
) -> None:
    signals = add_signals(tmp_path, families=[family], clips=[clip_of(i, 4_000) for i in range(4)])
    model = ModelRef(signals[0].reference, "a" * 64, "b" * 64)
    mel, sizes, top_hz = model_traits._use(Suite(tmp_path, "local/toys"), TASK.name, model)
    assert mel.sum() == pytest.approx(total)
    assert sizes == pytest.approx([signal.n_kept / len(signal.mask) for signal in signals])
    assert top_hz == 8_000
    assert np.isfinite(mel).all()
