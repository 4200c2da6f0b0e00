"""Forgeries by the dozen, each with what must catch it: the table of docs/forgeries.md.

All of one sound entry, of a model that says `fake` to what has more energy above 4 kHz, on a suite of seven
clips: nothing that needs weights. What is changed among the verdicts is counted again, so that nothing shows.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from harness.dataset import suites
from harness.entries import store, suite_check, verification
from harness.entries.validate import validate_entry
from harness.metrics.likeness import copies, likeness_of
from harness.metrics.scorecard import summarise
from harness.model_facts import ModelFacts
from harness.models.checkpoints import Checkpoint
from harness.schemas import BatchProof, Entry, from_json, to_json
from harness.submit import field_checks, replay
from harness.tasks import TASKS
from harness.types import LabelMap, ModelRef, Verdict
from tests.helpers.entries import ADAPTER, DETECTOR, by_adapter, frame, made_verification
from tests.helpers.families import HEADLINE, MINIMAL
from tests.helpers.small_suite import LABELS, TASK, Loud, entry_on, small_suite

VALIDATE = "validate"
LOOKED_UP = "verify"
ASKED = "verify, where it is drawn, and verify --all"
NOBODY = "nobody: stated by the submitter"
CATCHERS = (VALIDATE, LOOKED_UP, ASKED, NOBODY)

COMMITTED = datetime(2026, 6, 1, tzinfo=UTC)
"""When the commit of the model was made."""

CARD = "---\nlicense: mit\n---\n"


class Ear(Loud):
    """The model, as it lies on the Hub."""

    ref = ModelRef("toys/loud", "e" * 40, "f" * 64)
    facts = ModelFacts(
        "EarForAudioClassification",
        1234,
        16_000,
        None,
        "mit",
        base_models=("toys/base",),
        trained_on=("toys/data",),
        released="2026-05-05",
    )
    frontend = "EarFeatureExtractor (numpy)"


Of = tuple[Entry, list[Verdict]]


@dataclasses.dataclass(frozen=True)
class Forgery:
    """An entry, verification, model or suite that is not what it says."""

    name: str
    """What is forged, in words."""
    caught_by: str
    """One of CATCHERS."""
    change: Callable[[Entry, list[Verdict]], Of]
    """Made of a sound entry."""


@cache
def sound(base: Path) -> tuple[suites.Suite, Entry, tuple[Verdict, ...]]:
    """The suite, and a sound entry on it with its verdicts.

    Args:
        base: folder for temporary files, of all tests of this process.
    """
    from tests.helpers import small_suite as small

    suite = small_suite(base / "forged-suite")
    with_ear = small.Loud
    small.Loud = Ear  # type: ignore[misc]
    try:
        entry, verdicts = entry_on(suite, base / "forged-results")
    finally:
        small.Loud = with_ear  # type: ignore[misc]
    SUITES.append(suite)
    return suite, dataclasses.replace(entry, n_verdicts=0, verdicts_sha256=""), tuple(verdicts)


def catcher(forgery: Forgery, base: Path, place: Path) -> str:
    """What catches a forgery, the first of CATCHERS that does."""
    suite, _, _ = sound(base)
    if validated(forgery, base, place):
        return VALIDATE
    (folder,) = store.find(place)
    if suite_check.check_against_suite(folder, suite):
        return LOOKED_UP
    forged = store.read(folder)
    ear: Any = Ear()
    card = place / "card"
    card.mkdir()
    (card / "README.md").write_text(CARD)
    checkpoint = Checkpoint(Ear.ref, card, "mit")
    differing = field_checks.model_differences(forged, ear, checkpoint, TASK, COMMITTED)
    if differing:
        return LOOKED_UP
    v = replay.rerun(folder, suite, ear, "Toys have none.", base="0" * 40, k=10**6)
    return NOBODY if v.holds else ASKED


def validated(forgery: Forgery, base: Path, place: Path) -> list[str]:
    """What `validate` says of it."""
    _, entry, verdicts = sound(base)
    forged, rows = forgery.change(entry, list(verdicts))
    folder = store.write(place / "submissions", forged, rows)
    content = json.loads((folder / store.ENTRY).read_text())
    stated = {name: getattr(forged, name) for name in ("n_verdicts", "verdicts_sha256")}
    content |= {name: value for name, value in stated.items() if value}
    (folder / store.ENTRY).write_text(json.dumps(content))
    return validate_entry(folder, tuple(TASKS.values()), strict_files=True)


# How to forge


def stated(path: str, value: Any) -> Callable[[Entry, list[Verdict]], Of]:
    """Another value in entry.json, by a path such as `references.0.family`."""

    def change(entry: Entry, verdicts: list[Verdict]) -> Of:
        content = json.loads(to_json(entry))
        inner = content
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in parents:
            inner = inner[part]
        inner[last] = value(inner[last]) if callable(value) else value
        return from_json(Entry, json.dumps(content)), verdicts

    return change


def both(*changes: Callable[[Entry, list[Verdict]], Of]) -> Callable[[Entry, list[Verdict]], Of]:
    """One change after the other."""

    def change(entry: Entry, verdicts: list[Verdict]) -> Of:
        for one in changes:
            entry, verdicts = one(entry, verdicts)
        return entry, verdicts

    return change


def counted(entry: Entry, verdicts: Sequence[Verdict]) -> Entry:
    """The entry with the scorecard that its verdicts give."""
    rows = frame(verdicts)
    known, headline = copies(entry.likeness), entry.signals.headline
    card = summarise(rows, TASK, entry.model, entry.references, entry.label_map, headline, known)
    return dataclasses.replace(entry, scorecard=card)


def rows(
    change: Callable[[list[Verdict]], list[Verdict]], *, recount: bool = True, alike: bool = True
) -> Any:
    """Other verdicts; what follows from them is counted again, unless it is said.

    Args:
        change: of the verdicts.
        recount: the scorecard.
        alike: the likeness to the references, for which the suite is needed.
    """

    def apply(entry: Entry, verdicts: list[Verdict]) -> Of:
        verdicts = change(verdicts)
        if alike:
            suite = next(s for s in SUITES)
            likeness = likeness_of(frame(verdicts), TASK, entry.label_map, suite)
            entry = dataclasses.replace(entry, likeness=likeness)
        return (counted(entry, verdicts) if recount else entry), verdicts

    return apply


SUITES: list[suites.Suite] = []
"""The suite of the sound entry, as soon as there is one."""


def where(index: int = 0, **fields: Any) -> Callable[[Verdict], bool]:
    return lambda v: all(getattr(v, name) == value for name, value in fields.items())


def each(changed: Callable[[Verdict], Verdict], index: int | None = 0, **fields: Any) -> Any:
    """The verdicts with some fields, changed: the one of an index, or all."""

    def change(verdicts: list[Verdict]) -> list[Verdict]:
        chosen = [i for i, v in enumerate(verdicts) if where(**fields)(v)]
        chosen = chosen if index is None else [chosen[index]]
        return [changed(v) if i in chosen else v for i, v in enumerate(verdicts)]

    return change


def put(**values: Any) -> Callable[[Verdict], Verdict]:
    return lambda v: dataclasses.replace(v, **values)


def flipped(v: Verdict) -> Verdict:
    """Says the other of the two labels, with its probability."""
    other = {"spoof": "bonafide", "bonafide": "spoof"}[v.predicted]
    p = v.p[::-1]
    return dataclasses.replace(
        v,
        predicted=other,
        predicted_raw={"spoof": "fake", "bonafide": "real"}[other],
        p=p,
        p_expected=None if v.expected is None else p[TASK.labels.index(v.expected)],
    )


def raising(stimulus: str, n: int | None) -> Callable[[list[Verdict]], list[Verdict]]:
    """Verdicts that do not raise the lift, so that they do."""

    def change(verdicts: list[Verdict]) -> list[Verdict]:
        wrong = stimulus == "signal"
        chosen = [
            i
            for i, v in enumerate(verdicts)
            if v.stimulus == stimulus
            and v.family == HEADLINE
            and (v.predicted != v.expected) == wrong
            and v.predicted != "other"
        ][:n]
        assert chosen
        return [flipped(v) if i in chosen else v for i, v in enumerate(verdicts)]

    return change


def without(**fields: Any) -> Callable[[list[Verdict]], list[Verdict]]:
    return lambda verdicts: [v for v in verdicts if not where(**fields)(v)]


def more(changed: Callable[[Verdict], Verdict], **fields: Any) -> Callable[[list[Verdict]], list[Verdict]]:
    return lambda verdicts: [*verdicts, changed(next(v for v in verdicts if where(**fields)(v)))]


def fewer_signals(entry: Entry, verdicts: list[Verdict]) -> Of:
    """One signal that it rejects is left out, and the counts say so."""
    first = next(v for v in verdicts if v.stimulus == "signal" and v.family == HEADLINE)
    counts = tuple(
        dataclasses.replace(r, n_signals=r.n_signals - 1)
        if (r.model.repo_id, r.family) == (first.reference, first.family)
        else r
        for r in entry.references
    )
    entry = dataclasses.replace(entry, references=counts)
    return rows(without(signal_id=first.signal_id))(entry, verdicts)


def one_reference(entry: Entry, verdicts: list[Verdict]) -> Of:
    """A reference whose signals it rejects is left out."""
    entry = dataclasses.replace(
        entry,
        references=tuple(r for r in entry.references if r.model.repo_id != "toys/b"),
        likeness=tuple(near for near in entry.likeness if near.reference.repo_id != "toys/b"),
    )
    return rows(without(reference="toys/b"), alike=False)(entry, verdicts)


def other_map(entry: Entry, verdicts: list[Verdict]) -> Of:
    """The classes by each other's names, and in every verdict."""
    label_map = LabelMap(TASK.name, ("real", "fake", "music"), ("bonafide", "spoof", "other"), "names")
    entry = dataclasses.replace(entry, label_map=label_map)
    return rows(lambda vs: [flipped(v) if v.predicted != "other" else v for v in vs])(entry, verdicts)


