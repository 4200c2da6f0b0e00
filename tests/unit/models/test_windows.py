"""The window of a model: measured, and what is said of it by its configuration."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.evaluation import predict
from harness.model_facts import WindowPlace, window_start
from harness.models import windows
from harness.models.loading import load
from tests.helpers import remote_code, toy_models

NAMES = ("happy", "sad", "neu")
RATE = 4_000


def features(x: Any) -> Any:
    """(n_frames, 3): loudness, crossings and slope of 10 ms each."""
    frames = np.asarray(x, dtype=np.float32)
    frames = frames[: len(frames) // 40 * 40].reshape(-1, 40)
    crossings = np.abs(np.diff(np.sign(frames), axis=1)).mean(axis=1)
    return np.stack([np.square(frames).mean(axis=1), crossings, frames[:, 1:].mean(axis=1)], axis=1)


def normalised(x: Any) -> Any:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-7)


def weighted(weights: Callable[[Any], Any]) -> windows.Ask:
    """The mean over frames, each weighted by its time in seconds."""

    def ask(x: Any) -> Any:
        moved = features(normalised(x))
        w = weights(np.arange(len(moved)) / 100).astype(np.float32)
        return (moved * w[:, None]).sum(axis=0) / w.sum()

    return ask


@pytest.mark.parametrize(
    "seconds",
    [0.05, 4.0, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.5, 1.0, 2.0, 2.5, 7.77, 10.0, 30.0))],
)
@pytest.mark.parametrize("pooling", [np.mean, np.max])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(
    "place", ["start", *(pytest.param(p, marks=pytest.mark.slow) for p in ("middle", "end"))]
)
def test_a_window_is_found_to_ten_milliseconds(
    seconds: float, pooling: Any, normalise: bool, place: WindowPlace
) -> None:
    """Also where the whole clip is normalised before it is cut."""

    def ask(x: Any) -> Any:
        part = normalised(x) if normalise else x
        n = round(seconds * RATE)
        start = window_start(len(x), n, place)
        return pooling(features(part[start : start + n]), axis=0)

    window = windows.measure(ask, RATE)
    assert window is not None
    assert window[1] == place
    assert window[0] == pytest.approx(seconds, abs=0.011 if place != "middle" else 0.021)
    assert windows.holds(ask, RATE, *window) == (True, False)


def attention(x: Any) -> Any:
    moved = features(x)
    w = np.exp(moved - moved.max(axis=0))
    return (moved * w).sum(axis=0) / w.sum(axis=0)


def whole_pieces(seconds: float) -> windows.Ask:
    """What is left over after the last whole piece is ignored; a clip shorter than one is padded."""
    n = round(seconds * RATE)

    def ask(x: Any) -> Any:
        padded = np.concatenate([x, np.zeros(max(0, n - len(x)), np.float32)])
        return features(padded[: len(padded) // n * n]).mean(axis=0)

    return ask


HEAR_EVERYTHING = {
    "mean": lambda x: features(x).mean(axis=0),
    "mean of what is normalised": lambda x: features(normalised(x)).mean(axis=0),
    "largest": lambda x: features(x).max(axis=0),
    "attention": attention,
    "loudness": lambda x: np.array([np.abs(x).mean(), x.std()], dtype=np.float32),
    "peak": lambda x: np.array([np.abs(x).max(), 0], dtype=np.float32),
    "more and more": weighted(lambda t: 1 + t),
    "next to nothing at the start": weighted(lambda t: np.exp(t - t[-1])),
    "pieces of 4 s": lambda x: np.mean(
        [features(x[i : i + 4 * RATE]).mean(axis=0) for i in range(0, len(x), 4 * RATE)], axis=0
    ),
    "whole pieces of 0.7 s": whole_pieces(0.7),
    "whole pieces of 1.5 s": whole_pieces(1.5),
    "whole pieces of 3 s": whole_pieces(3),
    "whole pieces of 5 s": whole_pieces(5),
    "whole pieces of 3 s at the end": lambda x: features(x[len(x) % (3 * RATE) :]).mean(axis=0),
    "less and less": weighted(lambda t: 1 / (1 + t)),
    "next to nothing at the end": weighted(lambda t: np.exp(-t)),
    "nothing that float32 can hold at the end": weighted(lambda t: np.exp(-4 * t)),
    "a thousandth after 4 s": weighted(lambda t: np.where(t < 4, 1.0, 1e-3)),
}


@pytest.mark.parametrize("name", HEAR_EVERYTHING)
def test_a_model_that_hears_everything_is_not_called_cut(name: str) -> None:
    assert windows.measure(HEAR_EVERYTHING[name], RATE) is None


def test_nothing_is_made_up_where_it_cannot_be_measured() -> None:
    rng = np.random.default_rng(0)

    def fails(x: Any) -> Any:
        raise ValueError("not so long")

    def takes_little(x: Any) -> Any:
        return features(x).mean(axis=0) if len(x) <= 2 * RATE else fails(x)

    def takes_much(x: Any) -> Any:
        return features(x[: 4 * RATE]).mean(axis=0) if len(x) >= 4 * RATE else fails(x)

    assert windows.measure(lambda x: np.zeros(3, np.float32), RATE) is None
    assert windows.measure(lambda x: rng.normal(size=3).astype(np.float32), RATE) is None
    assert windows.measure(fails, RATE) is None
    assert windows.measure(takes_little, RATE) is None
    assert windows.measure(takes_much, RATE) == (4.0, "start")
    assert windows.measure(takes_much, RATE, lambda n_samples: n_samples < 4 * RATE) is None


def test_a_model_that_takes_no_short_sound_is_checked_by_one_that_it_takes() -> None:
    def ask(x: Any) -> Any:
        assert len(x) >= 3 * RATE
        return features(x).mean(axis=0)

    assert windows.holds(ask, RATE, None, "start", 3 * RATE) == (True, False)
    assert windows.usual_seconds(RATE, 3 * RATE) == 3
    assert windows.usual_seconds(RATE, 1) == 2


def test_the_same_window_is_found_each_time() -> None:
    asked: list[list[bytes]] = [[], []]

    def ask(x: Any) -> Any:
        asked[-1].append(x.tobytes())
        return features(x[: 3 * RATE]).mean(axis=0)

    assert windows.measure(ask, RATE) == (3.0, "start")
    asked.append([])
    assert windows.measure(ask, RATE) == (3.0, "start")
    assert asked[1] == asked[2]


AST = "audio-spectrogram-transformer"
SAMPLE = [(AST, 8_000, {}), ("whisper", 16_000, {})]
KNOWN = [(architecture, 16_000, {}) for architecture in toy_models.ARCHITECTURES]
KNOWN += [(AST, rate, {}) for rate in (11_025, 22_050, 32_000, 44_100, 48_000)]
KNOWN += [(AST, 16_000, {"time_stride": stride}) for stride in (1, 10, 20)]
KNOWN += [("whisper", rate, {}) for rate in (8_000, 32_000, 48_000)]
KNOWN += [("hubert", 8_000, {}), ("hubert", 44_100, {}), ("sew", 8_000, {}), ("wav2vec2-bert", 8_000, {})]


@pytest.mark.filterwarnings("ignore:At least one mel filter")  # of the feature extractor that a toy is given
@pytest.mark.parametrize(
    ("architecture", "rate", "settings"),
    [*SAMPLE, *(pytest.param(*case, marks=pytest.mark.slow) for case in KNOWN if case not in SAMPLE)],
    ids=lambda value: str(value).replace(" ", ""),
)
def test_what_is_said_of_a_known_architecture_is_what_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, rate: int, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(windows, "SECONDS", (1, 4))  # no toy has a window of more than two
    folder = toy_models.save_model(
        tmp_path / "toy", architecture, NAMES, sample_rate_hz=rate, settings=settings
    )
    model = load(str(folder), device="cpu")
    stated, measured = model.facts.window_seconds, model.measured_window()
    if stated is None:
        assert measured is None
    else:
        # Of the window of the last frame little is left at its end.
        assert measured is not None
        assert measured[1] == "start"
        assert stated - 0.02 < measured[0] < stated + 0.011


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that is trusted is copied to a folder of the test."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr("sys.path", [*sys.path])


OWN: dict[str, tuple[dict[str, Any], float]] = {
    "4 s": ({"hear": "heard = input_values[:, :64_000]"}, 4.0),
    "1.5 s, the largest": ({"hear": "heard = input_values[:, :24_000]", "pool": "frames.amax(2)"}, 1.5),
    "3 s at 8 kHz": ({"hear": "heard = input_values[:, :24_000]", "sample_rate_hz": 8_000}, 3.0),
    "4 s, short ones padded": (
        {"hear": "heard = torch.nn.functional.pad(input_values, (0, 64_000))[:, :64_000]"},
        4.0,
    ),
    "4 s, short ones repeated": ({"hear": "heard = input_values.repeat(1, 4)[:, :64_000]"}, 4.0),
    "the middle 4 s": (
        {
            "hear": "n = max(0, input_values.shape[1] - 64_000) // 2\n"
            "        heard = input_values[:, n : n + 64_000]",
            "place": "middle",
        },
        4.0,
    ),
    "the last 4 s": ({"hear": "heard = input_values[:, -64_000:]", "place": "end"}, 4.0),
    "all": ({}, None),
    "all, less and less": (
        {"pool": "(frames * torch.exp(-torch.arange(frames.shape[2]) / 3000)).sum(2) / 3000"},
        None,
    ),
    "all, in pieces": ({"hear": "heard = input_values[:, : input_values.shape[1] // 100 * 100]"}, None),
}


slow = pytest.mark.slow


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(
    "name",
    [
        name if name in ("4 s", "the middle 4 s", "the last 4 s", "all") else pytest.param(name, marks=slow)
        for name in OWN
    ],
)
def test_the_window_of_a_model_with_code_of_its_own_is_measured(tmp_path: Path, name: str) -> None:
    settings, seconds = dict(OWN[name][0]), OWN[name][1]
    place = settings.pop("place", "start")
    folder = remote_code.save_model(tmp_path / "own", NAMES, **settings)
    model = load(str(folder), device="cpu", trust_remote_code=True)
    assert model.facts.window_seconds == pytest.approx(seconds, abs=0.011)
    assert model.facts.window_at == place
    assert model.window_holds() == (True, False)
    rate = model.facts.sample_rate_hz
    n, n_inside = 10 * rate, round((seconds or 10) * rate)
    long = np.full(n, 0.5, dtype=np.float32)
    long[window_start(n, n_inside, place) :][:n_inside] = 1.0
    loud, quiet = n_inside, (n - n_inside) / 4
    wanted = (n_inside / rate, loud / (loud + quiet))
    assert predict.visible_part(long, rate, model.facts) == pytest.approx(wanted, rel=0.01)
