"""The Parquet schemas, and records to rows and back.

Conventions: audio is the struct the Hub's viewer plays, `{bytes, path}`; a mask is its runs over the
coefficients of its family's domain, row by row, flattened to [first, length, first, length, ...]; levels are
a byte per coefficient, which compress well; missing is null. A test freezes these schemas.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness import audio
from harness.completions import CHECKED, is_robust
from harness.domains.masks import from_runs, runs
from harness.errors import BadInput, BadSignals
from harness.families import MINIMAL, kind_of, n_coefficients
from harness.types import N_LEVELS, CausalSet, Clip, Levels, Mask, SufficientSignal, Verdict, Waveform

_AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _columns(kind: pa.DataType, *names: str) -> list[tuple[str, pa.DataType]]:
    """Columns of one type."""
    return [(name, kind) for name in names]


CLIPS = pa.schema(
    [
        *_columns(pa.string(), "clip_id", "corpus", "label"),
        ("audio", _AUDIO),
        *_columns(pa.int32(), "sample_rate_hz", "n_samples"),
        *_columns(pa.string(), "sha256", "pair"),
    ]
)

SIGNALS = pa.schema(
    [
        *_columns(pa.string(), "signal_id", "clip_id", "family"),
        ("draw", pa.int32()),
        *_columns(pa.string(), "reference", "truth", "expected"),
        ("p_clip", pa.list_(pa.float32())),
        ("audio", _AUDIO),
        *_columns(pa.int32(), "n_samples", "sample_rate_hz"),
        ("mask", pa.list_(pa.int32())),
        ("n_kept", pa.int32()),
        ("levels", pa.binary()),
        ("guarantee", pa.string()),
        ("n_atoms", pa.int32()),
        *_columns(pa.float64(), "p_whole", "p_signal", "margin"),
        ("degenerate", pa.bool_()),
        ("search", pa.string()),
        ("n_queries", pa.int32()),
        ("seed", pa.int64()),
        ("sha256", pa.string()),
        ("survival", pa.list_(pa.float32())),
        ("rest_clip", pa.string()),
    ]
)

SETS = pa.schema(
    [
        *_columns(pa.string(), "set_id", "clip_id", "family", "kind"),
        ("ordinal", pa.int32()),
        *_columns(pa.string(), "reference", "truth", "expected"),
        *_columns(pa.int32(), "n_samples", "sample_rate_hz"),
        ("mask", pa.list_(pa.int32())),
        ("n_kept", pa.int32()),
        ("guarantee", pa.string()),
        ("n_atoms", pa.int32()),
        *_columns(pa.float64(), "p_whole", "p_alone", "p_without", "margin_alone", "margin_without"),
        ("search", pa.string()),
        ("n_queries", pa.int32()),
        ("seed", pa.int64()),
    ]
)

VERDICTS = pa.schema(
    [
        *_columns(pa.string(), "task", "reference", "family"),
        *_columns(pa.int32(), "draw", "level"),
        *_columns(pa.string(), "clip_id", "signal_id", "stimulus"),
        ("replicate", pa.int32()),
        ("other_clip", pa.string()),
        ("n_samples", pa.int32()),
        *_columns(pa.string(), "truth", "expected", "predicted_raw", "predicted"),
        ("p_expected", pa.float32()),
        ("p", pa.list_(pa.float32())),
        *_columns(pa.float32(), "seconds_seen", "energy_seen"),
        ("robust", pa.bool_()),
    ]
)

OPTIONAL = frozenset({"label", "truth", "audio", "levels", "pair", "survival", "rest_clip"})
"""Columns of CLIPS, SIGNALS and SETS in which a row may have nothing."""

OPTIONAL_COLUMNS = frozenset({"pair"})
"""Columns that a file may lack, as one without pairs does: it reads as if every row had nothing there."""

RANGES = {"n_samples": (1, 2**25), "sample_rate_hz": (1, 2**20)}
"""Least and largest value of columns of CLIPS, SIGNALS and SETS by which memory is taken."""

CANDIDATE_VERDICTS = pa.schema([("candidate", pa.string()), *VERDICTS])
"""VERDICTS, with whose they are: the form in which those of many are published together."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClipLine:
    """A clip without its sound; the fields are those of CLIPS."""

    clip_id: str
    label: str | None
    n_samples: int
    sha256: str
    pair: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SignalLine:
    """A signal without its sound."""

    signal_id: str
    clip_id: str
    family: str
    draw: int
    truth: str | None
    expected: str
    p_clip: tuple[float, ...]
    """As in `types.SufficientSignal`."""
    n_samples: int
    sample_rate_hz: int
    n_kept: int
    degenerate: bool
    rest_clip: str | None
    """As in `types.SufficientSignal`."""
    robust: bool
    """Whether it keeps its class with noise in place of the rest."""
    has_levels: bool
    content_sha256: str
    """Hash of its sound, mask, levels, class and seed."""

    @property
    def n_coefficients(self) -> int:
        """Length of its mask."""
        return n_coefficients(self.family, self.n_samples, self.sample_rate_hz)


