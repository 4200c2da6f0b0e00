"""Signals of every domain on a page: their pictures, and in words how much they keep, and where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.api.signals import Signal
from harness.dataset.suites import Suite
from leaderboard.plots.signals import signal_picture
from leaderboard.reports.audio_examples import describe_mask, examples
from tests.helpers.masked_signals import signal_keeping
from tests.helpers.toy_models import TASK, add_signals, clip_of

RATE = 16_000


@pytest.mark.parametrize(
    ("family", "atoms", "n_samples", "words"),
    [
        ("minimal@bins", [10, 500], 4_000, "2 of 2,001 bins (0.1 %), 40 to 2,000 Hz"),
        ("minimal@bins", [], 4_000, "0 of 2,001 bins (0 %)"),
        # Three bands from 1 to 8,000 Hz are of 20, 380 and 7,601 bins: 20 * 20 * 20 = 8,000.
        ("responsibility@bands3", [1], RATE, "1 of 3 bands (4.7 % of the bins), 20 to 399 Hz"),
        ("responsibility@bands3", [], RATE, "0 of 3 bands (0 % of the bins)"),
        ("responsibility@mel2", [0, 1], RATE, "2 of 2 bands (100 % of the bins), 0 to 8,000 Hz"),
        ("minimal@blocks10ms", [12, 84], RATE, "2 of 100 blocks, 0.12 to 0.85 s"),
        ("minimal@blocks20ms+swap", [6], RATE, "1 of 50 blocks, 0.12 to 0.14 s"),
        ("minimal@blocks10ms", [], RATE, "0 of 100 blocks"),
        ("minimal@blocks10ms", [1], 200, "1 of 2 blocks, 0.01 to 0.01 s"),
        # Frames are 16 ms apart, and the first tile of eight begins with half a frame.
        ("minimal@tiles8x16", [16 + 2, 5 * 16], RATE, "2 of 128 tiles, 0.12 to 0.76 s, 0 to 1,500 Hz"),
        ("minimal@tiles8x16", [4 * 16 + 15], RATE, "1 of 128 tiles, 0.50 to 0.63 s, 7,500 to 8,000 Hz"),
        ("minimal@tiles8x16", [], RATE, "0 of 128 tiles"),
    ],
)
def test_what_is_kept_is_counted_in_atoms_and_placed(
    family: str, atoms: Sequence[int], n_samples: int, words: str
) -> None:
    described = describe_mask(signal_keeping(atoms, family, n_samples))
    assert described.replace("\N{NARROW NO-BREAK SPACE}", " ") == words


@pytest.mark.parametrize(
    ("family", "over", "words"),
    [
        ("minimal@bins", "Spectrum of the clip", " of 2,001 bins ("),
        ("responsibility@bands128", "Spectrum of the clip", " of 128 bands ("),
        ("responsibility@blocks10ms", "Spectrogram of the clip, ", " of 25 blocks, "),
        ("minimal@tiles2x16", "Spectrogram of the clip, ", " of 144 tiles, "),
    ],
)
def test_a_card_and_a_notebook_show_a_signal_of_each_domain(
    tmp_path: Path, family: str, over: str, words: str
) -> None:
    record, *_ = add_signals(tmp_path, families=[family], clips=[clip_of(i, 4_000) for i in range(4)])
    suite = Suite(tmp_path, "local/toys")
    (card,) = examples(suite, TASK.name, {record.signal_id: "title"}, [])
    assert words in card.mask_summary
    assert card.mask_summary == describe_mask(record)
    clip = suite.clip(TASK.name, record.clip_id).waveform
    assert card.picture == signal_picture(clip, record)
    assert f'aria-label="{over}' in card.picture
    assert [player.name for player in card.players][:3] == ["Whole clip", "Signal", "Swap"]
    shown = Signal(record, clip, clip)
    assert shown.plot().svg == signal_picture(clip, record, alone=True)
    assert shown.plot().svg in shown._repr_html_()
