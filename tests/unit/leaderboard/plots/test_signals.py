"""Pictures of signals: what is highlighted, where, and that each can stand on a page beside others."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from leaderboard.plots import inline, spectrogram
from leaderboard.plots.signals import kept_atoms, signal_picture
from tests.helpers.masked_signals import signal_keeping

RATE = 16_000
NOISE = np.random.default_rng(5).normal(size=RATE).astype(np.float32)
LEFT, RIGHT, BOTTOM = 44, 468, 120
SVG = "{http://www.w3.org/2000/svg}"


def _rectangles(svg: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each in the part that is kept; none where it is no path."""
    elements = ElementTree.fromstring(svg).iter()  # noqa: S314 - our own
    (path,) = [each for each in elements if (each.get("id") or "").endswith("-kept")]
    text, number = path.get("d") or "", r"([\d.]+)"
    corners = re.findall(f"M{number} {number}H{number}V{number}H{number}Z", text)
    assert text.count("M") == len(corners)
    assert all(left == again for left, _, _, _, again in corners)
    return [(float(left), float(top), float(right), float(bottom)) for left, top, right, bottom, _ in corners]


def _label(svg: str) -> str | None:
    return ElementTree.fromstring(svg).get("aria-label")  # noqa: S314 - our own


def _x(seconds: float) -> float:
    """Of a clip of one second."""
    return LEFT + (RIGHT - LEFT) * seconds


def _y(hertz: float) -> float:
    return BOTTOM * (1 - np.log1p(hertz / 700) / np.log1p(RATE / 1400))


@pytest.mark.parametrize("family", ["minimal@bins", "responsibility@bands128", "minimal@mel32+noise:-40"])
@pytest.mark.parametrize("alone", [False, True])
def test_bins_and_bands_are_drawn_over_the_spectrum(family: str, alone: bool) -> None:
    signal = signal_keeping([3, 20], family, RATE)
    spectrum = inline.spectrum_picture(NOISE, signal.mask, RATE, alone=alone)
    assert signal_picture(NOISE, signal, alone=alone) == spectrum


def test_blocks_that_follow_one_another_are_one_rectangle_of_full_height() -> None:
    svg = signal_picture(NOISE, signal_keeping([12, 13, 14, 40], "responsibility@blocks10ms", RATE))
    assert _label(svg) == "Spectrogram of the clip, 4 of 100 blocks kept"
    first, second = _rectangles(svg)
    assert first == pytest.approx((_x(0.12), 0, _x(0.15), BOTTOM), abs=0.06)
    assert second == pytest.approx((_x(0.40), 0, _x(0.41), BOTTOM), abs=0.06)


def test_tiles_of_the_same_frequencies_that_follow_one_another_are_one_rectangle() -> None:
    """Frames are 16 ms apart, and the first tile of eight begins with half a frame; 16 columns are 500 Hz."""
    tiles = [1 * 16 + 2, 2 * 16 + 2, 2 * 16 + 3, 5 * 16]
    svg = signal_picture(NOISE, signal_keeping(tiles, "minimal@tiles8x16", RATE))
    assert _label(svg) == "Spectrogram of the clip, 4 of 128 tiles kept"
    low, middle, high = _rectangles(svg)
    assert low == pytest.approx((_x(0.632), _y(500), _x(0.76), BOTTOM), abs=0.06)
    assert middle == pytest.approx((_x(0.12), _y(1500), _x(0.376), _y(1000)), abs=0.06)
    assert high == pytest.approx((_x(0.248), _y(2000), _x(0.376), _y(1500)), abs=0.06)


@pytest.mark.parametrize(
    ("family", "count"), [("minimal@tiles8x16", "0 of 128 tiles"), ("minimal@blocks10ms", "0 of 100 blocks")]
)
def test_where_nothing_is_kept_nothing_is_highlighted(family: str, count: str) -> None:
    svg = signal_picture(NOISE, signal_keeping([], family, RATE))
    assert _rectangles(svg) == []
    assert _label(svg) == f"Spectrogram of the clip, {count} kept"


@pytest.mark.parametrize("n_samples", [7, 100, 257, 2_561, RATE])
@pytest.mark.parametrize("family", ["minimal@tiles8x16", "minimal@blocks10ms", "minimal@tiles1x4"])
def test_where_everything_is_kept_the_whole_spectrogram_is_highlighted(family: str, n_samples: int) -> None:
    """Frames in which a short clip has nothing are drawn as slivers at its end."""
    signal = signal_keeping(slice(None), family, n_samples)
    rectangles = _rectangles(signal_picture(NOISE[:n_samples], signal))
    edges = np.array(sorted({(top, bottom) for _, top, _, bottom in rectangles}))
    assert (edges[0, 0], edges[-1, 1]) == (0, BOTTOM)
    assert (edges[1:, 0] <= edges[:-1, 1]).all()
    assert {(left, right) for left, _, right, _ in rectangles} == {(LEFT, RIGHT)}


