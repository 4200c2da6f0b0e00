"""Entries offered by pull request on the Hub: to the submissions, and to the page of the model.

An open pull request with the same content is used again, and what was merged already is not offered. Nothing
is changed anywhere before a pull request is opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness import untrusted
from harness.entries import export, store
from harness.entries.export import Source
from harness.errors import BadInput
from harness.hub import fetching, pushing
from harness.hub.pushing import Offer
from harness.hub.repository import Repository, split
from harness.number_format import number
from harness.schemas import Entry

FOLDER = "submissions"
"""Where entries lie in the repository, as they do in a clone of this one."""

MODEL_RESULTS = ".eval_results/goodenough.yaml"
"""Where the Hub looks for a model's results."""


@dataclass(frozen=True)
class Plan:
    """The content of a pull request."""

    repository: Repository
    """Where it is opened."""
    files: dict[str, Path]
    """Path in the repository -> file, of the entries that are not there yet."""
    duplicates: tuple[str, ...]
    """Paths of the entries that are in the repository already, and equal."""
    entries: tuple[Entry, ...]
    """Those that would be sent."""

    @property
    def n_bytes(self) -> int:
        """Of all files."""
        return sum(path.stat().st_size for path in self.files.values())


def plan(folders: Sequence[Path], repo_id: str) -> Plan:
    """Compare valid entries with a submissions repository.

    Raises:
        BadInput: it cannot be reached, or has another entry in the place of one: entries are immutable.
    """
    repository = Repository(repo_id)
    remote_files = fetching.files_of(repository, fetching.commit_of(repository, None))
    files: dict[str, Path] = {}
    duplicates, entries = [], []
    for folder in folders:
        entry = store.read(folder)
        entry_files = {
            f"{FOLDER}/{entry.path}/{name}": folder / name for name in (store.ENTRY, store.VERDICTS)
        }
        for path, source in entry_files.items():
            if path in remote_files and not pushing.is_same_file(source, remote_files[path]):
                raise BadInput(
                    f"{repo_id} already holds an entry with another {path}, and entries are immutable; a"
                    " new one needs a new revision of the model or of the signals"
                )
        if all(path in remote_files for path in entry_files):
            duplicates.append(entry.path)
        else:
            files |= entry_files
            entries.append(entry)
    return Plan(repository, files, tuple(duplicates), tuple(entries))


def offer(proposal: Plan) -> Offer:
    """Open the pull request, or find an open one.

    Raises:
        BadInput: see `pushing.offer`.
    """
    names = sorted(entry.path for entry in proposal.entries)
    text = "\n".join(_line(entry) for entry in sorted(proposal.entries, key=lambda e: e.path))
    return pushing.offer(proposal.repository, proposal.files, _title(names), text)


def offer_to_model(entry: Entry) -> Offer:
    """Offer the lift of an entry to the page of its model; results of other benchmarks stay as they are.

    Raises:
        BadInput: model or signals are not of the Hub, or there is no lift; or see `pushing.offer`.
    """
    if entry.model.repo_id.startswith("local/"):
        raise BadInput(f"{entry.model.repo_id} is a local folder: there is no page of it on the Hub")
    repository = Repository(entry.model.repo_id, "model")
    results = export.eval_results(entry, Source())
    head = fetching.commit_of(repository, None)
    earlier_results: list[Any] = []
    if MODEL_RESULTS in fetching.files_of(repository, head):
        earlier_results = _read(repository, fetching.fetch(repository, head, MODEL_RESULTS))

    def key(result: dict[str, Any]) -> tuple[Any, Any]:
        return result["dataset"].get("id"), result["dataset"].get("task_id")

    other_results = [r for r in earlier_results if key(r) not in map(key, results)]
    content = yaml.safe_dump([*other_results, *results], sort_keys=False).encode()
    title = f"goodenough: lift on {entry.task}, {entry.signals.repo_id}"
    return pushing.offer(repository, {MODEL_RESULTS: content}, title, _line(entry))


def _read(repository: Repository, path: Path) -> list[Any]:
    """The results that a model's page already has; BadInput for somebody else's file."""
    try:
        content = untrusted.yaml_of(untrusted.content(path))
    except untrusted.Unreadable:
        content = None
    if not isinstance(content, list) or not all(isinstance(r, dict) and "dataset" in r for r in content):
        raise BadInput(
            f"{repository} has a {MODEL_RESULTS} that is no list of results; mend or delete it first"
        )
    return content


def submissions(source: str) -> Path:
    """The folder of entries of a repository `ORG/NAME[@REVISION]`; what is in the cache is not fetched.

    Raises:
        BadInput: no such repository, or it cannot be reached.
    """
    parts = split(source)
    if parts is None:
        raise BadInput(f"no folder at {source}, and it is no repository of submissions ORG/NAME on the Hub")
    repository = Repository(parts[0])
    commit = fetching.commit_of(repository, parts[1])
    folder = fetching.fetch_all(repository, commit, f"{FOLDER}/") / FOLDER
    folder.mkdir(parents=True, exist_ok=True)  # before the first entry is merged there is none
    return folder


def _title(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"Entry {names[0]}"
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    return f"{len(names)} entries ({digest}), the first {names[0]}"


def _line(entry: Entry) -> str:
    lift = entry.scorecard.lift
    text = "no lift"
    if lift is not None and lift.value is not None and lift.low is not None and lift.high is not None:
        value, low, high = (number(x, 3) for x in (lift.value, lift.low, lift.high))
        text = f"lift {value} [{low}, {high}], n = {lift.n}"
    return f"- {entry.model.repo_id} on {entry.task}: {text}"
