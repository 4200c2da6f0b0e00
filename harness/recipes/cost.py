"""What a recipe will cost, before anything is run: queries, seconds of audio, GPU hours, bytes.

Pure arithmetic over three literal tables: what was measured (QUERIES, MASK_BYTES_PER_BIN, VERDICT_BYTES),
what follows from how a model is built (ARCHITECTURES), and what is assumed (ASSUMPTIONS), each with its
source.
Nothing here was ever measured on a GPU: GPU hours are operations divided by a stated throughput, and good to
a factor of two or three.

Conventions: seconds of audio are those a model computes on, so that a model with a fixed window pays for all
of it; bytes are bytes, a TB is 10^12 of them; `likely` is the mean over clips, which is what adds up, `low`
and `high` are as if every clip cost the median, or what 90 % of them stay within.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.families import MINIMAL, RESPONSIBILITY, family_of_search, parse_family, parse_search
from harness.recipes.recipe_file import Recipe, RecipeCorpus, RecipeModel
from harness.tasks import Task
from harness.types import N_LEVELS, N_MATCHED, N_SWAPS


@dataclass(frozen=True)
class Spent:
    """Queries of one search for one signal."""

    low: float
    """Median."""
    likely: float
    """Mean."""
    high: float
    """90 % of the clips stay within."""


QUERIES: Mapping[str, Spent] = {
    "responsibility": Spent(1419, 1417, 1448),
    "minimal": Spent(24, 131, 220),
    "gradient": Spent(19, 132, 201),
}
"""Measured on pairs of a starter model and a clip of 2 to 3 s, at single bins, one draw of each: `minimal`
and `gradient` on 77, with at most 6,000 queries (tests/benchmarks/results/minimal.json); `responsibility` on
107 (extract.json.xz beside it) with 20 partitions of 5 splits, which ask as many questions as 10 of 10.
Models that need many bins cost more: one of the starter suite spends a budget of 1,200 on six of ten clips,
and took 4,402 for one without it. A clip of 30 s has ten times the bins, which costs the searches a few
steps, not ten times the queries (23 against 14 for one of 10 s)."""

ON_BANDS = Spent(242, 247, 282)
"""`responsibility` on 32 bands, its default, measured on ten pairs of a starter model and a clip
(tests/benchmarks/results/bands.json): a sixth of what single bins cost, since an interval is soon a single
band, which is not cut, and much is asked twice, which is not counted. Taken for fewer bands, too; for more of
them, and for tiles and blocks, the figures of single bins, which are too high for these."""

MOST_BANDS = 32
"""Bands up to which these are taken."""

_EXTRA_QUERIES = 12
"""Queries of `responsibility` beside its partitions: the shortest prefix of a ranking, the certificate."""

_REPETITIONS, _SPLITS, _UNIONS = 10, 10, 14
"""Of the search `responsibility`: by default 10 partitions, of 10 splits, of 14 queries each."""


@dataclass(frozen=True)
class Architecture:
    """How much a model type computes."""

    tokens_per_second: float
    """Positions its transformer works on, for a second of audio."""
    window_seconds: float | None
    """What every sound is padded or cut to; None where a model hears all of it."""
    front_gflop: float
    """Operations of the convolutions before the transformer, for a second of audio, in 10^9."""


_RAW_WAVE = Architecture(50.0, None, 4.9)
"""Seven convolutions of 512 channels over the waveform, a position every 320 samples: 33 + 2,520 + 1,260 +
630 + 310 + 105 + 52 million operations a second of audio."""

ARCHITECTURES: Mapping[str, Architecture] = {
    **dict.fromkeys(("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat"), _RAW_WAVE),
    **dict.fromkeys(("data2vec-audio", "wav2vec2-conformer"), _RAW_WAVE),
    # squeezed by two before the transformer
    **dict.fromkeys(("sew", "sew-d"), Architecture(25.0, None, 4.9)),
    "wav2vec2-bert": Architecture(50.0, None, 0.0),
    # 12 x 101 patches and two tokens of a spectrogram of 1,024 frames
    "audio-spectrogram-transformer": Architecture(1214 / 10.24, 10.24, 0.0),
    # the encoder alone: the classifier has no decoder
    "whisper": Architecture(50.0, 30.0, 0.0),
}
"""From the published configurations of the base sizes."""


_SPECTROGRAMS = ("audio-spectrogram-transformer", "whisper", "wav2vec2-bert")
"""Fed by features that are made on the processor."""


@dataclass(frozen=True)
class Assumption:
    """A number that was assumed, not measured."""

    value: float
    """In the unit that its name says."""
    why: str
    """Where it comes from."""


ASSUMPTIONS: Mapping[str, Assumption] = {
    "tflops_achieved": Assumption(
        30.0,
        "float32 on one H100: somewhat under half of the 67 TFLOP/s of NVIDIA's data sheet outside the"
        " tensor cores, since models are scored in exact float32; an A100 (19.5) would take three to"
        " four times as long",
    ),
    "inverse_fft_ms": Assumption(
        0.075,
        "CPU milliseconds a second of audio and query, 0.1 to 0.2 for two seconds (tests/benchmarks)",
    ),
    "features_ms": Assumption(
        0.65,
        "CPU milliseconds a second of audio and query for spectrogram models, up to 1.3 for two seconds"
        " (tests/benchmarks); next to nothing for models of the raw wave",
    ),
    "usd_per_gpu_hour": Assumption(2.5, "one H100 on demand, taken in November 2026; 2 to 5 are asked"),
    "usd_per_cpu_hour": Assumption(0.04, "one core on demand, taken in November 2026"),
    "usd_per_tb_month": Assumption(23.0, "object storage of a large cloud, taken in November 2026"),
    "usd_per_tb_egress": Assumption(
        90.0, "out of a large cloud, taken in November 2026; the Hub asks nothing for downloads"
    ),
}

MASK_BYTES_PER_BIN = 0.027
"""Measured over the 7,480 signals of the starter suite, levels included: 537 bytes a signal in the mean.
Masks with many runs compress worse."""

VERDICT_BYTES: Mapping[str, float] = {"music-genre": 19.4, "emotion": 16.3, "deepfake": 7.5}
"""Bytes a row of verdicts.parquet, measured on the starter suite; more labels, more probabilities."""

EVALUATION_BYTES = 8_000
"""Of memory for each signal that a judge is asked about, measured (tests/benchmarks)."""

_SAMPLE_BYTES = 4
"""A sample of WAV FLOAT."""


# ---- one query, one signal -----------------------------------------------------------------------


def queries_of(
    search: str,
    repetitions: int | None = None,
    budget: int | None = None,
) -> Spent:
    """Queries of a search on a clip.

    Args:
        search: one of QUERIES, or with its resolution, NAME@RESOLUTION.
        repetitions: of `responsibility`; its queries grow with them, those for the shortest prefix do not.
        budget: at most this many.
    """
    name, resolution = parse_search(search)
    is_on_bands = name == "responsibility" and 0 < resolution.n_bands <= MOST_BANDS
    queries = ON_BANDS if is_on_bands else QUERIES[name]
    numbers = [queries.low, queries.likely, queries.high]
    if name == "responsibility" and repetitions is not None:
        per_repetition = (
            (ON_BANDS.likely - _EXTRA_QUERIES) / _REPETITIONS if is_on_bands else _SPLITS * _UNIONS
        )
        saving = (_REPETITIONS - repetitions) * per_repetition
        numbers = [max(1.0, n - saving) for n in numbers]
    if budget is not None:
        numbers = [min(n, budget) for n in numbers]
    return Spent(*numbers)


def input_seconds(architecture: str, seconds: float) -> float:
    """Seconds of audio that a model computes on when it hears so many."""
    spec = ARCHITECTURES.get(architecture)
    return seconds if spec is None or spec.window_seconds is None else spec.window_seconds


def flops_of(architecture: str, parameters_m: float, seconds: float) -> float:
    """Floating-point operations of one query.

    Two for each parameter and position, those of the convolutions in front, and those of attention, which
    grow with the square of the length: 4 x positions^2 x width x layers, with 12 x width^2 parameters a
    layer.
    """
    spec = ARCHITECTURES[architecture]
    audio_seconds = input_seconds(architecture, seconds)
    tokens = spec.tokens_per_second * audio_seconds
    parameters = parameters_m * 1e6
    width = 768 if parameters_m < 150 else 1024 if parameters_m < 500 else 1280  # base, large, and larger
    attention = tokens**2 * parameters / (3 * width)
    return 2 * parameters * tokens + spec.front_gflop * 1e9 * audio_seconds + attention


def gpu_hours(flops: float) -> float:
    """GPU hours at the assumed throughput."""
    return flops / (ASSUMPTIONS["tflops_achieved"].value * 1e12) / 3600


def cpu_hours(architecture: str, seconds: float, queries: float) -> float:
    """Core hours of making masked signals and features, where they are made on the processor."""
    per_query = ASSUMPTIONS["inverse_fft_ms"].value * seconds
    if architecture in _SPECTROGRAMS:
        per_query += ASSUMPTIONS["features_ms"].value * input_seconds(architecture, seconds)
    return per_query * queries / 1e3 / 3600


def signal_bytes(seconds: float, sample_rate_hz: int) -> float:
    """One signal, or one clip, as WAV FLOAT."""
    return seconds * sample_rate_hz * _SAMPLE_BYTES


def mask_bytes(seconds: float, sample_rate_hz: int) -> float:
    """One signal as its mask."""
    return MASK_BYTES_PER_BIN * (seconds * sample_rate_hz // 2 + 1)


# ---- judging -------------------------------------------------------------------------------------


def families_of(searches: Iterable[str]) -> tuple[str, ...]:
    """Families that these searches find signals of: as many signals has a clip."""
    return tuple(dict.fromkeys(map(family_of_search, searches)))


def stimuli_of(searches: Iterable[str]) -> int:
    """Sounds of a clip of one reference and draw, at most; levels where there is a ranking in the domain."""
    families = [parse_family(name) for name in families_of(searches)]
    of_signal = 3 + N_SWAPS + N_MATCHED  # itself, largest, complement; swap, matched
    ranked = {family.resolution.domain for family in families if family.kind == RESPONSIBILITY}
    n_with_levels = sum(f.kind == MINIMAL and f.resolution.domain in ranked for f in families)
    return of_signal * len(families) + (N_LEVELS - 1) * n_with_levels


def judged_queries(n_references: int, n_clips: int, searches: Sequence[str], n_draws: int = 1) -> int:
    """What one judge is asked: every clip, and the stimuli of every reference and draw."""
    return n_clips + n_references * n_clips * n_draws * stimuli_of(searches)


# ---- a recipe ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """How much of a corpus there is."""

    clips: int
    """Clips that will be used."""
    seconds: float
    """Their median length, at most the task's longest."""