def without_optional_columns(schema_: pa.Schema) -> pa.Schema:
    """A schema without OPTIONAL_COLUMNS; the same one where it has none of them."""
    return pa.schema([field for field in schema_ if field.name not in OPTIONAL_COLUMNS])


def clips_schema(pairs: Iterable[str | None]) -> pa.Schema:
    """CLIPS for a file of clips of these pairs; without the column `pair` where none is in a pair."""
    return CLIPS if any(pair is not None for pair in pairs) else without_optional_columns(CLIPS)


FEATURES = b"huggingface"
"""Key of a file's metadata under which `datasets` looks for the types of its columns."""


def with_features(schema_: pa.Schema, sample_rate_hz: int) -> pa.Schema:
    """A schema that tells `datasets` and the Hub's viewer which columns are sound.

    Decoding is off: bytes arrive as they are stored, and nothing but soundfile is needed to hear them.
    """
    features = {field.name: _feature(field.type, sample_rate_hz) for field in schema_}
    return schema_.with_metadata({FEATURES: json.dumps({"info": {"features": features}})})


def _feature(kind: pa.DataType, sample_rate_hz: int) -> dict[str, Any]:
    """One column in the words of `datasets.Features.to_dict`."""
    if kind == _AUDIO:
        return {"sampling_rate": sample_rate_hz, "decode": False, "_type": "Audio"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type, sample_rate_hz), "_type": "List"}
    names = {pa.float32(): "float32", pa.float64(): "float64"}
    return {"dtype": names.get(kind, str(kind)), "_type": "Value"}


def clip_row(clip: Clip) -> dict[str, Any]:
    """A clip as a row of CLIPS; its audio in the smallest form that is exact."""
    data, ending = audio.encode_exact(clip.waveform, clip.sample_rate_hz)
    return {
        "clip_id": clip.clip_id,
        "corpus": clip.corpus,
        "label": clip.label,
        "audio": {"bytes": data, "path": f"{clip.clip_id}.{ending}"},
        "sample_rate_hz": clip.sample_rate_hz,
        "n_samples": len(clip.waveform),
        "sha256": audio.sha256(clip.waveform),
        "pair": clip.pair,
    }


def clip_of(row: dict[str, Any]) -> Clip:
    """Inverse of `clip_row`, for a row that has its audio."""
    waveform, rate, _ = audio.read(row["audio"]["bytes"], row["clip_id"])
    return Clip(row["clip_id"], row["corpus"], row["label"], waveform, rate, row["pair"])


def signal_row(signal: SufficientSignal, waveform: Waveform | None) -> dict[str, Any]:
    """A signal as a row of SIGNALS; without a waveform only its mask is stored."""
    row: dict[str, Any] = {**vars(signal), "mask": runs(signal.mask).ravel().tolist()}
    row["n_kept"] = signal.n_kept
    row["levels"] = None if signal.levels is None else signal.levels.tobytes()
    row["audio"] = None
    if waveform is not None:
        data = audio.encode(waveform, signal.sample_rate_hz)
        row["audio"] = {"bytes": data, "path": f"{signal.signal_id}.wav"}
    return row


