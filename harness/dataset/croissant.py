"""Croissant metadata of a published suite: what its files hold, where they come from, what they are good for.

The format is Croissant 1.1 (https://mlcommons.org/croissant/1.1) with the responsible-AI vocabulary 1.0
(https://mlcommons.org/croissant/RAI/1.0) and provenance in the words of W3C PROV. Files, columns, counts,
licences and provenance come from the suite. What only its maintainer can say comes from the data cards: the
sections in SECTIONS, and the fields `synthetic`, `version`, `language` and `creator` of their heads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from harness.dataset import croissant_files, data_card, licences
from harness.dataset.card import TAGS, FileFacts
from harness.dataset.data_card import DataCard
from harness.dataset.suite_notes import SYNTHETIC, note_of_task
from harness.dataset.suites import Suite
from harness.manifest import CorpusRef, ReferenceRecord
from harness.plurals import plural
from harness.schemas import Entry
from harness.types import ModelRef

SECTIONS: MappingProxyType[str, str] = MappingProxyType(
    {
        "Limits": "rai:dataLimitations",
        "Biases": "rai:dataBiases",
        "Personal and sensitive information": "rai:personalSensitiveInformation",
        "Uses": "rai:dataUseCases",
        "Social impact": "rai:dataSocialImpact",
        "Provenance": "rai:dataCollection",
        "Labels": "rai:dataAnnotationProtocol",
        "Maintenance": "rai:dataReleaseMaintenancePlan",
    }
)
"""Section of a data card -> field of the metadata."""

_ASKED_OF_THE_MAINTAINER = tuple(SECTIONS)[:6]
"""Sections that a data card should have; nothing here can write them."""

_ONE_TEXT = ("rai:dataSocialImpact", "rai:dataCollection", "rai:dataReleaseMaintenancePlan")
"""Fields that hold one text, not a list."""

_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field"),
    *("fileProperty", "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath"),
    *("key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace"),
    *("samplingRate", "separator", "source", "subField", "transform"),
)
"""Terms of Croissant, written without its prefix."""

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    **{term: f"cr:{term}" for term in _TERMS},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
}

_EXAMPLE_HEAD = "version: 1.0.0, synthetic: false"

_HUB = "https://huggingface.co"


def missing(suite: Suite, cards: Mapping[str, str]) -> list[str]:
    """What the data cards leave unsaid, a line for each task that has one, and one for their heads."""
    by_task = {task: data_card.read(cards[task]) for task in suite.task_names if task in cards}
    lines = []
    for task, card in by_task.items():
        absent = [title for title in _ASKED_OF_THE_MAINTAINER if not card.sections.get(title)]
        if absent:
            titles = ", ".join(f"`## {title}`" for title in absent)
            lines.append(f"{task}: its data card has no section {titles}")
    heads = [card.head for card in by_task.values()]
    fields = [] if any("version" in head for head in heads) else ["version"]
    if not _has_synthetic(suite) and not any(isinstance(head.get("synthetic"), bool) for head in heads):
        fields.append("synthetic")
    if fields and by_task:
        lines.append(f"no data card has {' or '.join(fields)} in its head, as {_EXAMPLE_HEAD}")
    return lines


def render(
    suite: Suite,
    files: Mapping[str, FileFacts],
    hashes: Mapping[str, str],
    entries: Sequence[Entry],
    cards: Mapping[str, str],
    repo_id: str,
    masks_only: bool,
    readme: str,
    published: str,
) -> dict[str, Any]:
    """The metadata as a JSON-LD document.

    Args:
        suite: what is published.
        files: every Parquet file of clips, signals, sets and verdict tables, by path.
        hashes: sha256 of each of them.
        entries: of the references, on this suite.
        cards: data card of a task, where there is one.
        repo_id: where it will lie.
        masks_only: whether the audio is left out.
        readme: text of its README.md, whose sections hold for every suite.
        published: day of publication, ISO 8601.
    """
    by_task = {task: data_card.read(text) for task, text in cards.items()}
    heads = [card.head for card in by_task.values()]
    organisation, name = repo_id.split("/")
    url = f"{_HUB}/datasets/{repo_id}"
    corpora = {(r.corpus.name, r.corpus.revision): r.corpus for r in suite.manifest.references}
    stated = {licence for c in corpora.values() for licence in licences.names_in(c.licence)}
    owner = {"@type": "sc:Organization", "name": organisation, "url": f"{_HUB}/{organisation}"}
    versions = [str(head["version"]) for head in heads if "version" in head]
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": _description(suite, masks_only),
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "url": url,
        "license": [licences.address(licence) for licence in sorted({*stated, "apache-2.0"})],
        "creator": [{"@type": "sc:Person", "name": who} for who in _creators(heads)] or [owner],
        "publisher": [owner],
        "version": max(versions, key=_version_key) if versions else None,
        "datePublished": published,
        "dateCreated": max(record.run.created for record in suite.manifest.references)[:10],
        "keywords": [*TAGS, *suite.task_names],
        "inLanguage": list(dict.fromkeys(code for head in heads for code in _texts(head.get("language")))),
        "citeAs": _bibtex(readme),
        "isLiveDataset": False,
        **_responsible(suite, by_task, data_card.read(readme)),
        "prov:wasDerivedFrom": [_corpus(corpus) for corpus in corpora.values()],
        "prov:wasGeneratedBy": _activities(suite, by_task, entries),
        "distribution": croissant_files.distribution(files, hashes, url),
        "recordSet": croissant_files.record_sets(files),
    }
    return {key: value for key, value in document.items() if value not in (None, [], "")}


def _description(suite: Suite, masks_only: bool) -> str:
    n_signals = sum(c.n_signals for record in suite.manifest.references for c in record.counts)
    n_references = plural(len(suite.manifest.references), "reference model")
    form = "as masks, without audio" if masks_only else "as masks and as audio"
    return (
        f"{plural(n_signals, 'sufficient signal')} of {n_references} for {', '.join(suite.task_names)},"
        f" {form}: parts of the spectrum of a clip that alone still make a model give the class it gives the"
        " whole clip. For measuring whether other audio classifiers accept them."
    )


def _creators(heads: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for head in heads for name in _texts(head.get("creator"))))


def _texts(value: object) -> list[str]:
    """A text or a list of texts, as a list."""
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]


def _version_key(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]


def _bibtex(readme: str) -> str | None:
    match = re.search(r"^```bibtex\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    return match[1].strip() if match else None


# ---- responsible AI ------------------------------------------------------------------------------


def _responsible(suite: Suite, cards: Mapping[str, DataCard], readme: DataCard) -> dict[str, Any]:
    """The fields of the RAI vocabulary, general statements first."""
    fields: dict[str, Any] = {}
    for title, field in SECTIONS.items():
        lines = [*data_card.items(readme.sections.get(title, "")), *_of_cards(cards, title, len(suite.tasks))]
        fields[field] = " ".join(lines) if field in _ONE_TEXT else lines
    synthetic = [card.head["synthetic"] for card in cards.values() if "synthetic" in card.head]
    if synthetic or _has_synthetic(suite):
        fields["rai:hasSyntheticData"] = _has_synthetic(suite) or True in synthetic
    fields["rai:dataPreprocessingProtocol"] = [_preparation(suite, task) for task in suite.task_names]
    fields["rai:machineAnnotationTools"] = [
        f"{record.model.repo_id} at {record.model.revision}, {record.task}"
        for record in suite.manifest.references
    ]
    return fields


def _has_synthetic(suite: Suite) -> bool:
    """Whether a task is known to have synthetic clips; what else is, is for a data card to say."""
    return any(note_of_task(suite, task) == SYNTHETIC for task in suite.task_names)


def _of_cards(cards: Mapping[str, DataCard], title: str, n_tasks: int) -> list[str]:
    """The items of a section in all cards; one that is not said of every task names those it is said of."""
    tasks_by_item: dict[str, list[str]] = {}
    for task, card in cards.items():
        for item in data_card.items(card.sections.get(title, "")):
            tasks_by_item.setdefault(item, []).append(task)
    return [
        item if len(tasks) == n_tasks else f"{', '.join(tasks)}: {item}"
        for item, tasks in tasks_by_item.items()
    ]


def _preparation(suite: Suite, task: str) -> str:
    """What was done to the clips of a task, counted."""
    definition = suite.task(task)
    corpora = dict.fromkeys(record.corpus for record in suite.references(task))
    clauses = [
        f"{plural(corpus.n_clips, 'clip')} of {corpus.name}, of these {corpus.n_mixed:,} averaged to mono,"
        f" {corpus.n_resampled:,} resampled, {corpus.n_cut:,} cut; {plural(corpus.n_duplicates, 'duplicate')}"
        " left out"
        for corpus in corpora
    ]
    return (
        f"{task}: clips are brought to {definition.sample_rate_hz:,} Hz, mono, and cut to the middle"
        f" {definition.max_seconds:g} s where they are longer. {'. '.join(clauses)}."
    )


# ---- provenance ----------------------------------------------------------------------------------


def _corpus(corpus: CorpusRef) -> dict[str, Any]:
    names = licences.names_in(corpus.licence)
    return {
        "@type": "prov:Entity",
        "@id": _corpus_id(corpus),
        "prov:label": corpus.name,
        **({"dct:license": [licences.address(name) for name in names]} if names else {}),
    }


def _corpus_id(corpus: CorpusRef) -> str:
    """Address of a corpus of the Hub at its commit; for one of a folder the hash of its clips."""
    if re.fullmatch("[0-9a-f]{40}", corpus.revision):
        return f"{_HUB}/datasets/{corpus.name}/tree/{corpus.revision}"
    return f"urn:sha256:{corpus.revision}"


def _model_id(model: ModelRef) -> str:
    """Address of a model of the Hub at its commit; for one of a folder the hash of its weights."""
    if model.repo_id.startswith("local/"):
        return f"urn:sha256:{model.weights_sha256}"
    return f"{_HUB}/{model.repo_id}/tree/{model.revision}"


def _activities(
    suite: Suite, cards: Mapping[str, DataCard], entries: Sequence[Entry]
) -> list[dict[str, Any]]:
    """Collection of the clips, extraction of the signals, and answers of the references, by task."""
    activities = []
    for task in suite.task_names:
        records = suite.references(task)
        clips = [{"@id": _corpus_id(corpus)} for corpus in dict.fromkeys(r.corpus for r in records)]
        models = [{"@id": _model_id(record.model), "prov:label": record.model.repo_id} for record in records]
        if task in cards and (provenance := cards[task].sections.get("Provenance")):
            description = " ".join(data_card.items(provenance))
            activities.append(_activity(f"{task}: collection of the clips", description, clips))
        searches = "; ".join(dict.fromkeys(search for record in records for search in record.searches))
        extraction = _activity(
            f"{task}: extraction of sufficient signals", searches, [*clips, *models], _runs(records)
        )
        activities.append(extraction)
        answers = [entry for entry in entries if entry.task == task]
        if answers:
            n = sum(entry.n_verdicts for entry in answers)
            label = f"{task}: answers of the references to each other's signals and to controls"
            activities.append(_activity(label, plural(n, "answer"), models, _runs(answers)))
    return activities


def _runs(records: Sequence[ReferenceRecord] | Sequence[Entry]) -> list[tuple[str, str]]:
    """When each was made, and by which version of this package."""
    return [(record.run.created, record.run.goodenough) for record in records]


def _activity(
    label: str, description: str, used: Sequence[Mapping[str, str]], runs: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    activity: dict[str, Any] = {"@type": "prov:Activity", "prov:label": label, "description": description}
    activity["prov:used"] = used
    if runs:
        versions = " and ".join(sorted({version for _, version in runs}))
        activity["prov:endedAtTime"] = max(created for created, _ in runs)
        activity["prov:wasAssociatedWith"] = {
            "@type": "prov:SoftwareAgent",
            "prov:label": f"goodenough {versions}",
        }
    return activity
