"""A lab with a Hub of its own: a corpus, two reference models, a visitor, and the commands given to them.

Commands run in processes of their own, as they do for users (`tests.helpers.forking`).
"""

from __future__ import annotations

import contextlib
import csv
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from harness.dataset import parquet_io
from harness.manifest import Manifest
from harness.schemas import from_json
from tests.helpers import forking
from tests.helpers.hub import LoopbackHub

REFERENCES = ("lab/ear", "lab/drum")
VISITOR = "guest/nose"
NAMES = ("neu", "hap", "ang", "sad")
SIGNALS, SUBMISSIONS = "lab/emotion-signals", "board/submissions"
TOKEN, GUEST = "hf_owner", "hf_guest"


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


class Lab:
    """Folders and repositories; the models lie on the Hub, the signals are not made yet."""

    def __init__(self, root: Path, n_clips: int = 32) -> None:
        self.root = root
        self.hub = LoopbackHub(root / "hub")
        self.hub.tokens |= {TOKEN: "owner", GUEST: "guest"}
        self.hub.outsiders.add("guest")
        self.corpus = root / "corpus"
        self.signals = root / "signals"
        self.cache = root / "cache"
        _make_corpus(self.corpus, n_clips)
        forking.call(_make_models, root / "hub/models")
        (root / f"hub/datasets/{SUBMISSIONS}").mkdir(parents=True)
        (root / f"hub/datasets/{SUBMISSIONS}/README.md").write_text("# Submissions\n")

    @contextlib.contextmanager
    def elsewhere(self, root: Path) -> Iterator[LoopbackHub]:
        """While it is open commands go to another Hub, with empty caches; it has the models, no signals."""
        (root / f"hub/datasets/{SUBMISSIONS}").mkdir(parents=True)
        (root / f"hub/datasets/{SUBMISSIONS}/README.md").write_text("# Submissions\n")
        (root / "hub/models").symlink_to(self.root / "hub/models")
        before = self.hub, self.cache
        self.hub, self.cache = LoopbackHub(root / "hub"), root / "cache"
        self.hub.tokens |= before[0].tokens
        self.hub.outsiders |= before[0].outsiders
        try:
            with self.hub:
                yield self.hub
        finally:
            self.hub, self.cache = before

    def environment(self, token: str | None = TOKEN) -> dict[str, str]:
        """Of a process that talks to this Hub."""
        return {**self.hub.environment(self.cache, token), "GOODENOUGH_CACHE": str(self.root / "own")}

    def run(self, *commands: Sequence[Any], token: str | None = TOKEN, **more: str) -> list[Said]:
        """Give commands, one after the other, in one process."""
        return [Said(*each) for each in forking.run(commands, self.environment(token) | more)]

    def put_signals_on(self, hub: LoopbackHub) -> None:
        """What was published here, on another Hub."""
        shutil.copytree(self.signals / ".published", hub.root / "datasets" / SIGNALS)

    def published(self, folder: Path) -> bool:
        """Whether a folder is what was published here: every file, and none beside."""
        manifest = from_json(Manifest, (self.signals / ".published/manifest.json").read_bytes())
        here = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
        same = all(parquet_io.sha256_of(folder / path) == sha256 for path, sha256 in manifest.files.items())
        return same and here == {*manifest.files, "manifest.json", ".lock", ".source.json"}

    def make_signals(self) -> None:
        """Two references, and what they say of each other's signals."""
        suite = ("--signals", self.signals, "--update-suite", "--out", self.root / "own-results")
        corpus = ("--corpus", self.corpus, "--repetitions", 2, "--out", self.signals)
        made = self.run(
            *(("extract", name, "--task", "emotion", *corpus) for name in REFERENCES),
            *(("evaluate", name, *suite) for name in REFERENCES),
        )
        assert [one.code for one in made] == [0] * 4, made


@contextlib.contextmanager
def a_published_suite_and_a_result(root: Path) -> Iterator[Lab]:
    """A small lab whose signals lie on its Hub; the visitor's entry is in `results/`."""
    lab = Lab(root, n_clips=6)
    with lab.hub:
        lab.make_signals()
        done = lab.run(
            ("publish", lab.signals, "--to", SIGNALS),
            ("evaluate", VISITOR, "--signals", lab.signals, "--out", root / "results"),
        )
        assert [one.code for one in done] == [0, 0], done
        yield lab


def _make_models(folder: Path) -> None:
    from tests.helpers import toy_models

    architectures = {REFERENCES[0]: "wav2vec2", REFERENCES[1]: "hubert", VISITOR: "sew"}
    for i, (name, architecture) in enumerate(architectures.items()):
        toy_models.save_model(folder / name, architecture, NAMES, seed=i)


def _make_corpus(folder: Path, n: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    with open(folder / "metadata.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label", "licence"])
        for i in range(n):
            t = np.arange(3000 + 100 * (i % 2)) / 16_000
            tones = zip(rng.uniform(0.02, 0.2, 4), rng.uniform(80, 6000, 4), strict=True)
            x = sum(a * np.sin(2 * np.pi * hz * t) for a, hz in tones) + 0.01 * rng.normal(size=len(t))
            soundfile.write(folder / f"c{i:02}.wav", x, 16_000)
            writer.writerow([f"c{i:02}.wav", ("angry", "happy", "neutral", "sad")[i % 4], "cc-by-4.0"])