@dataclass(frozen=True)
class ReferenceCost:
    """One model and one corpus; None where what it depends on is not known."""

    model: str
    """The reference."""
    corpus: str
    """The corpus."""
    passed_over: str | None
    """Why it will not be run; None where it will."""
    clips: int | None = None
    """Clips."""
    seconds: float | None = None
    """Their median length."""
    queries: Spent | None = None
    """Of all searches on all clips."""
    audio_hours: float | None = None
    """Hours of audio that the model computes on, likely."""
    gpu_hours: Spent | None = None
    """At the assumed throughput."""
    cpu_hours: float | None = None
    """Core hours of signals and features, likely."""
    audio_bytes: float | None = None
    """Its signals as WAV FLOAT; 0 where the corpus allows masks alone."""
    mask_bytes: float | None = None
    """Its signals as masks."""
    judged_queries: int | None = None
    """What it is asked as a judge of every reference's signals."""
    judged_gpu_hours: float | None = None
    """For these."""
    verdict_bytes: float | None = None
    """What it answers."""


@dataclass(frozen=True)
class Cost:
    """A recipe."""

    recipe: str
    """Its name."""
    references: tuple[ReferenceCost, ...]
    """One per corpus and model."""

    def total(self, field: str) -> float:
        """Sum of a number over the references for which it is known; of a Spent, what is likely."""
        values = (getattr(r, field) for r in self.references)
        return math.fsum(v.likely if isinstance(v, Spent) else v for v in values if v is not None)


