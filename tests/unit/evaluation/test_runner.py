"""Evaluations: nothing asked twice, shards that add up, early stops that say so, batches that prove it."""

import dataclasses
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from harness import cli
from harness.dataset import suites, writer
from harness.entries import store
from harness.entries.validate import validate_entry
from harness.errors import BadInput, NotValid
from harness.evaluation import predict, runner
from harness.evaluation.running_score import RunningScore
from harness.evaluation.units import evaluation_order, units_of
from harness.metrics.scorecard import summarise
from harness.starter import paths
from harness.types import MIN_SIGNALS, ModelRef
from leaderboard.board import remarks
from tests.helpers import rounding
from tests.helpers import suite_parts as parts
from tests.helpers.corpus import make_corpus
from tests.helpers.families import FAMILIES, HEADLINE
from tests.helpers.loud_model import LABELS, LoudModel
from tests.helpers.toy_models import (
    ARCHITECTURES,
    TASK,
    add_signals,
    clip_of,
    record_of,
    save_model,
    signal_of,
)


class Candidate(LoudModel):
    """A listener with a name."""

    ref = ModelRef("toys/loud", "e" * 64, "f" * 64)
    device, dtype, batch_size, frontend = "cpu", "float32", 16, "none"
    settings_sha256, class_names = "d" * 64, LABELS.names


@pytest.fixture
def suite(tmp_path):
    add_signals(tmp_path / "signals", levels=True)
    add_signals(tmp_path / "signals", "toys/b", seed=1)
    return suites.load(str(tmp_path / "signals"))


def evaluated(suite, out, candidate=None, **options):
    """Entry and rows, and how many sounds were heard for them."""
    candidate = candidate or Candidate()
    result = runner.evaluate(candidate, LABELS, suite, TASK, out, **options)
    return result.entry, result.verdicts.to_pylist(), len(candidate.heard)


PROOF = 8 + 16
"""Sounds heard for a batch proof: eight alone, and a full batch of sixteen."""


def plain(entry):
    return dataclasses.replace(entry, run=None)


def test_what_was_judged_is_not_asked_again(suite, tmp_path):
    entry, rows, n = evaluated(suite, tmp_path / "out")
    assert n > PROOF
    again, same, none = evaluated(suite, tmp_path / "out")
    assert (plain(again), same, none) == (plain(entry), rows, 0)
    assert entry.run.n_known == 0
    assert (again.run.n_asked, again.run.n_known) == (0, entry.run.n_asked)
    assert (entry.complete, entry.proof.n_flips, entry.proof.n) == (True, 0, 8)


def test_a_new_reference_costs_its_own_signals_alone(suite, tmp_path):
    evaluated(suite, tmp_path / "out")
    add_signals(suite.root, "toys/c", seed=2)
    grown = suites.load(str(suite.root))
    entry, rows, n = evaluated(grown, tmp_path / "out")
    assert n <= 4 * 2 * 9, "four clips, two families, a signal and eight controls at most"
    whole = evaluated(grown, tmp_path / "elsewhere")
    assert (plain(entry), rows) == (plain(whole[0]), whole[1])


@pytest.mark.parametrize("change", [{"settings_sha256": "0" * 64}, {"dtype": "bfloat16"}, {"device": "meta"}])
def test_another_model_arithmetic_or_device_is_asked_anew(suite, tmp_path, change):
    _, _, n = evaluated(suite, tmp_path / "out")
    other = Candidate()
    for name, value in change.items():
        setattr(other, name, value)
    assert evaluated(suite, tmp_path / "out", other)[2] == n
    other = Candidate()
    other.device = "cpu:0"
    assert evaluated(suite, tmp_path / "out", other)[2] == 0, "which card it was does not matter"


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_shards_add_up_to_one_run(suite, tmp_path, n):
    entry, rows, heard = evaluated(suite, tmp_path / "whole")
    parts = [Candidate() for _ in range(n)]
    n_units = [
        runner.judge_shard(part, suite, TASK, tmp_path / "out", (i, n)) for i, part in enumerate(parts, 1)
    ]
    assert sum(n_units) == len(units_of(suite, TASK))
    assert sum(len(part.heard) for part in parts) == heard, "the proof of the first is that of all"
    merged, same, left = evaluated(suite, tmp_path / "out")
    assert (plain(merged), same, left) == (plain(entry), rows, 0)


