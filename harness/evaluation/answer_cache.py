"""A cache of a model's answers next to the results: no unit is evaluated twice.

    <out>/.answers/<org>__<model>/<key>/<task>.jsonl             one line per unit
    <out>/.answers/<org>__<model>/<key>/<task>.<i>-of-<n>.jsonl  those of one shard of a run

The key is a hash of all that answers depend on but the unit: weights, config, preprocessor, arithmetic,
device, versions. A unit is known by its content (`units.Unit`), so that a suite with one reference more costs
only its new signals. Lines are on disk before the next batch begins. Each has a checksum (`journal`): one
that is torn or damaged is left out, and its unit is asked again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.predict import Answers, share_keys
from harness.evaluation.stimuli import Key
from harness.evaluation.units import Unit
from harness.journal import Journal, finished_items
from harness.schemas import BatchProof


class AnswerCache:
    """The answers of one model on one task; or of one shard of a run, to be merged by another."""

    def __init__(
        self, out: Path, slug: str, work: Mapping[str, Any], task: str, shard: tuple[int, int] | None = None
    ) -> None:
        """Open or begin.

        `work` is what answers depend on, `classes`, the names of the model's classes, among it; the slug is
        that of the model; a shard is (i, n), 1 <= i <= n, or None for the whole.

        Raises:
            BadInput: another process is at work on it, or it cannot be written.
        """
        key = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:16]
        folder = out / ".answers" / slug / key
        part = "" if shard is None else f".{shard[0]}-of-{shard[1]}"
        self._journal = Journal(folder / f"{task}{part}.jsonl", dict(work), None)
        self._n_columns = len(work["classes"]) + 2
        self.answers = PackedAnswers(self._n_columns)
        """Answers by content of the unit."""
        self.proofs: list[BatchProof] = []
        """Batch proofs of these answers."""
        for other in sorted(folder.glob(f"{task}.*-of-*.jsonl")):
            if re.fullmatch(rf"{re.escape(task)}\.\d+-of-\d+\.jsonl", other.name):
                self._learn(finished_items(other, work))
        self._learn(self._journal.items)

    def append(self, batch: Sequence[tuple[Unit, Answers]]) -> None:
        """Store the answers to some units."""
        self._journal.append(*(_item(unit, answers) for unit, answers in batch))
        for unit, answers in batch:
            self.answers.add(unit.content, answers.stimuli, _rows(answers).tobytes())

    def prove(self, proof: BatchProof) -> None:
        """Store a batch proof."""
        self._journal.append({"proof": vars(proof)})
        self.proofs.append(proof)

    def close(self) -> None:
        """Close the journal, so that another process can open it."""
        self._journal.close()

    def _learn(self, items: Iterable[dict[str, Any]]) -> None:
        for item in items:
            # A line without a checksum, of an earlier version, may hold anything: its unit is asked again.
            with suppress(LookupError, TypeError, ValueError):
                if "proof" in item:
                    self.proofs.append(BatchProof(**item["proof"]))
                else:
                    keys = tuple((name, level, replicate) for name, level, replicate in item["stimuli"])
                    self.answers.add(item["of"], keys, base64.b64decode(item["answers"], validate=True))


class PackedAnswers(Mapping[str, Answers]):
    """Answers by content of the unit, in half a kilobyte each."""

    def __init__(self, n_columns: int) -> None:
        """Begin without any; there are `n_columns` numbers for a stimulus, the last two what was seen."""
        self._n_columns = n_columns
        self._packed: dict[str, tuple[tuple[Key, ...], bytes]] = {}

    def add(self, content: str, stimuli: tuple[Key, ...], rows: bytes) -> None:
        """Keep the answers to a unit: of each stimulus logits and what was seen, little-endian float32.

        Raises:
            ValueError: another number of bytes.
        """
        if len(rows) != 4 * self._n_columns * len(stimuli):
            raise ValueError(f"{len(rows)} bytes for {len(stimuli)} stimuli")
        self._packed[content] = share_keys(stimuli), rows

    def __getitem__(self, content: str) -> Answers:
        stimuli, data = self._packed[content]
        rows = np.frombuffer(data, dtype="<f4").reshape(len(stimuli), self._n_columns)
        return Answers(stimuli, rows[:, :-2], rows[:, -2:])

    def __contains__(self, content: object) -> bool:
        return content in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def _rows(answers: Answers) -> NDArray[np.float32]:
    """(n_stimuli, n_classes + 2) logits, and what was seen of each."""
    return np.hstack([answers.logits, answers.seen]).astype("<f4")


def _item(unit: Unit, answers: Answers) -> dict[str, Any]:
    data = base64.b64encode(_rows(answers).tobytes()).decode()
    return {"of": unit.content, "stimuli": answers.stimuli, "answers": data}