def of_a_file(canonical: tuple[str, ...]) -> Callable[[Entry, list[Verdict]], Of]:
    """A map that is said to come from a file."""

    def change(entry: Entry, verdicts: list[Verdict]) -> Of:
        label_map = LabelMap(TASK.name, LABELS.names, canonical, "file")
        return dataclasses.replace(entry, label_map=label_map), verdicts

    return change


def exchanged(verdicts: list[Verdict]) -> list[Verdict]:
    """The first two swap controls of a signal are said to be of each other's clips."""
    name = next(v.signal_id for v in verdicts if v.stimulus == "swap")
    others = [v.other_clip for v in verdicts if v.stimulus == "swap" and v.signal_id == name][:2]
    turned = dict(zip(others, others[::-1], strict=True))
    return [
        dataclasses.replace(v, other_clip=turned[v.other_clip])
        if v.stimulus == "swap" and v.signal_id == name and v.other_clip in turned
        else v
        for v in verdicts
    ]


def facts_of(**fields: Any) -> Callable[[Entry, list[Verdict]], Of]:
    return lambda entry, verdicts: (
        dataclasses.replace(entry, facts=dataclasses.replace(entry.facts, **fields)),
        verdicts,
    )


def run_of(**fields: Any) -> Callable[[Entry, list[Verdict]], Of]:
    return lambda entry, verdicts: (
        dataclasses.replace(entry, run=dataclasses.replace(entry.run, **fields)),
        verdicts,
    )