def cost_of(
    recipe: Recipe, task: Task, sizes: Mapping[str, Size | None], passed_over: Mapping[str, str]
) -> Cost:
    """The cost of every reference of a recipe.

    Sizes are by name of the corpus, None where unknown; `passed_over` says why a model, or a corpus by name,
    will not be run.
    """
    n_references = sum(model.source not in passed_over for model in recipe.models)
    references = []
    for corpus in recipe.corpora:
        for model in recipe.models:
            reason = passed_over.get(corpus.name) or passed_over.get(model.source)
            size = None if reason else sizes[corpus.name]
            if size is None:
                references.append(ReferenceCost(model.source, corpus.name, reason))
            else:
                references.append(_reference(recipe, task, model, corpus, size, n_references))
    return Cost(recipe.name, tuple(references))


def _reference(
    recipe: Recipe, task: Task, model: RecipeModel, corpus: RecipeCorpus, size: Size, n_references: int
) -> ReferenceCost:
    queries_of_searches = [queries_of(name, recipe.repetitions, recipe.budget) for name in recipe.searches]
    n_extractions = size.clips * recipe.draws
    queries = Spent(
        *(n_extractions * sum(getattr(s, f) for s in queries_of_searches) for f in ("low", "likely", "high"))
    )
    n_judge_queries = judged_queries(n_references, size.clips, recipe.searches, recipe.draws)
    n_signals = n_extractions * len(families_of(recipe.searches))
    has_size = model.parameters_m is not None and model.architecture in ARCHITECTURES
    flops = flops_of(model.architecture, model.parameters_m or 0, size.seconds) if has_size else None
    return ReferenceCost(
        model.source,
        corpus.name,
        None,
        clips=size.clips,
        seconds=size.seconds,
        queries=queries,
        audio_hours=queries.likely * input_seconds(model.architecture, size.seconds) / 3600,
        gpu_hours=None
        if flops is None
        else Spent(*(gpu_hours(flops * n) for n in (queries.low, queries.likely, queries.high))),
        cpu_hours=cpu_hours(model.architecture, size.seconds, queries.likely + n_judge_queries),
        audio_bytes=n_signals * signal_bytes(size.seconds, task.sample_rate_hz) * corpus.redistributable,
        mask_bytes=n_signals * mask_bytes(size.seconds, task.sample_rate_hz),
        judged_queries=n_judge_queries,
        judged_gpu_hours=None if flops is None else gpu_hours(flops * n_judge_queries),
        verdict_bytes=n_judge_queries * VERDICT_BYTES.get(task.name, max(VERDICT_BYTES.values())),
    )
