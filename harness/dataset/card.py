"""The card of a published suite: README.md with its YAML head, and eval.yaml, counted from the suite itself.

The words are in `card.md`, and in the data cards that the publisher gives; every number here comes from the
files, the manifest and the references' own entries.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from string import Template
from typing import Any

import yaml

from harness.dataset import licences
from harness.dataset.query_counts import QUERIES, format_queries, queries_of
from harness.dataset.suites import Suite
from harness.manifest import ReferenceRecord
from harness.number_format import number
from harness.plurals import plural
from harness.schemas import Entry
from harness.types import Estimate

TAGS = ("goodenough", "sufficient-signals", "transferability", "benchmark", "audio")
"""Words by which a published suite is found."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_WHOLE = "Signals and clips carry their audio."
_MASKS = (
    "**Masks only**: the audio of these clips may not be passed on. `goodenough download` rebuilds clips and"
    " signals from your own copy of the corpus and checks each against its sha256."
)
PAIRS = (
    "Share of the energy of a signal in the tenth of the bins where the two clips of a pair differ most, for"
    " signals whose class is the label of their clip; the same of `matched` controls; and the difference,"
    " about 0 for signals that have nothing to do with the change. n counts pairs."
)
_LISTENING = 'samples, rate_hz = soundfile.read(io.BytesIO(signals[0]["audio"]["bytes"]))'
_NO_LISTENING = "# masks only: to hear a signal, rebuild the suite with goodenough download --corpus"


@dataclass(frozen=True)
class FileFacts:
    """What is known of a Parquet file without reading it."""

    n_rows: int
    """Its rows."""
    n_bytes: int
    """Its size."""
    n_expanded: int
    """Size of its columns, decompressed."""
    columns: tuple[str, ...]
    """Their names."""


def render(
    suite: Suite,
    files: Mapping[str, FileFacts],
    entries: Sequence[Entry],
    cards: Mapping[str, str],
    repo_id: str,
    masks_only: bool,
    stability: Mapping[str, str],
    paired_evidence: Mapping[str, str],
) -> str:
    """README.md, of every Parquet file of clips, signals, sets and verdict tables, by path.

    The entries are of the references, on this suite; cards are by task, where there is one; stability is by
    task a table of how alike two extractions of a clip are, where it was measured; paired evidence is by task
    a table of whether signals lie where a copy differs from its original, where there are pairs.
    """
    licences_of_corpus = {
        r.corpus.name: licences.names_in(r.corpus.licence) for r in suite.manifest.references
    }
    of_config: dict[str, list[str]] = defaultdict(list)
    for path in sorted(files):
        of_config[path.split("/")[0]].append(path)
    n_signals = sum(files[path].n_rows for t in suite.tasks for path in of_config[t.name])
    n_references = len(suite.manifest.references)
    head = {
        "pretty_name": repo_id.split("/")[-1],
        **licences.head({name for names in licences_of_corpus.values() for name in names}),
        "task_categories": ["audio-classification"],
        "tags": [*TAGS],
        "size_categories": [next((name for most, name in _SIZES if n_signals < most), "n>1M")],
        "configs": [
            {
                "config_name": config,
                "data_files": [{"split": "test", "path": f"{config}/*.parquet"}],
                **({"default": True} if config == suite.tasks[0].name else {}),
            }
            for config in of_config
        ],
        "dataset_info": [_info(config, [files[p] for p in paths]) for config, paths in of_config.items()],
    }
    body = Template((Path(__file__).parent / "card.md").read_text("utf-8")).substitute(
        title=repo_id.split("/")[-1],
        repo_id=repo_id,
        first=suite.tasks[0].name,
        how_many=f"{plural(n_signals, 'signal')} of {plural(n_references, 'reference')}",
        listen=_NO_LISTENING if masks_only else _LISTENING,
        configurations=", ".join(f"`{name}`" for name in of_config),
        form=_MASKS if masks_only else _WHOLE,
        **_data_sheet(suite, {c: sum(files[p].n_rows for p in paths) for c, paths in of_config.items()}),
        organisation=repo_id.split("/")[0],
        tasks="\n\n".join(
            _task(suite, name, entries, cards.get(name), stability.get(name), paired_evidence.get(name))
            for name in suite.task_names
        ),
        licence_words=_licence_words(licences_of_corpus),
    )
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n{body}"


def eval_yaml(suite: Suite, repo_id: str) -> str:
    """eval.yaml, which makes the dataset a benchmark of the Hub: one task per configuration."""
    return yaml.safe_dump(
        {
            "name": repo_id.split("/")[-1],
            "description": "Transferability of minimal sufficient signals between audio classifiers:"
            " lift, higher is better.",
            "evaluation_framework": "goodenough",
            "tasks": [{"id": t.name, "config": t.name, "split": "test"} for t in suite.tasks],
        },
        sort_keys=False,
    )


def format_estimate(estimate: Estimate | None) -> str:
    """An estimate with its interval and n, as `0.87 [0.82, 0.91] (n = 240)`."""
    if estimate is None or estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    value, low, high = (number(x, 2) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}] (n = {estimate.n:,})"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; without rows it is one sentence."""
    rows = list(rows)
    if not rows:
        return "Nothing to show."
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _data_sheet(suite: Suite, n_rows: Mapping[str, int]) -> dict[str, str]:
    """What the data sheet counts, given the rows of each configuration."""
    runs = [record.run for record in suite.manifest.references]
    days = sorted(run.created[:10] for run in runs)
    clauses = []
    for task in suite.task_names:
        clips, signals = n_rows[f"{task}_clips"], n_rows[task]
        verdicts = n_rows.get(f"{task}_verdicts", 0)
        counts = f"{plural(clips, 'clip')}, {plural(signals, 'signal')}, {plural(verdicts, 'verdict')}"
        clauses.append(f"{task}: {counts}")
    versions = " and ".join(sorted({run.goodenough for run in runs}))
    return {
        "composition": "; ".join(clauses),
        "versions": versions,
        "when": f"between {days[0]} and {days[-1]}" if days[0] < days[-1] else f"on {days[0]}",
    }


