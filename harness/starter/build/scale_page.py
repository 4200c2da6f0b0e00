"""Computes the numbers of `data_cards/scale.md`: a hundred models and a hundred thousand clips.

    python -m harness.starter.build.scale_page         # writes them into the page again

Like what writes the other data cards it is part of the repository and not of the package.

Conventions: as in `recipes.cost`; every model is a wav2vec2 of base size unless its line says otherwise; the
mean of queries, not the median, since a sum is meant.
"""

from __future__ import annotations

import re
from pathlib import Path

from harness.entries.validate_verdicts import MAX_ROWS
from harness.recipes import cost
from harness.tasks import TASKS

PAGE = Path(__file__).parents[3] / "data_cards" / "scale.md"

N_MODELS, N_CLIPS = 100, 100_000

SECONDS = {"music-genre": 30.0, "emotion": 3.0, "deepfake": 4.3}
"""Of a typical clip: see the recipes."""

BASE, BASE_M = "wav2vec2", 94.6
"""The model that all are taken to be, with its parameters in millions."""

OTHER_MODELS = (
    ("DistilHuBERT", "hubert", 23.7),
    ("wav2vec2, base", BASE, BASE_M),
    ("wav2vec2, large", "wav2vec2", 315.7),
    ("AST", "audio-spectrogram-transformer", 86.2),
    ("w2v-BERT", "wav2vec2-bert", 580.0),
    ("Whisper large, encoder", "whisper", 637.0),
)
"""What the recipes name."""

SEARCHES = ("responsibility", "minimal")
_FEW_REPETITIONS = 3
_SOME_CLIPS = 1_000
WHISPERS = 5
"""Of the hundred, to show what a fixed window costs."""
_HUB_FILE_BYTES = 50e9
"""The most the Hub takes as one file."""

_BEGIN, _END = "<!-- computed: begin -->", "<!-- computed: end -->"


def renew(page: str) -> str:
    """A page whose text between the marks is computed again.

    Raises:
        ValueError: it has no such marks.
    """
    if page.count(_BEGIN) != 1 or page.count(_END) != 1:
        raise ValueError(f"expected one {_BEGIN} and one {_END}")
    return re.sub(f"{_BEGIN}.*{_END}", lambda _: f"{_BEGIN}\n{compute()}{_END}", page, flags=re.DOTALL)


def compute() -> str:
    """The text between the marks."""
    return "\n".join([*_by_task(), "", *_by_model(), "", *_limits(), "", *_levers(), "", *_assumptions(), ""])


# ---- the parts -----------------------------------------------------------------------------------


def _queries(repetitions: int | None = None) -> float:
    """Of all searches on one clip."""
    return sum(cost.queries_of(name, repetitions).likely for name in SEARCHES)


def _price(name: str) -> float:
    return cost.ASSUMPTIONS[name].value


def _extraction(seconds: float, n_clips: int = N_CLIPS, repetitions: int | None = None) -> float:
    """GPU hours of all models."""
    n = N_MODELS * n_clips * _queries(repetitions)
    return cost.gpu_hours(n * cost.flops_of(BASE, BASE_M, seconds))


def _judging(n_clips: int = N_CLIPS) -> int:
    """Queries of the full matrix."""
    return N_MODELS * cost.judged_queries(N_MODELS, n_clips, SEARCHES)


def _by_task() -> list[str]:
    lines = [
        f"### {N_MODELS} models x {N_CLIPS:,} clips",
        "",
        "Every model is taken to be a wav2vec2 of base size, in float32, unless its line says otherwise. One"
        " draw of each clip; K draws cost K times as much.",
        "",
        "| | " + " | ".join(SECONDS) + " |",
        "| --- |" + " --- |" * len(SECONDS),
    ]
    n_signals = N_MODELS * N_CLIPS * len(cost.families_of(SEARCHES))
    low, high = (
        N_MODELS * N_CLIPS * sum(getattr(cost.queries_of(name), f) for name in SEARCHES)
        for f in ("low", "high")
    )
    rows: dict[str, list[str]] = {}

    def add(name: str, value: str) -> None:
        rows.setdefault(name, []).append(value)

    for task, seconds in SECONDS.items():
        rate = TASKS[task].sample_rate_hz
        n = N_MODELS * N_CLIPS * _queries()
        flops = cost.flops_of(BASE, BASE_M, seconds)
        hours, judging = cost.gpu_hours(n * flops), cost.gpu_hours(_judging() * flops)
        audio = n_signals * cost.signal_bytes(seconds, rate) / 1e12
        masks = n_signals * cost.mask_bytes(seconds, rate) / 1e12
        verdicts = _judging() * cost.VERDICT_BYTES[task] / 1e12
        add("seconds a clip", f"{seconds:g}")
        add("queries of extraction, mean [all median, all p90]", f"{_n(n)} [{_n(low)}, {_n(high)}]")
        add("audio through the models, hours", _n(n * seconds / 3600))
        add("**GPU hours of extraction**", _n(hours))
        add("price of that, USD", _n(hours * _price("usd_per_gpu_hour")))
        whisper = cost.gpu_hours(n * cost.flops_of("whisper", 637.0, seconds))
        with_whispers = ((N_MODELS - WHISPERS) * hours + WHISPERS * whisper) / N_MODELS
        add(f"the same, where {WHISPERS} of the models are large Whispers", _n(with_whispers))
        add("queries of the full matrix", _n(_judging()))
        add("**GPU hours of the matrix**", _n(judging))
        add("price of the matrix, USD", _n(judging * _price("usd_per_gpu_hour")))
        add("signals as audio, TB", _n(audio))
        add("signals as masks, TB", _n(masks))
        add("verdicts of the matrix, TB", _n(verdicts))
        add(
            "a month of storage, audio / masks, USD",
            " / ".join(_n((signals + verdicts) * _price("usd_per_tb_month")) for signals in (audio, masks)),
        )
        add(
            "one download of all, audio / masks, USD",
            " / ".join(_n((signals + verdicts) * _price("usd_per_tb_egress")) for signals in (audio, masks)),
        )
    return lines + [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]


