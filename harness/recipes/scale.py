"""The arithmetic of a hundred models and a hundred thousand clips: the numbers of data_cards/scale.md.

The words of the page are written by hand; what stands between the lines BEGIN and END is computed here, from
the tables of `cost` and nothing else.

Public: computed, write, BEGIN, END.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from harness.errors import BadInput
from harness.journal import replace_file
from harness.recipes import cost
from harness.recipes.cost import ASSUMED

BEGIN, END = "<!-- computed: begin -->", "<!-- computed: end -->"

N_MODELS, N_CLIPS = 100, 100_000
SEARCHES = ("responsibility", "minimal")
SAMPLE_RATE_HZ = 16_000
FEWER_REPETITIONS = 5
"""Of the search `responsibility`, in place of 20."""
SAMPLE = 2_000
"""Clips a task, in place of all: rates to within two or three points."""
ENTRY_ROWS = 1_000_000
"""Verdicts that validation takes in one entry."""

SECONDS: MappingProxyType[str, float] = MappingProxyType(
    {"music-genre": 30.0, "emotion": 3.0, "deepfake": 4.0}
)
"""Length of a clip, as in the corpora of the recipes."""


@dataclass(frozen=True)
class Kind:
    """Some of the hundred models."""

    name: str
    """What they are, in a word or two."""
    architecture: str
    """Their model type."""
    parameters_m: float
    """Their parameters, in millions."""
    n: int
    """How many of them."""


MIX = (
    Kind("wav2vec2, base", "wav2vec2", 94.6, 60),
    Kind("wav2vec2, large", "wav2vec2", 316.0, 25),
    Kind("AST", "audio-spectrogram-transformer", 86.2, 10),
    Kind("Whisper, large", "whisper", 637.0, 5),
)
"""A hundred models as they are met on the Hub: assumed, after the proportions of the recipes."""


@dataclass(frozen=True)
class Scale:
    """One task at one size."""

    queries: float
    """Of all searches, of all models."""
    gpu_hours: float
    """For these."""
    cpu_hours: float
    """Core hours of signals and features, for these and the judging."""
    judged: float
    """Queries of the full matrix."""
    judged_gpu_hours: float
    """For these."""
    audio_bytes: float
    """All signals as WAV FLOAT."""
    mask_bytes: float
    """All signals as masks."""
    clip_bytes: float
    """The clips, at most."""
    verdict_bytes: float
    """The matrix."""
    memory_bytes: float
    """Of one process that judges all signals at once."""

    @property
    def usd(self) -> float:
        """For the GPU and the processor, without storage."""
        gpu = (self.gpu_hours + self.judged_gpu_hours) * ASSUMED["usd_per_gpu_hour"].value
        return gpu + self.cpu_hours * ASSUMED["usd_per_cpu_hour"].value


def scale_of(task: str, n_clips: int = N_CLIPS, repetitions: int | None = None) -> Scale:
    """A task with all models of MIX.

    Args:
        task: one of SECONDS.
        n_clips: clips of which every model extracts its signals.
        repetitions: of `responsibility`; None for its default.
    """
    seconds = SECONDS[task]
    a_clip = sum(cost.queries_of(name, repetitions).likely for name in SEARCHES)
    judged = cost.judged_queries(N_MODELS, n_clips, SEARCHES)
    flops = [(kind.n, cost.flops_of(kind.architecture, kind.parameters_m, seconds)) for kind in MIX]
    n_signals = N_MODELS * n_clips * len(cost.families_of(SEARCHES))
    return Scale(
        queries=N_MODELS * n_clips * a_clip,
        gpu_hours=sum(cost.gpu_hours(n * n_clips * a_clip * each) for n, each in flops),
        cpu_hours=sum(
            kind.n * cost.cpu_hours(kind.architecture, seconds, n_clips * a_clip + judged) for kind in MIX
        ),
        judged=N_MODELS * judged,
        judged_gpu_hours=sum(cost.gpu_hours(n * judged * each) for n, each in flops),
        audio_bytes=n_signals * cost.signal_bytes(seconds, SAMPLE_RATE_HZ),
        mask_bytes=n_signals * cost.mask_bytes(seconds, SAMPLE_RATE_HZ),
        clip_bytes=n_clips * cost.signal_bytes(seconds, SAMPLE_RATE_HZ),
        verdict_bytes=N_MODELS * judged * cost.VERDICT_BYTES[task],
        memory_bytes=n_signals * cost.EVALUATION_BYTES,
    )


def crossing(repetitions: int | None = None) -> float:
    """Number of models from which on judging all pairs takes more queries than extracting all signals."""
    a_clip = sum(cost.queries_of(name, repetitions).likely for name in SEARCHES)
    return (a_clip - 1) / cost.stimuli_of(SEARCHES)


def write(page: Path) -> None:
    """Put the numbers into the page.

    Raises:
        BadInput: it is not there, or has no room for them.
    """
    text = page.read_text("utf-8") if page.is_file() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise BadInput(f"{page} is no page with the lines {BEGIN} and {END}; expected one to fill in")
    before, rest = text.split(BEGIN)
    replace_file(page, f"{before}{BEGIN}\n{computed()}\n{END}{rest.split(END)[1]}".encode())


def computed() -> str:
    """All numbers of the page, as Markdown."""
    full = {task: scale_of(task) for task in SECONDS}
    parts = [
        *("### One query", _one_query()),
        *("### Who waits for whom", _waiting()),
        *(f"### {N_MODELS} models, {N_CLIPS:,} clips a task", _table_of(full, _ROWS)),
        *("### In money", _table_of(full, _MONEY)),
        *("### Extraction and the matrix", _crossings()),
        *("### Where it breaks first", _limits(full)),
        *("### What helps", _remedies()),
        *("### Assumed", "\n".join(f"- `{k}` = {a.value:g}: {a.why}." for k, a in ASSUMED.items())),
    ]
    return "\n\n".join(parts)


_ROWS = (
    ("queries of the searches", lambda s: _big(s.queries)),
    ("GPU hours for them", lambda s: _big(s.gpu_hours)),
    ("queries of the full matrix", lambda s: _big(s.judged)),
    ("GPU hours for them", lambda s: _big(s.judged_gpu_hours)),
    ("CPU core hours, signals and features of both", lambda s: _big(s.cpu_hours)),
    ("signals with audio", lambda s: _bytes(s.audio_bytes)),
    ("signals as masks", lambda s: _bytes(s.mask_bytes)),
    ("clips, at most", lambda s: _bytes(s.clip_bytes)),
    ("verdicts of the matrix", lambda s: _bytes(s.verdict_bytes)),
)

_MONEY = (
    ("GPU, extraction", lambda s: _usd(s.gpu_hours * ASSUMED["usd_per_gpu_hour"].value)),
    ("GPU, matrix", lambda s: _usd(s.judged_gpu_hours * ASSUMED["usd_per_gpu_hour"].value)),
    ("CPU, both", lambda s: _usd(s.cpu_hours * ASSUMED["usd_per_cpu_hour"].value)),
    ("a month of storage, with audio", lambda s: _usd(_stored(s, s.audio_bytes))),
    ("a month of storage, masks only", lambda s: _usd(_stored(s, s.mask_bytes))),
    ("one download, with audio", lambda s: _usd(_fetched(s, s.audio_bytes))),
    ("one download, masks only", lambda s: _usd(_fetched(s, s.mask_bytes))),
)


def _stored(s: Scale, signals: float) -> float:
    return (signals + s.clip_bytes + s.verdict_bytes) / 1e12 * ASSUMED["usd_per_tb_month"].value


def _fetched(s: Scale, signals: float) -> float:
    return (signals + s.clip_bytes) / 1e12 * ASSUMED["usd_per_tb_egress"].value


def _one_query() -> str:
    rows = []
    for kind in MIX:
        flops = (cost.flops_of(kind.architecture, kind.parameters_m, s) for s in SECONDS.values())
        rows.append(
            [kind.name, str(kind.n), f"{kind.parameters_m:g}", *(f"{each / 1e9:,.0f}" for each in flops)]
        )
    heads = [f"10^9 operations, {task} ({s:g} s)" for task, s in SECONDS.items()]
    return _table(["model", "of the hundred", "parameters, 10^6", *heads], rows)


def _waiting() -> str:
    rows = []
    for kind in MIX:
        for task in ("music-genre", "emotion"):
            seconds = SECONDS[task]
            gpu = cost.gpu_hours(cost.flops_of(kind.architecture, kind.parameters_m, seconds)) * 3.6e6
            cpu = cost.cpu_hours(kind.architecture, seconds, 1) * 3.6e6
            rows.append(
                [
                    kind.name,
                    f"{seconds:g} s",
                    f"{gpu:.2g}",
                    f"{cpu:.2g}",
                    f"{cpu / gpu:.2g}",
                    f"{8 * cpu / gpu:.2g}",
                ]
            )
    heads = [
        "GPU, ms a query",
        "one core, ms a query",
        "cores to keep up",
        "cores at eight times the throughput",
    ]
    return _table(["model", "clips of", *heads], rows)


def _table_of(full: dict[str, Scale], rows: Iterable[tuple[str, object]]) -> str:
    lines = [[name, *(say(s) for s in full.values())] for name, say in rows if callable(say)]
    return _table(["", *full], lines)


def _crossings() -> str:
    a_clip = sum(cost.queries_of(name).likely for name in SEARCHES)
    fewer = sum(cost.queries_of(name, FEWER_REPETITIONS).likely for name in SEARCHES)
    return (
        f"A clip costs a reference {a_clip:,.0f} queries, and each of the N judges {cost.stimuli_of(SEARCHES)} for"
        f" each of the N references. Extraction grows with N, the matrix with its square: it overtakes at"
        f" N = {crossing():.0f}; with {FEWER_REPETITIONS} repetitions ({fewer:,.0f} queries a clip) at"
        f" N = {crossing(FEWER_REPETITIONS):.0f}."
    )


def _limits(full: dict[str, Scale]) -> str:
    clips_of_an_entry = ENTRY_ROWS // (N_MODELS * cost.stimuli_of(SEARCHES) + 1)
    memory = next(iter(full.values())).memory_bytes
    clips = ", ".join(f"{task} {_bytes(s.clip_bytes)}" for task, s in full.items())
    return (
        f"- An entry may hold {ENTRY_ROWS:,} verdicts: {clips_of_an_entry:,} clips of {N_MODELS} references,"
        f" not {N_CLIPS:,}.\n"
        f"- A judge of everything keeps {_bytes(memory)} of verdicts in memory"
        f" ({cost.EVALUATION_BYTES / 1e3:g} kB a signal).\n"
        f"- Extraction holds the clips of a task in memory: {clips}."
    )


def _remedies() -> str:
    rows = []
    for task in SECONDS:
        whole, fewer = scale_of(task), scale_of(task, repetitions=FEWER_REPETITIONS)
        sample = scale_of(task, SAMPLE)
        both = scale_of(task, SAMPLE, FEWER_REPETITIONS)
        rows.append([task, *(f"{_big(_gpu(s))} h, {_usd(s.usd)}" for s in (whole, fewer, sample, both))])
    heads = [
        "as above",
        f"{FEWER_REPETITIONS} repetitions",
        f"{SAMPLE:,} clips",
        f"{SAMPLE:,} clips, {FEWER_REPETITIONS} repetitions",
    ]
    return _table(["GPU hours, and money for GPU and CPU", *heads], rows)


def _gpu(s: Scale) -> float:
    return s.gpu_hours + s.judged_gpu_hours


# ---- how it is said ------------------------------------------------------------------------------


def _big(value: float) -> str:
    """Two digits: nothing here is known to three."""
    if value < 100:
        return f"{value:.2g}"
    rounded = float(f"{value:.2g}")
    for unit, size in (("billion", 1e9), ("million", 1e6)):
        if rounded >= size:
            return f"{rounded / size:,.3g} {unit}"
    return f"{rounded:,.0f}"


def _bytes(value: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9)):
        if value >= size:
            return f"{float(f'{value / size:.2g}'):,g} {unit}"
    return f"{value / 1e6:.2g} MB"


def _usd(value: float) -> str:
    return f"${_big(value)}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