@pytest.mark.parametrize("n_samples", [7, 2_561, RATE])
def test_the_smallest_part_can_be_seen_and_lies_in_the_picture(n_samples: int) -> None:
    n_tiles = signal_keeping([], "minimal@tiles1x1", n_samples).n_atoms
    for tile in (0, 255, n_tiles - 1):
        signal = signal_keeping([tile], "minimal@tiles1x1", n_samples)
        ((left, top, right, bottom),) = _rectangles(signal_picture(NOISE[:n_samples], signal))
        assert LEFT <= left <= right - 1.4 <= RIGHT - 1.4
        assert 0 <= top <= bottom - 1.4 <= BOTTOM - 1.4


def test_a_part_of_many_pieces_is_an_image_of_the_points_that_are_kept() -> None:
    tiles = [tile for tile in range(64 * 64) if tile // 64 % 2 and tile // 64 < 32]
    svg = signal_picture(NOISE, signal_keeping(tiles, "minimal@tiles1x4", RATE))
    (data,) = re.findall(r'-dots"[^>]*><image [^>]*base64,([^"]+)"', svg)
    points = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))[..., 3] > 0
    assert points.shape == (spectrogram.HEIGHT, spectrogram.WIDTH)
    middles = (np.arange(spectrogram.WIDTH) + 0.5) / spectrogram.WIDTH
    frame = np.floor(middles / 0.016 + 0.5).astype(int)
    assert (points == (frame % 2 == 1) & (frame < 32)).all()


@pytest.mark.parametrize("family", ["minimal@tiles1x1", "minimal@tiles8x16", "responsibility@blocks10ms"])
def test_no_picture_is_too_large_for_a_page_of_many(family: str) -> None:
    """Noise is what a PNG can make least of."""
    n_atoms = signal_keeping([], family, RATE).n_atoms
    atoms = np.flatnonzero(np.random.default_rng(1).random(n_atoms) < 0.5)
    assert len(signal_picture(NOISE, signal_keeping(atoms.tolist(), family, RATE), alone=True)) < 25_000


@pytest.mark.parametrize("family", ["minimal@tiles8x16", "minimal@blocks10ms", "minimal@tiles1x1"])
def test_silence_has_a_picture_too(family: str) -> None:
    silence = np.zeros(RATE, np.float32)
    svg = signal_picture(silence, signal_keeping(slice(None), family, RATE), alone=True)
    assert "nan" not in svg
    assert (
        _label(svg)
        == f"Spectrogram of the clip, {kept_atoms(signal_keeping(slice(None), family, RATE))} kept"
    )


def test_pictures_on_one_page_share_no_id_and_need_nothing_from_elsewhere() -> None:
    ids: list[str] = []
    for clip_id in ("a", "b"):
        for tiles in ([3], [4], range(0, 16_000, 3)):
            svg = signal_picture(NOISE, signal_keeping([*tiles], "minimal@tiles1x1", RATE, clip_id=clip_id))
            own = re.findall(r' id="([^"]+)"', svg)
            links = set(re.findall(r'(?:href="|url\()([^:",)]*)', svg))
            assert links <= {"data", *(f"#{each}" for each in own)}
            ids += own
    assert len(ids) == len(set(ids)) == 2 * (2 + 2 + 3)


def test_no_text_of_a_signal_gets_into_its_picture() -> None:
    hostile = "\"/><script>alert('1')</script>&"
    svg = signal_picture(NOISE, signal_keeping([3], "minimal@tiles8x16", RATE, clip_id=hostile), alone=True)
    assert "alert" not in svg
    assert not list(ElementTree.fromstring(svg).iter(f"{SVG}script"))  # noqa: S314 - our own


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_axes_name_round_times_and_frequencies_of_the_clip(rate: int) -> None:
    svg = signal_picture(NOISE, signal_keeping([3], "minimal@tiles8x16", RATE, rate))
    texts = [each.text for each in ElementTree.fromstring(svg).iter("text")]  # noqa: S314 - our own
    n_hertz = {8_000: 3, 16_000: 3, 48_000: 4}[rate]
    assert texts[:n_hertz] == ["200 Hz", "1 kHz", "4 kHz", "16 kHz"][:n_hertz]
    times = [float(str(text).removesuffix(" s")) for text in texts[n_hertz:]]
    assert times[0] == 0
    assert 0.8 * RATE / rate <= times[-1] <= RATE / rate