def proof_of(**fields: Any) -> Callable[[Entry, list[Verdict]], Of]:
    return lambda entry, verdicts: (
        dataclasses.replace(entry, proof=dataclasses.replace(entry.proof, **fields)),
        verdicts,
    )


def batches_of(n: int) -> Callable[[Entry, list[Verdict]], Of]:
    return lambda entry, verdicts: (
        dataclasses.replace(
            entry,
            run=dataclasses.replace(entry.run, batch_size=n),
            proof=BatchProof(8, n, 0.0, 0),
        ),
        verdicts,
    )


CARD_OF_LIFT = "scorecard.families.0.rates"
SIGNAL = {"stimulus": "signal", "family": HEADLINE}

ENTRIES: tuple[Forgery, ...] = (
    *(
        Forgery(f"{path}: {words}", VALIDATE, stated(path, value))
        for path, words, value in (
            ("protocol", "an older one", 1),
            ("protocol", "one that is not there yet", 3),
            ("task", "another task", "emotion"),
            ("model.revision", "no whole commit", "e" * 12),
            ("model.revision", "that of a folder, for a model of the Hub", "e" * 64),
            ("model.weights_sha256", "no sha256", "best"),
            ("facts.n_parameters", "negative", -1),
            ("facts.sample_rate_hz", "none", 0),
            ("facts.window_seconds", "negative", -1.0),
            ("facts.released", "before the Hub noted such days", "2019-01-01"),
            ("facts.released", "after the model was asked", "2099-01-01"),
            ("facts.released", "no day", "soon"),
            ("facts.base_models", "more than there can be", ["a/b"] * 21),
            ("facts.trained_on", "more than there can be", ["a/b"] * 51),
            ("facts.architecture", "a tag", "<b>Ear</b>"),
            ("signals.split", "another part", "train"),
            ("signals.config", "another task", "emotion"),
            ("signals.revision", "not that of its content", "0" * 64),
            ("references.0.family", "one that is not there", "largest"),
            ("references.0.family", "another resolution", "responsibility@bands64"),
            ("signals.headline", "the other family", MINIMAL),
            ("scorecard.headline_family", "the other family", MINIMAL),
            ("references.0.n_degenerate", "more than signals", 10**6),
            ("references.0.seed", "another seed", 7),
            ("references.0.silence_class", "no label", "loud"),
            ("label_map.names", "a class twice", ["fake", "fake", "music"]),
            ("label_map.canonical", "not as it reads by name", ["bonafide", "spoof", "other"]),
            ("label_map.canonical", "one label", ["spoof", "other", "other"]),
            ("label_map.source", "no source", "guess"),
            ("run.created", "a time to come", "2099-01-01T00:00:00Z"),
            ("run.created", "before there was this benchmark", "2001-01-01T00:00:00Z"),
            ("run.created", "no time", "today"),
            ("run.dtype", "no arithmetic", "int8"),
            ("run.batch_size", "none", 0),
            ("run.seconds", "negative", -1.0),
            ("run.versions", "of a package that moves no logit", {"luck": "1.0"}),
            ("run.versions", "no version", {"torch": "the newest"}),
            ("run.goodenough", "no version", "the best"),
            ("run.n_asked", "negative", -1),
            ("proof.n", "none", 0),
            ("proof.n", "seven", 7),
            ("proof.batch_size", "another than that of the run", 3),
            ("proof.n_flips", "an answer that moved", 1),
            ("proof.max_logit_difference", "more than the tolerance", 1.0),
            ("complete", "stopped early", False),
            ("n_verdicts", "more than there are", 10**6),
            ("verdicts_sha256", "of another file", "0" * 64),
            ("likeness", "left out", []),
            ("likeness.0.n_accepted", "another count", lambda n: n + 1),
            ("likeness.0.n_agreed", "more than clips", 10**4),
            ("likeness.0.correlation", "above 1", 2.0),
            ("scorecard.ranked", "ranked", lambda ranked: not ranked),
            ("scorecard.unranked_because", "another reason", "It is too good."),
            ("scorecard.known_answer", "a reference", 1.0),
            ("scorecard.whole.accuracy.value", "another accuracy", 1.0),
            (f"{CARD_OF_LIFT}.transfer.value", "another transfer", 1.0),
            (f"{CARD_OF_LIFT}.swap.value", "another swap", 0.0),
            (f"{CARD_OF_LIFT}.transfer.low", "a narrower interval", 0.99),
            (f"{CARD_OF_LIFT}.transfer.n", "more signals", 10**4),
            ("scorecard.families.0.cells.0.near_copy", "a near copy", True),
        )
    ),
    Forgery(
        "references: one of them twice",
        VALIDATE,
        lambda e, vs: (dataclasses.replace(e, references=(*e.references, e.references[0])), vs),
    ),
    Forgery("facts.kind: no head, and no adapter", VALIDATE, facts_of(kind="zero-shot")),
    Forgery("facts.adapter of a model of the Hub", VALIDATE, facts_of(kind="adapter", adapter=ADAPTER)),
    *(
        Forgery(
            f"facts.adapter.{words}",
            VALIDATE,
            lambda e, vs, adapter=adapter: (by_adapter(e, dataclasses.replace(DETECTOR, **adapter)), vs),
        )
        for words, adapter in (
            ("name: a path", {"name": "../aasist.py:Aasist"}),
            ("code: without the file", {"code": {"other.py": "0" * 64}}),
            ("weights: a path", {"weights": {"../w.safetensors": "0" * 64}}),
            ("threshold_source: this suite", {"threshold_source": "equal error rate on this suite"}),
            ("above: no class of the model", {"above": "fraud"}),
        )
    ),
    Forgery(
        "facts.adapter: other weights under its revision",
        VALIDATE,
        lambda e, vs: facts_of(adapter=dataclasses.replace(ADAPTER, weights={"w.pt": "0" * 64}))(
            by_adapter(e), vs
        ),
    ),
    Forgery(
        "facts.released of a folder",
        VALIDATE,
        lambda e, vs: (
            dataclasses.replace(e, model=ModelRef("local/loud", "e" * 64, "f" * 64)),
            vs,
        ),
    ),
    *(
        Forgery(f"verdicts: {words}", VALIDATE, rows(change, recount=False, alike=False))
        for words, change in (
            ("a signal accepted, and not counted again", raising("signal", 1)),
            ("a signal twice", lambda vs: [*vs, next(v for v in vs if where(**SIGNAL)(v))]),
            (
                "no control of the largest bins",
                without(stimulus="largest", signal_id=f"c1:toys__a:{HEADLINE}:0.1"),
            ),
            ("a swap control left out of the middle", without(stimulus="swap", replicate=1)),
            ("a swap control of another class", each(put(other_clip="c3"), stimulus="swap", clip_id="c1")),
            ("a fifth matched control", more(put(replicate=4), stimulus="matched")),
            (
                "a class that is not the most probable",
                each(put(predicted="spoof", predicted_raw="fake"), predicted="bonafide"),
            ),
            ("probabilities above 1", each(put(p=(0.9, 0.9)), stimulus="whole")),
            ("p_expected that is not in p", each(put(p_expected=0.123), **SIGNAL)),
            ("a class that the model has not", each(put(predicted_raw="noise"), stimulus="whole")),
            (
                "another class for one row of a signal",
                each(put(expected="spoof"), stimulus="largest", expected="bonafide"),
            ),
            (
                "another truth for one row of a clip",
                each(put(truth="spoof"), truth="bonafide", stimulus="largest"),
            ),
            ("more energy than there is", each(put(energy_seen=2.0), **SIGNAL)),
            ("more seconds than there are", each(put(seconds_seen=9.0), **SIGNAL)),
            ("a ninth level", each(put(level=8), stimulus="signal", level=7)),
            ("a signal of a reference that is not listed", each(put(reference="toys/c"), **SIGNAL)),
            ("a third draw of two", each(put(draw=3), stimulus="signal", reference="toys/b")),
            ("no silence of one length", without(stimulus="silence", n_samples=600)),
            ("no whole clip", without(stimulus="whole", clip_id="c2")),
            ("a clip longer than the task allows", each(put(n_samples=10**8), stimulus="whole")),
        )
    ),
    Forgery("a rejected signal left out", LOOKED_UP, fewer_signals),
    Forgery("a reference left out", LOOKED_UP, one_reference),
    Forgery("swap controls of other clips", LOOKED_UP, rows(exchanged)),
    Forgery(
        "silence of a length that no clip has", LOOKED_UP, rows(more(put(n_samples=500), stimulus="silence"))
    ),
    Forgery(
        "another truth of a clip", LOOKED_UP, rows(each(put(truth="bonafide"), index=None, clip_id="c0"))
    ),
    Forgery(
        "a level left out with its kind",
        LOOKED_UP,
        rows(
            lambda vs: [
                v for v in vs if not (v.signal_id == f"c1:toys__a:{MINIMAL}:0.1" and (v.level or 0) > 0)
            ]
        ),
    ),
    *(
        Forgery(f"{path}: {words}", LOOKED_UP, stated(path, value))
        for path, words, value in (
            ("likeness.0.correlation", "another correlation", 0.123),
            ("run.n_asked", "more than the suite has", 10**6),
        )
    ),
    Forgery("facts.architecture", LOOKED_UP, facts_of(architecture="BetterForAudioClassification")),
    Forgery("facts.n_parameters: a smaller model", LOOKED_UP, facts_of(n_parameters=5)),
    Forgery("facts.sample_rate_hz", LOOKED_UP, facts_of(sample_rate_hz=48_000)),
    Forgery("facts.window_seconds", LOOKED_UP, facts_of(window_seconds=1.0)),
    Forgery("facts.window_at", LOOKED_UP, facts_of(window_at="end")),
    Forgery("facts.licence", LOOKED_UP, facts_of(licence="apache-2.0")),
    Forgery("facts.trained_on: the corpus left out", LOOKED_UP, facts_of(trained_on=None)),
    Forgery("facts.base_models: the reference left out", LOOKED_UP, facts_of(base_models=None)),
    Forgery("facts.released: an older model", LOOKED_UP, facts_of(released="2023-01-01")),
    Forgery("facts.remote_code, so that nobody asks", LOOKED_UP, facts_of(remote_code=True)),
    Forgery("facts.multi_label", LOOKED_UP, facts_of(multi_label=True)),
    Forgery(
        "model.repo_id: the name of a better known one",
        LOOKED_UP,
        lambda e, vs: (dataclasses.replace(e, model=dataclasses.replace(e.model, repo_id="toys/famous")), vs),
    ),
    Forgery(
        "run.frontend: another feature extractor",
        LOOKED_UP,
        run_of(frontend="WhisperFeatureExtractor (torch)"),
    ),
    Forgery("run.created before the commit of the model", LOOKED_UP, run_of(created="2026-05-20T00:00:00Z")),
    Forgery("proof.n: more than are scored both ways", LOOKED_UP, proof_of(n=1000)),
    Forgery("label_map.names: classes under each other's names", LOOKED_UP, other_map),
    Forgery(
        "label_map.names: a class that the model has not",
        LOOKED_UP,
        lambda e, vs: (
            dataclasses.replace(
                e,
                label_map=dataclasses.replace(
                    e.label_map,
                    names=(*e.label_map.names, "rain"),
                    canonical=(*e.label_map.canonical, "other"),
                ),
            ),
            vs,
        ),
    ),
    Forgery("a rejected signal accepted", ASKED, rows(raising("signal", 1))),
    Forgery("all rejected signals accepted", ASKED, rows(raising("signal", None))),
    Forgery("an accepted swap control rejected", ASKED, rows(raising("swap", 1))),
    Forgery("a whole clip given its true label", ASKED, rows(each(flipped, stimulus="whole"))),
    Forgery(
        "a silence given another class",
        ASKED,
        rows(
            each(
                lambda v: (
                    dataclasses.replace(
                        v,
                        p=(0.9, 0.05),
                        predicted="bonafide" if v.predicted == "spoof" else "spoof",
                        predicted_raw="real" if v.predicted == "spoof" else "fake",
                    )
                    if v.predicted != "other"
                    else dataclasses.replace(v, predicted="bonafide", predicted_raw="real", p=(1.0, 0.0))
                ),
                stimulus="silence",
            )
        ),
    ),
    Forgery(
        "probabilities of a signal",
        ASKED,
        rows(
            each(
                lambda v: dataclasses.replace(
                    v, p=tuple(x * 0.9 for x in v.p), p_expected=(v.p_expected or 0) * 0.9
                ),
                **SIGNAL,
            )
        ),
    ),
    Forgery("a matched control too many", ASKED, rows(lambda vs: [*vs, _one_more(vs, "matched")])),
    Forgery(
        "a matched control too few", ASKED, rows(lambda vs: [v for v in vs if v is not _last(vs, "matched")])
    ),
    Forgery("seconds that the model did not see", ASKED, rows(each(put(seconds_seen=0.001), **SIGNAL))),
    Forgery("energy that the model did not see", ASKED, rows(each(put(energy_seen=0.5), **SIGNAL))),
    Forgery(
        "an answer at a further level",
        ASKED,
        rows(each(flipped, stimulus="signal", family=MINIMAL, level=3)),
    ),
    Forgery("an answer to the complement", ASKED, rows(each(flipped, stimulus="complement"))),
    Forgery("an answer to the largest bins", ASKED, rows(each(flipped, stimulus="largest"))),
    Forgery("a map from a file, by a reading of its maker", NOBODY, of_a_file(LABELS.canonical)),
    Forgery("run.device", NOBODY, run_of(device="cuda")),
    Forgery("run.platform", NOBODY, run_of(platform="Moon m68k")),
    Forgery("run.seconds", NOBODY, run_of(seconds=0.001)),
    Forgery(
        "run.created between the commit of the model and now", NOBODY, run_of(created="2026-06-02T00:00:00Z")
    ),
    Forgery("run.versions", NOBODY, run_of(versions={"python": "3.99", "torch": "99.0"})),
    Forgery("run.goodenough", NOBODY, run_of(goodenough="9.9.9")),
    Forgery("run.batch_size and proof.batch_size", NOBODY, batches_of(4)),
    Forgery(
        "run.n_asked: cached answers stated as new",
        NOBODY,
        lambda e, vs: (
            dataclasses.replace(
                e,
                run=dataclasses.replace(
                    e.run, n_asked=0, n_known=(e.run.n_asked or 0) + (e.run.n_known or 0)
                ),
            ),
            vs,
        ),
    ),
    Forgery("proof.max_logit_difference within the tolerance", NOBODY, proof_of(max_logit_difference=5e-5)),
)