def test_a_shard_that_is_missing_or_torn_is_judged_by_the_merging_run(suite, tmp_path):
    _, rows, heard = evaluated(suite, tmp_path / "whole")
    parts = [Candidate() for _ in range(2)]
    for i, part in enumerate(parts):
        runner.judge_shard(part, suite, TASK, tmp_path / "out", (i + 1, 3))
    torn = next((tmp_path / "out").rglob("*.1-of-3.jsonl"))
    torn.write_bytes(torn.read_bytes()[:-9])
    _, same, left = evaluated(suite, tmp_path / "out")
    assert same == rows
    assert 0 < left < heard - PROOF


class Killed(Exception):
    """A stand-in for a kill."""


def test_an_evaluation_that_was_cut_off_loses_no_more_than_a_batch(suite, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "_SAMPLES_AT_ONCE", 5_000)
    _, rows, heard = evaluated(suite, tmp_path / "whole")

    class Dying(Candidate):
        def logits(self, waveforms, sample_rate_hz):
            if len(self.heard) > heard // 2:
                raise Killed
            return super().logits(waveforms, sample_rate_hz)

    dying = Dying()
    with pytest.raises(Killed):
        evaluated(suite, tmp_path / "out", dying)
    _, same, left = evaluated(suite, tmp_path / "out")
    assert same == rows
    assert left <= heard - len(dying.heard) + 20


def test_a_model_whose_logits_move_with_the_batch_is_not_valid(suite, tmp_path):
    class Swaying(Candidate):
        def logits(self, waveforms, sample_rate_hz):
            return super().logits(waveforms, sample_rate_hz) + np.float32([0.01 * len(waveforms), 0, 0])

    with pytest.raises(NotValid, match="would depend on the batch; try --batch-size 1"):
        evaluated(suite, tmp_path / "out", Swaying())
    assert not list((tmp_path / "out").rglob("entry.json"))
    with pytest.raises(NotValid):  # nor when it is asked again
        evaluated(suite, tmp_path / "out", Swaying())


def test_what_a_swaying_batch_said_is_never_kept(suite, tmp_path):
    """The advice of the refusal, another batch size, must not end with the answers of the first."""

    class Swaying(Candidate):
        def logits(self, waveforms, sample_rate_hz):
            return super().logits(waveforms, sample_rate_hz) + np.float32([len(waveforms) - 1, 0, 0])

    with pytest.raises(NotValid):
        evaluated(suite, tmp_path / "out", Swaying())
    with pytest.raises(NotValid):
        runner.judge_shard(Swaying(), suite, TASK, tmp_path / "out", (1, 2))
    honest, rows, _ = evaluated(suite, tmp_path / "elsewhere")
    again, same, _ = evaluated(suite, tmp_path / "out", proofless(Candidate()))
    assert (plain(again).scorecard, same) == (plain(honest).scorecard, rows)


def proofless(candidate):
    """The same in batches of one."""
    candidate.batch_size = 1
    return candidate


def test_a_suite_of_three_clips_alone_is_proven_on_eight_sounds_all_the_same(tmp_path):
    clips = [clip_of(i) for i in range(3)]
    found = [dataclasses.replace(signal_of(c, "toys/a", f), degenerate=True) for c in clips for f in FAMILIES]
    writer.add_reference(tmp_path / "signals", TASK, record_of("toys/a", FAMILIES), clips, found)
    entry, rows, _ = evaluated(suites.load(str(tmp_path / "signals")), tmp_path / "out")
    assert {row["stimulus"] for row in rows} == {"whole", "silence"}
    assert entry.proof.n == 8