def _info(config: str, facts: Sequence[FileFacts]) -> dict[str, Any]:
    n_expanded, n_bytes = sum(f.n_expanded for f in facts), sum(f.n_bytes for f in facts)
    split = {"name": "test", "num_bytes": n_expanded, "num_examples": sum(f.n_rows for f in facts)}
    sizes = {"download_size": n_bytes, "dataset_size": n_expanded}
    return {"config_name": config, "splits": [split], **sizes}


def _task(
    suite: Suite,
    task: str,
    entries: Sequence[Entry],
    card: str | None,
    stability: str | None,
    paired_evidence: str | None,
) -> str:
    records = suite.references(task)
    definition = suite.task(task)
    lines = (
        f"Labels: {', '.join(definition.labels)}. Clips at {definition.sample_rate_hz:,} Hz, of at most"
        f" {definition.max_seconds:g} s."
    )
    reference_rows = [_reference_row(record) for record in records]
    heads = ["reference", "revision", "corpus", "its licence", "clips", "skipped", "of silence it says"]
    pairs = Counter(line.pair for line in suite.clip_lines(task) if line.pair is not None)
    if n_pairs := sum(n > 1 for n in pairs.values()):
        lines += (
            f" {plural(n_pairs, 'pair')}: an original recording and what was made of it have one name in"
            f" column `pair` of `{task}_clips`."
        )
    parts = [f"## {task}", lines, *([_words(card)] if card else [])]
    parts += ["### References and their signals", markdown_table(heads, reference_rows)]
    size_rows = [row for record in records for row in _size_rows(suite, task, record)]
    heads = ["reference", "family", "draws", "signals", "degenerate", "kept, median (range)"]
    parts.append(markdown_table([*heads, "share of all", QUERIES], size_rows))
    parts.append("### Stability: two extractions of one clip")
    parts.append(stability or "One extraction of each clip: how stable a signal is was not measured.")
    if paired_evidence:
        parts.append("### Pairs: do the references hear what the copy changed?")
        parts += [PAIRS, paired_evidence]
    entries_by_model = {e.model.repo_id: e for e in entries if e.task == task}
    if entries_by_model:
        heads = ["reference as a judge", "family", "transfer", "agreeing", "swap", "lift", "placement"]
        heads += ["agreement on whole clips", "accuracy"]
        rows = [row for name in sorted(entries_by_model) for row in _rates(entries_by_model[name])]
        n = len(records)
        parts.append(f"### Transfer among the references, for this panel of {n}: means over the others")
        parts.append(markdown_table(heads, rows))
    return "\n\n".join(parts)


def _reference_row(record: ReferenceRecord) -> list[str]:
    corpus = record.corpus
    return [
        record.model.repo_id,
        f"`{record.model.revision[:12]}`",
        f"{corpus.name} `{corpus.revision[:12]}`",
        corpus.licence or "not stated",
        f"{corpus.n_clips:,}",
        f"{len(record.skipped):,}",
        record.counts[0].silence_class if record.counts else "-",
    ]


def _size_rows(suite: Suite, task: str, record: ReferenceRecord) -> list[list[str]]:
    by_family = defaultdict(list)
    for line in suite.signal_lines(task, record.model.slug):
        if not line.degenerate:
            by_family[line.family].append((line.n_kept, line.n_kept / line.n_coefficients))
    rows, queries = [], queries_of(suite, task, record.model.slug)
    for count in record.counts:
        sizes = sorted(by_family[count.family])
        n_kept = [n for n, _ in sizes]
        median_and_range = f"{median(n_kept):,.0f} ({n_kept[0]:,} to {n_kept[-1]:,})" if sizes else "-"
        share = f"{median(s for _, s in sizes):.2g}" if sizes else "-"
        counts = [str(count.n_draws)]
        counts += [f"{count.n_signals:,}", f"{count.n_degenerate:,}"]
        counts_of_queries = format_queries(queries.get(count.family, ()))
        rows.append([record.model.repo_id, count.family, *counts, median_and_range, share, counts_of_queries])
    return rows


def _rates(entry: Entry) -> list[list[str]]:
    rows = []
    for score in entry.scorecard.families:
        r = score.rates
        estimates = (r.transfer, r.agreeing_transfer, r.swap, r.lift, r.placement, r.agreement)
        texts = map(format_estimate, (*estimates, entry.scorecard.whole.accuracy))
        rows.append([entry.model.repo_id, score.family, *texts])
    return rows


def _words(card: str) -> str:
    """A data card without its YAML head, its title, its figures and its section of measurements."""
    body = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    body = re.sub(r"^## Measured\n.*?(?=^## |\Z)", "", body, flags=re.DOTALL | re.MULTILINE)
    body = re.sub(r"^(# .*|!\[.*\]\(.*\))\n", "", body, flags=re.MULTILINE)
    body = re.sub(r"^(#+) ", r"#\1 ", body, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", body).strip()


def _licence_words(licences_of_corpus: Mapping[str, Sequence[str]]) -> str:
    licences_in_order = sorted(licences_of_corpus.items())
    clauses = [f"{corpus}: {', '.join(names) or 'not stated'}" for corpus, names in licences_in_order]
    words = (
        f"A signal is a derivative of its clip and is under the licence of its corpus ({'; '.join(clauses)})."
        " Masks, verdicts and this text are Apache-2.0."
    )
    return "\n\n".join([words, *licences.attributions(licences_of_corpus)])