def _by_model() -> list[str]:
    lines = [
        "### One query, by model",
        "",
        "| | GFLOP, 3 s | GFLOP, 30 s | GPU ms, 3 s | GPU ms, 30 s | CPU ms of signal and features, 30 s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, architecture, parameters in OTHER_MODELS:
        flops = [cost.flops_of(architecture, parameters, seconds) for seconds in (3.0, 30.0)]
        cells = [_n(f / 1e9) for f in flops] + [_n(cost.gpu_hours(f) * 3.6e6) for f in flops]
        cells.append(_n(cost.cpu_hours(architecture, 30.0, 1) * 3.6e6))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def overtaken_at() -> int:
    """The fewest references with which the full matrix asks more than the extraction did."""
    n = 1
    while cost.judged_queries(n, 1, SEARCHES) <= _queries():
        n += 1
    return n


def _limits() -> list[str]:
    stimuli = cost.stimuli_of(SEARCHES)
    families = len(cost.families_of(SEARCHES))
    memory = N_MODELS * N_CLIPS * families * cost.EVALUATION_BYTES / 1e9
    genre = cost.signal_bytes(SECONDS["music-genre"], 16_000)
    speech = cost.signal_bytes(SECONDS["emotion"], 16_000)
    masks = cost.mask_bytes(SECONDS["music-genre"], 16_000)
    max_clips = int(_HUB_FILE_BYTES / families / genre)
    return [
        "### Where it stops",
        "",
        f"- The matrix grows with the square of the references: from **{overtaken_at()} references** on it"
        f" asks more than the extraction did ({cost.stimuli_of(SEARCHES)} stimuli a clip and reference,"
        f" against {_n(_queries())} queries a clip).",
        f"- An entry may hold {MAX_ROWS:,} verdicts: {MAX_ROWS // (N_MODELS * stimuli + 1):,} clips of"
        f" {N_MODELS} references. An entry of the full matrix would be refused.",
        f"- A judge keeps {cost.EVALUATION_BYTES:,} bytes a signal in memory: {_n(memory)} GB for all of"
        f" them, {_n(memory / N_MODELS)} GB for those of one reference.",
        f"- The clips of a task are in memory while a model extracts: {_n(N_CLIPS * genre / 1e9)} GB of"
        f" music, {_n(N_CLIPS * speech / 1e9)} GB of speech.",
        f"- A reference is one Parquet file, and the Hub takes {_HUB_FILE_BYTES / 1e9:.0f} GB a file: with"
        f" audio {max_clips:,} clips of 30 s fit, {_n(N_CLIPS * families * genre / 1e9)} GB would be needed;"
        f" as masks it is {_n(N_CLIPS * families * masks / 1e9)} GB.",
        "- Where features are made on the processor, 30 s of AST cost"
        f" {_n(cost.cpu_hours('audio-spectrogram-transformer', 30.0, 1) * 3.6e6)} ms of one core beside"
        f" {_n(cost.gpu_hours(cost.flops_of('audio-spectrogram-transformer', 86.2, 30.0)) * 3.6e6)} ms of the"
        " card: a card starves on one core.",
    ]


def _levers() -> list[str]:
    seconds = SECONDS["music-genre"]
    flops = cost.flops_of(BASE, BASE_M, seconds)
    lines = [
        "### What helps, for music-genre",
        "",
        "| | queries a clip | GPU hours of extraction | GPU hours of the matrix | USD together |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, n_clips, repetitions in (
        (f"{N_CLIPS:,} clips, as by default", N_CLIPS, None),
        (f"`repetitions: {_FEW_REPETITIONS}`", N_CLIPS, _FEW_REPETITIONS),
        (f"{_SOME_CLIPS:,} clips of them (`limit`)", _SOME_CLIPS, None),
        ("both", _SOME_CLIPS, _FEW_REPETITIONS),
    ):
        extraction = _extraction(seconds, n_clips, repetitions)
        matrix = cost.gpu_hours(_judging(n_clips) * flops)
        usd = (extraction + matrix) * _price("usd_per_gpu_hour")
        lines.append(
            f"| {name} | {_n(_queries(repetitions))} | {_n(extraction)} | {_n(matrix)} | {_n(usd)} |"
        )
    return lines


def _assumptions() -> list[str]:
    lines = ["### Assumed", "", "| | value | where from |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {a.value:g} | {a.why} |" for name, a in cost.ASSUMPTIONS.items()]
    return lines


def _n(value: float) -> str:
    """A number with three significant figures, without an exponent."""
    for size, unit in ((1e12, " T"), (1e9, " G"), (1e6, " M")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    if value >= 1000:
        digits = len(str(int(value))) - 3
        return f"{round(value, -digits):,.0f}"
    return f"{value:.3g}"


if __name__ == "__main__":
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