def test_the_proof_of_another_batch_size_does_not_do(suite, tmp_path):
    evaluated(suite, tmp_path / "out")
    other = Candidate()
    other.batch_size = 4
    entry, _, n = evaluated(suite, tmp_path / "out", other)
    assert (n, entry.proof.batch_size) == (8 + 8, 4)


N_LARGE = 160


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A suite of many clips and two references."""
    root = tmp_path_factory.mktemp("large")
    for name, seed in (("toys/a", 0), ("toys/b", 1)):
        add_signals(root, name, seed=seed, clips=range(N_LARGE))
    return suites.load(str(root))


@pytest.fixture(scope="module")
def in_full(large, tmp_path_factory):
    """What `evaluated` gives of it, and what was told on the way."""
    seen = []
    told = lambda n, total, live: seen.append((n, total, live))  # noqa: E731
    return *evaluated(large, tmp_path_factory.mktemp("full"), progress=told), seen


def test_an_early_stop_leaves_out_signals_whose_whole_clip_was_never_judged(large, tmp_path):
    """A cache can hold them: from a suite in which the clip was another one, or from a damaged line."""
    evaluated(large, tmp_path / "out")
    cache = runner._open_cache(Candidate(), TASK, tmp_path / "out")
    units = units_of(large, TASK)
    lost = next(unit.clip_id for unit in units if unit.signal_id)
    kept = [u for u in units if (u.clip_id, u.signal_id) != (lost, None)]
    answers = [(unit, cache.answers[unit.content]) for unit in kept]
    cache.close()
    cache = runner._open_cache(Candidate(), TASK, tmp_path / "gap")
    cache.append(answers)
    cache.close()
    entry, rows, _ = evaluated(large, tmp_path / "gap", ci_width=1.0)
    assert not entry.complete
    assert {row["clip_id"] for row in rows} == {unit.clip_id for unit in kept} - {lost}


def test_an_early_stop_asks_less_and_says_that_it_is_partial(large, in_full, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "_SAMPLES_AT_ONCE", 20_000)
    entry, rows, heard, _ = in_full
    partial, some, n = evaluated(large, tmp_path / "out", ci_width=0.15)
    assert n < heard / 3
    assert not partial.complete
    lift = partial.scorecard.headline.rates.lift
    assert lift.high - lift.low <= 0.3
    assert lift.low <= entry.scorecard.headline.rates.lift.value <= lift.high
    assert {row["family"] for row in some} == {None, FAMILIES[0]}
    heard_clips = len({row["clip_id"] for row in some} - {None})
    told = f"Partial: {heard_clips} of {N_LARGE} clips, only the headline family; it cannot be submitted."
    assert remarks.partial(partial, pd.DataFrame(some), large) == told
    folder = store.write(tmp_path / "out", *_tabled(partial, some))
    found = validate_entry(folder, [TASK], strict_files=False)
    assert any("with --ci-width or --limit it is no entry" in line for line in found)
    whole, every, left = evaluated(large, tmp_path / "out")
    assert (plain(whole), every) == (plain(entry), rows)
    assert left < heard


def test_the_entry_of_an_early_stop_has_the_width_that_was_asked_for(large, tmp_path, monkeypatch):
    """It resamples the clips that were heard, the estimate on the way all of them."""
    monkeypatch.setattr(predict, "_SAMPLES_AT_ONCE", 20_000)
    for i, width in enumerate(np.linspace(0.1, 0.2, 21)):
        partial, rows, _ = evaluated(large, tmp_path / str(i), ci_width=float(width))
        lift = partial.scorecard.headline.rates.lift
        n_heard = len({row["clip_id"] for row in rows} - {None})
        assert lift.high - lift.low <= 2 * width or n_heard == N_LARGE, width


def test_a_width_that_is_never_reached_ends_with_everything_of_the_headline(suite, tmp_path):
    entry, rows, _ = evaluated(suite, tmp_path / "out", ci_width=0.01)
    assert not entry.complete
    assert len({r["signal_id"] for r in rows if r["stimulus"] == "signal"}) == 4 * 2


@pytest.mark.parametrize("n", [1, 3])
def test_a_limit_judges_the_first_clips_whole_and_a_full_run_goes_on_from_them(suite, tmp_path, n):
    partial, rows, heard = evaluated(suite, tmp_path / "out", limit=n)
    blocks = list(evaluation_order(units_of(suite, TASK), TASK))
    units = [unit for block in blocks[: 1 + n] for unit in block]
    assert {row["clip_id"] for row in rows} == {None, *(unit.clip_id for unit in units if unit.clip_id)}
    signals = {unit.signal_id for unit in units if unit.signal_id}
    assert {row["signal_id"] for row in rows if row["stimulus"] == "signal"} == signals
    assert (partial.complete, partial.run.n_asked) == (False, len(units))
    again, same, none = evaluated(suite, tmp_path / "out", limit=n)
    assert (plain(again), same, none) == (plain(partial), rows, 0)
    whole, every, left = evaluated(suite, tmp_path / "out")
    assert (whole.complete, whole.run.n_known) == (True, len(units))
    assert (plain(whole), every) == (plain(evaluated(suite, tmp_path / "all")[0]), every)
    assert 0 < left < evaluated(suite, tmp_path / "once")[2]
    assert heard > PROOF


def test_a_limit_says_the_same_after_a_full_run_as_before_one(suite, tmp_path):
    before = evaluated(suite, tmp_path / "out", limit=2)
    evaluated(suite, tmp_path / "out")
    entry, rows, heard = evaluated(suite, tmp_path / "out", limit=2)
    assert (plain(entry), rows, heard) == (plain(before[0]), before[1], 0)


@pytest.mark.parametrize("n_more", [0, 5])
def test_a_limit_of_all_clips_makes_a_complete_entry(suite, tmp_path, n_more):
    n_clips = len(list(suite.clip_lines(TASK.name)))
    entry, rows, _ = evaluated(suite, tmp_path / "out", limit=n_clips + n_more)
    whole, every, _ = evaluated(suite, tmp_path / "whole")
    assert (plain(entry), rows) == (plain(whole), every)
    assert entry.complete


def test_live_estimates_end_as_those_of_the_scorecard(large, in_full):
    entry, _, _, seen = in_full
    assert sum(n for n, _, _ in seen) == seen[-1][1] == len(units_of(large, TASK))
    now, rates = seen[-1][2].now(), entry.scorecard.headline.rates
    assert (now.transfer, now.swap, now.lift) == (rates.transfer, rates.swap, rates.lift)
    assert now.n_clips == N_LARGE


@pytest.mark.parametrize("n_draws", [1, 3])
def test_live_estimates_are_those_of_the_scorecard_with_draws_and_without_some_swaps(tmp_path, n_draws):
    """The second reference gives one clip another class than the rest, the third gives all the same."""
    clips = [clip_of(i) for i in range(24)]
    add_signals(tmp_path / "signals", clips=clips, n_draws=n_draws)
    for name, different in (("toys/b", 1), ("toys/c", 0)):
        classes = ["bonafide"] * different + ["spoof"] * (24 - different)
        pairs = zip(clips, classes, strict=True)
        some = [signal_of(clip, name, expected=label, seed=1) for clip, label in pairs]
        record = record_of(name, FAMILIES[:1], 24, seed=1)
        writer.add_reference(tmp_path / "signals", TASK, record, clips, some)
    suite, seen = suites.load(str(tmp_path / "signals")), []
    entry, _, _ = evaluated(suite, tmp_path / "out", progress=lambda n, total, live: seen.append(live))
    now, family = seen[-1].now(), entry.scorecard.headline
    assert [cell.n_unswapped for cell in family.cells] == [0, 0, 24]
    assert family.cells[2].rates.transfer.n == 24
    assert family.cells[2].rates.lift.value is None
    for live, final in ((now.transfer, family.rates.transfer), (now.lift, family.rates.lift)):
        assert (live.n, live.method) == (final.n, final.method)
        assert (live.value, live.low, live.high) == pytest.approx((final.value, final.low, final.high))


def test_a_near_copy_of_a_reference_is_left_out_of_its_means(tmp_path):
    """The reference says of each clip what the candidate says, and as surely, but has other weights."""
    clips = [clip_of(i) for i in range(40)]
    said = LABELS.canonical
    logits = Candidate().logits([clip.waveform for clip in clips], 16_000).astype(float)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    everything = np.ones(201, dtype=bool)
    copied = [
        dataclasses.replace(
            signal_of(clip, "toys/b", mask=everything, expected=said[int(row.argmax())]),
            p_clip=(float(row[1]), float(row[0])),
        )
        for clip, row in zip(clips, p, strict=True)
    ]
    add_signals(tmp_path / "signals", clips=clips)
    record = record_of("toys/b", FAMILIES[:1], 40)
    writer.add_reference(tmp_path / "signals", TASK, record, clips, copied)
    entry, _, _ = evaluated(suites.load(str(tmp_path / "signals")), tmp_path / "out")
    a, b = entry.likeness
    assert (a.is_copy, b.is_copy) == (False, True)
    assert (b.n_signals, b.n_accepted, b.n_clips, b.n_agreed) == (40, 40, 40, 40)
    assert b.correlation == pytest.approx(1.0)
    family = entry.scorecard.headline
    assert [cell.near_copy for cell in family.cells] == [False, True]
    assert family.rates.lift == family.cells[0].rates.lift
    assert family.rates.transfer.n == 40


def test_live_estimates_wait_for_enough_signals(suite):
    units = units_of(suite, TASK)
    live = RunningScore(units, suite.counts("deepfake"), Candidate.ref, LABELS, HEADLINE)
    assert live.now().transfer.value is None
    for unit, said in next(iter(predict.judge(Candidate(), suite, TASK, evaluation_order(units, TASK)))):
        live.learn(unit, said)
    assert live.now().transfer.n == 8
    assert live.now().lift.value is None, f"below {MIN_SIGNALS} signals of a reference"


def test_rates_over_visible_signals_leave_out_what_the_model_cannot_hear(suite, tmp_path):
    entry, rows, _ = evaluated(suite, tmp_path / "out")
    family = entry.scorecard.headline
    assert family.visible == family.rates
    for row in rows:
        if row["clip_id"] == "c1":
            row["energy_seen"] = 0.89
    _, table = _tabled(entry, rows)
    card = summarise(table.to_pandas(), TASK, entry.model, entry.references, LABELS, HEADLINE)
    assert card.headline.rates == family.rates
    assert card.headline.visible.transfer.n == 2 * 3
    assert card.headline.rates.transfer.n == 2 * 4


def _tabled(entry, rows):
    import pyarrow as pa

    from harness.dataset.parquet_schema import VERDICTS

    return entry, pa.Table.from_pylist(rows, VERDICTS)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Signals of clips of three lengths, and every architecture."""
    root = tmp_path_factory.mktemp("evaluation")
    rows = [(f"c{i}.wav", ("angry", "happy", "neutral", "sad")[i % 4]) for i in range(5)]
    make_corpus(root / "corpus", *rows)
    save_model(root / "reference", "wav2vec2", ("neu", "hap", "ang", "sad"))
    command = ["extract", root / "reference", "--task", "emotion", "--corpus", root / "corpus"]
    assert cli.run([str(a) for a in (*command, "--search", "minimal", "--out", root / "signals")]) == 0
    return root