def _last(verdicts: Sequence[Verdict], stimulus: str) -> Verdict:
    return max(
        (v for v in verdicts if v.stimulus == stimulus), key=lambda v: (v.replicate or 0, v.signal_id or "")
    )


def _one_more(verdicts: Sequence[Verdict], stimulus: str) -> Verdict:
    """A further control of the signal that has fewest, below the most that there may be."""
    n: dict[str, int] = {}
    for v in verdicts:
        if v.stimulus == stimulus:
            n[v.signal_id or ""] = n.get(v.signal_id or "", 0) + 1
    name = min(n, key=lambda signal_id: n[signal_id])
    one = next(v for v in verdicts if v.stimulus == stimulus and v.signal_id == name)
    return dataclasses.replace(one, replicate=n[name])


VERIFICATIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("of an older protocol", {"protocol": 1}),
    ("of a protocol that is not there yet", {"protocol": 3}),
    ("of no kind", {"kind": "believed"}),
    ("by a base that is no commit", {"base": "main"}),
    ("drawn without a base", {"base": None}),
    ("of another entry", {"entry": "toys__candidate/000000000000/emotion@00000000"}),
    ("of another entry.json", {"entry_sha256": "0" * 64}),
    ("of other verdicts", {"verdicts_sha256": "0" * 64}),
    ("in which nothing was asked", {"n_asked": 0}),
    ("in which more was the same than asked", {"n_same": 41}),
    ("with a wider tolerance", {"tolerance": 0.5}),
    ("that holds with a difference beyond the tolerance", {"max_difference": 0.5}),
    ("that holds with a verdict that differs", {"n_same": 39}),
    ("that holds with a fact that differs", {"differing": ("facts.licence: 'mit', expected nothing",)}),
    ("that holds with ties that all raise the lift", {"n_ties": 14, "n_ties_for": 14}),
    ("with more ties of the lift than ties", {"n_ties": 1, "n_ties_for": 2}),
    (
        "that says all was asked, and asked 40",
        {"kind": "reproduced", "base": None, "n_scorecard_differences": 0},
    ),
    ("on a machine that is not tested, without a reason", {"known_answer": None}),
    ("that does not hold, and nothing differs", {"holds": False}),
    ("by an adapter, of a model without one", {"adapter_sha256": "0" * 64}),
)
"""Forged verifications, each a change of a sound one; `validate` refuses all of them."""


def table() -> list[str]:
    """The table of docs/forgeries.md."""
    lines = ["| forged | caught by |", "|---|---|"]
    lines += [f"| {forgery.name} | {forgery.caught_by} |" for forgery in ENTRIES]
    lines += [f"| a verification {words} | {VALIDATE} |" for words, _ in VERIFICATIONS]
    return lines


def forged_verification(folder: Path, fields: dict[str, Any]) -> list[str]:
    """What `validate` says of a forged verification of an entry."""
    path = verification.write(folder, dataclasses.replace(made_verification(folder), **fields))
    return verification.problems(path, folder)