def signal_of(row: dict[str, Any]) -> SufficientSignal:
    """Inverse of `signal_row`, without the audio.

    Raises:
        ValueError: a mask or levels that cannot be.
    """
    fields = {f.name: row[f.name] for f in dataclasses.fields(SufficientSignal)}
    fields["p_clip"] = tuple(row["p_clip"])
    fields["mask"] = mask_of(row)
    fields["survival"] = survival_of(row)
    if row["levels"] is not None:
        fields["levels"] = np.frombuffer(row["levels"], dtype=np.uint8)
        _check_levels(SufficientSignal(**fields), fields["levels"])
    return SufficientSignal(**fields)


def set_row(causal_set: CausalSet) -> dict[str, Any]:
    """A further set as a row of SETS; what it sounds like is rebuilt from the clip."""
    mask = runs(causal_set.mask).ravel().tolist()
    return {**vars(causal_set), "mask": mask, "n_kept": causal_set.n_kept}


def set_of(row: dict[str, Any]) -> CausalSet:
    """Inverse of `set_row`.

    Raises:
        ValueError: a mask that cannot be.
    """
    fields = {f.name: row[f.name] for f in dataclasses.fields(CausalSet)}
    return CausalSet(**{**fields, "mask": mask_of(row)})


def survival_of(row: dict[str, Any]) -> tuple[float, ...] | None:
    """How often a signal keeps its class, of a row of SIGNALS; for each of `completions.CHECKED`.

    Raises:
        ValueError: another number of shares, or what is no share.
    """
    if row["survival"] is None:
        return None
    survival = tuple(row["survival"])
    if len(survival) != len(CHECKED) or not all(x is not None and 0 <= x <= 1 for x in survival):
        raise ValueError(f"survival {row['survival']}, expected {len(CHECKED)} shares, 0 to 1")
    return survival


def robust_of(row: dict[str, Any]) -> bool:
    """Whether the signal of a row of SIGNALS keeps its class with noise in place of the rest.

    Raises:
        BadSignals: see `survival_of`.
    """
    try:
        survival = survival_of(row)
    except ValueError as error:
        raise BadSignals(f"signal {row['signal_id']}: {error}") from None
    return survival is not None and is_robust(survival)


def mask_of(row: dict[str, Any]) -> Mask:
    """The mask of a row of SIGNALS or SETS, (N,) over the coefficients of its family's domain.

    Raises:
        ValueError: runs that cannot be, or a family that is none.
    """
    try:
        n = n_coefficients(row["family"], row["n_samples"], row["sample_rate_hz"])
    except BadInput as error:
        raise ValueError(str(error)) from None
    return from_runs(np.asarray(row["mask"], dtype=np.int64), n)


def level_sizes(n_kept: int, n_all: int) -> NDArray[np.int64]:
    """(N_LEVELS,) coefficients that each level keeps: log-spaced from `n_kept`, at least 1, to all."""
    steps = np.arange(N_LEVELS) / (N_LEVELS - 1)
    return np.rint(n_kept * (n_all / n_kept) ** steps).astype(np.int64)


def _check_levels(signal: SufficientSignal, levels: Levels) -> None:
    """Check family, length, range and sizes of levels."""
    if kind_of(signal.family) != MINIMAL or signal.degenerate:
        signal_kind = "a degenerate signal" if signal.degenerate else f"family {signal.family}"
        raise ValueError(f"levels of {signal_kind}, expected none")
    if len(levels) != len(signal.mask):
        raise ValueError(f"levels of {len(levels)} coefficients, expected {len(signal.mask)}")
    if levels.max() >= N_LEVELS:
        raise ValueError(f"a coefficient of level {levels.max()}, expected 0 to {N_LEVELS - 1}")
    if not np.array_equal(levels == 0, signal.mask):
        raise ValueError("level 0 differs from the mask")
    sizes = np.cumsum(np.bincount(levels, minlength=N_LEVELS))
    expected_sizes = level_sizes(max(signal.n_kept, 1), len(levels))
    if not np.array_equal(sizes, expected_sizes):
        raise ValueError(f"levels of {sizes.tolist()} coefficients, expected {expected_sizes.tolist()}")


def verdict_table(verdicts: Sequence[Verdict]) -> pa.Table:
    """Verdicts as a table of VERDICTS."""
    columns = {name: [getattr(v, name) for v in verdicts] for name in VERDICTS.names}
    return pa.table(columns, schema=VERDICTS)