SAMPLE = ("audio-spectrogram-transformer", "hubert", "wav2vec2-bert", "whisper")


@pytest.mark.parametrize(
    "architecture", [a if a in SAMPLE else pytest.param(a, marks=pytest.mark.slow) for a in ARCHITECTURES]
)
def test_every_architecture_is_checked_and_judged_alike_in_any_batch(world, architecture, capsys):
    model = save_model(world / architecture, architecture, ("neu", "hap", "ang", "sad"), seed=1)
    assert cli.run(["check", str(model), "--json"]) == 0
    capsys.readouterr()
    rows = {}
    for size in (1, 16):
        out = world / f"{architecture}-{size}"
        command = ["evaluate", str(model), "--signals", str(world / "signals"), "--out", str(out)]
        assert cli.run([*command, "--batch-size", str(size), "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["results"]
        rows[size] = store.verdicts(store.find(out)[0])
        assert found["proof"]["max_logit_difference"] <= rounding.LOGIT
    alike(rows[1], rows[16])


def alike(one, other):
    """Two tables of verdicts say the same, with probabilities as near as rounding lets them be."""
    for name in one:
        if name in ("p", "p_expected"):
            near = rounding.STORED_PROBABILITY
            np.testing.assert_allclose(np.vstack(one[name]), np.vstack(other[name]), rtol=0, atol=near)
        else:
            assert one[name].equals(other[name]), name


def test_the_command_answers_from_what_it_knows_and_opens_no_model(world, tmp_path, capsys, monkeypatch):
    model = save_model(tmp_path / "ear", "hubert", ("neu", "hap", "ang", "sad"))
    command = ["evaluate", str(model), "--signals", str(world / "signals"), "--out", str(tmp_path / "out")]
    assert cli.run(command) == 0
    first = capsys.readouterr().out
    monkeypatch.setattr("harness.models.heads.open_checkpoint", None)
    assert cli.run(command) == 0
    second = capsys.readouterr()
    assert second.out == first
    assert "already evaluated, and nothing has changed since" in second.err


def test_shards_of_the_command_are_merged_by_the_command(world, tmp_path, capsys):
    model = save_model(tmp_path / "ear", "hubert", ("neu", "hap", "ang", "sad"))
    command = ["evaluate", str(model), "--signals", str(world / "signals"), "--json", "--out"]
    for i in (1, 2):
        assert cli.run([*command, str(tmp_path / "out"), "--shard", f"{i}/2"]) == 0
    assert not list((tmp_path / "out").rglob("entry.json"))
    for out in ("out", "whole"):
        assert cli.run([*command, str(tmp_path / out)]) == 0
    alike(*(store.verdicts(store.find(tmp_path / out)[0]) for out in ("out", "whole")))


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/99999"])
def test_a_shard_that_cannot_be_is_refused(shard, capsys):
    assert cli.run(["evaluate", "m", "--shard", shard]) == 2
    assert "expected i/n" in capsys.readouterr().err


@pytest.mark.parametrize("other", [["--shard", "1/2"], ["--ci-width", "0.1"], ["--limit", "2"]])
def test_both_ways_is_for_a_whole_run(other, capsys):
    assert cli.run(["evaluate", "m", "--outgoing", *other]) == 2
    assert "leave out --shard, --ci-width and --limit" in capsys.readouterr().err


def test_two_ways_to_do_less_are_one_too_many(capsys):
    options = {"--shard": "1/2", "--ci-width": "0.1", "--limit": "2"}
    for pair in itertools.combinations(options.items(), 2):
        assert cli.run(["evaluate", "m", *itertools.chain(*pair)]) == 2
        assert "give one of them" in capsys.readouterr().err


def test_two_processes_at_one_book_are_one_too_many(suite, tmp_path):
    book = runner._open_cache(Candidate(), TASK, tmp_path)
    with pytest.raises(BadInput, match="another run is at work"):
        runner._open_cache(Candidate(), TASK, tmp_path)
    book.close()


def test_an_early_stop_by_the_command_takes_no_place_of_a_whole_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model,) = (m for m in paths.models("candidate") if "genre" in m.name)
    suite = suites.load(str(paths.embedded()))
    clip_ids = [line.clip_id for line in suite.clip_lines("music-genre")][:24]
    part = parts.of_clips(suite, "music-genre", clip_ids, tmp_path / "part")
    tmp_path = tmp_path / "results"
    command = ["evaluate", str(model), "--signals", str(part.root), "--out", str(tmp_path)]
    assert cli.run([*command, "--ci-width", "0.3"]) == 0
    out = capsys.readouterr().out
    assert re.search(
        r"Stopped early, after [\d,]+ of [\d,]+ units: lift known to ±[\d.]+\spp, asked for ±30\spp\.", out
    )
    assert re.search(r"Partial: 2\d of 24 clips; it cannot be submitted\.", out)
    assert store.find(tmp_path) == [], "nothing to submit"
    assert cli.run(command) == 0
    (folder,) = store.find(tmp_path)
    assert cli.run(["validate", str(tmp_path), "--signals", str(part.root)]) == 0
    capsys.readouterr()
    assert cli.run([*command, "--ci-width", "0.001"]) == 0
    out = capsys.readouterr().out
    assert "Partial" not in out, "everything is known by now"
    missed = r"lift known to ±[\d.]+\spp only, not to the ±0\.1\spp asked for\."
    assert re.search(rf"Not stopped early: ([\d,]+) of \1 units judged; {missed}", out)
    assert store.read(folder).complete
    assert cli.run(command) == 0
    assert "nothing has changed since" in capsys.readouterr().err


def test_a_task_at_48_khz_is_extracted_and_judged_by_models_of_either_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tones at 1 and 20 kHz: a model of 16 kHz says how much of a stimulus it never received."""
    (tmp_path / "wide.yaml").write_text("name: wide\nlabels: {a: [], b: []}\nsample_rate_hz: 48000\n")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    t, rng = np.arange(12_000) / 48_000, np.random.default_rng(0)
    lines = ["file_name,label"]
    for i in range(6):
        x = rng.uniform(0.1, 0.3) * np.sin(2 * np.pi * 1000 * t) + 0.2 * np.sin(2 * np.pi * 20_000 * t)
        soundfile.write(corpus / f"c{i}.wav", x + 0.01 * rng.normal(size=len(t)), 48_000, subtype="FLOAT")
        lines.append(f"c{i}.wav,{'ab'[i % 2]}")
    (corpus / "metadata.csv").write_text("\n".join(lines))
    for name, rate in (("narrow", 16_000), ("wide", 48_000)):
        save_model(tmp_path / name, "wav2vec2", ("a", "b"), sample_rate_hz=rate, seed=3)
        command = ["extract", tmp_path / name, "--task", tmp_path / "wide.yaml", "--corpus", corpus]
        command += ["--search", "minimal", "--out", tmp_path / "signals"]
        assert cli.run([str(part) for part in command]) == 0
    suite = suites.load(str(tmp_path / "signals"))
    assert {line.n_samples for line in suite.clip_lines("wide")} == {12_000}
    for name in ("narrow", "wide"):
        out = tmp_path / f"{name}-results"
        command = ["evaluate", tmp_path / name, "--signals", tmp_path / "signals", "--out", out]
        assert cli.run([str(part) for part in command]) == 0
        rows = store.verdicts(store.find(out)[0])
        whole = rows[rows["stimulus"] == "whole"]["energy_seen"]
        assert (whole == 1).all() if name == "wide" else whole.between(0.05, 0.8).all()
