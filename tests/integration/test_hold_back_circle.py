"""Held-back signals the whole way round: split, publish both, evaluate on both, verify, validate, board."""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from harness.dataset.suites import load
from harness.entries import held_back, store
from tests.helpers.lab import GUEST, VISITOR, Lab

PUBLIC, PRIVATE = "lab/public-emotion", "lab/private-emotion"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Signals of both references that were not published yet; 24 clips on either side."""
    lab = Lab(tmp_path_factory.mktemp("lab"), n_clips=48)
    with lab.hub:
        lab.make_signals()
        yield lab


@pytest.fixture(scope="module")
def published(lab: Lab) -> tuple[str, str]:
    """Both datasets with their revisions, the public one first."""
    command = ("publish", lab.signals, "--to", PUBLIC, "--hold-back", "0.5", "--private-to", PRIVATE)
    [first] = lab.run(command)
    assert first.code == 1, first
    lines = [line for line in first.out.splitlines() if "let it: goodenough " in line]
    assert len(lines) == 4, first
    asked = [shlex.split(line.split("let it: goodenough ")[1]) for line in lines]
    *judged, second = lab.run(*asked, command)
    assert [one.code for one in (*judged, second)] == [0] * 5, (judged, second)
    public, private = second.out.split()
    return public, private


@pytest.mark.slow
def test_the_private_dataset_is_private_and_the_public_one_has_nothing_of_it(lab, published):
    assert [name.split("@")[0] for name in published] == [PUBLIC, PRIVATE]
    private = load(str(lab.signals / ".hold-back/signals.held-back"))
    hidden = {value for line in private.clip_lines("emotion") for value in (line.clip_id, line.sha256)}
    for record in private.references("emotion"):
        for signal, _ in private.signals("emotion", record.model.slug):
            # A degenerate signal can be silence, the same for every clip of its length.
            hidden |= {signal.signal_id} if signal.degenerate else {signal.signal_id, signal.sha256}
    # Ids are looked for as whole words: hashes and sounds have such short ones in them by chance.
    for path, data in lab.hub.files(f"datasets/{PUBLIC}").items():
        text = data.decode("utf-8", "replace")
        if path.endswith(".parquet"):
            table = pd.read_parquet(io.BytesIO(data))
            if "audio" in table:
                table["audio"] = [audio["path"] for audio in table["audio"]]
            text = table.to_csv()
        assert not hidden & set(re.findall(r"[A-Za-z0-9]+", text)), path
        assert not [name for name in hidden if len(name) > 8 and name in text], path
    [refused] = lab.run(("download", published[1], "--list"), token=GUEST)
    assert refused.code == 2


@pytest.mark.slow
def test_an_entry_gets_its_held_back_lift_and_stays_valid(lab, published, tmp_path):
    public, private = published
    results, submissions = tmp_path / "results", tmp_path / "submissions"
    both = ("evaluate", VISITOR, "--signals", public, "--held-back", private, "--out", results)
    table, as_json = lab.run(both, (*both, "--json"))
    assert table.code == as_json.code == 0, (table, as_json)
    assert "held back" in table.out
    [found] = json.loads(as_json.out)["results"]
    lifts = found["held_back"]
    assert lifts["n_clips"] == lifts["n_held_back_clips"] == 24
    value = lifts["lift"]["value"] - lifts["held_back_lift"]["value"]
    assert lifts["difference"]["value"] == pytest.approx(value)
    folder = Path(found["folder"])
    submissions.mkdir()
    done = lab.run(
        ("submit", folder, "--out", submissions),
        ("verify", submissions, "-k", "8", "--held-back", private),
        ("validate", submissions, "--signals", public),
        ("leaderboard", "build", "--submissions", submissions, "--signals", public, "--out", tmp_path / "s"),
    )
    assert [one.code for one in done] == [0] * 4, done
    entry = submissions / store.read(folder).path
    record = held_back.read(entry)
    assert record is not None
    assert record.held_back_lift.value == pytest.approx(lifts["held_back_lift"]["value"])
