"""Paired evidence: by hand, in range, about nothing by chance, nearly all where it was planted."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import cli, placements
from harness.cli import publish as cli_publish
from harness.dataset import publish, suites, writer
from harness.domains import fft
from harness.domains.masks import from_runs, largest
from harness.entries import store
from harness.evaluation.runner import evaluate
from harness.metrics.estimates import clip_weights
from harness.metrics.paired_evidence import changed_bins, evidence_of, evidence_table, shares_of, summarise
from harness.metrics.study import Study, study_of
from harness.schemas import from_json, to_json
from harness.types import Clip, ModelRef
from leaderboard.reports.study_findings import fmt
from tests.helpers import hand_made_signals, small_suite, toy_models
from tests.helpers.families import HEADLINE
from tests.helpers.paired_suite import BAND, N_SAMPLES, clips_of, mask_of, pair_of, paired_suite, signal_of

REFERENCE = ModelRef("toys/a", "a" * 40, "b" * 64)
N_BINS = N_SAMPLES // 2 + 1


def suite_of(root, clips, signals):
    """A suite of one reference with these signals."""
    record = dataclasses.replace(hand_made_signals.record_of("toys/a", [HEADLINE]), skipped=())
    writer.add_reference(root, hand_made_signals.TASK, record, clips, signals)
    return suites.load(str(root))


def energy_of(clip: Clip):
    return fft.bin_energy(fft.spectrum(clip.waveform), len(clip.waveform))


# ---- by hand -----------------------------------------------------------------------------------------


def flat(levels, seed=0):
    """A clip whose bins have the given amplitudes, and phases by a seed."""
    phases = np.exp(2j * np.pi * np.random.default_rng(seed).random(len(levels)))
    phases[[0, -1]] = 1
    waveform = np.fft.irfft(levels * phases, 2 * (len(levels) - 1))
    return Clip("c", "toys", "spoof", waveform.astype(np.float32), 16_000, "p")


def test_the_bins_that_changed_are_those_of_the_band_that_was_raised_or_lowered():
    """Of 1,001 equal bins 100 are a tenth of the band: those raised fourfold, or lowered as much."""
    for factor in (4, 1 / 4):
        levels = np.full(1001, 1.0)
        original = flat(levels)
        levels[300:400] *= factor
        first, end = placements.occupied_band(energy_of(flat(levels, 1)))
        changed = np.flatnonzero(changed_bins(flat(levels, 1), original))
        assert len(changed) == round(0.1 * (end - first))
        # The average over five bins blurs the edges of the band by two; 96 are within.
        assert {*range(302, 398)} <= {*changed.tolist()} <= {*range(298, 402)}


def test_shares_are_counted_by_hand():
    """Equal bins: three of a signal's four lie in what changed; its controls are where nothing else is."""
    clip = flat(np.full(1001, 1.0))
    mask, changed = np.zeros(1001, dtype=bool), np.zeros(1001, dtype=bool)
    mask[200:204] = True
    changed[201:900] = True
    share, matched = shares_of(mask, "s", clip, [changed, ~changed])
    assert share == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert matched == pytest.approx(1 / 2)
    controls = placements.matched(mask, energy_of(clip), (1, 1001), "s")
    share, matched = shares_of(mask, "s", clip, [changed])
    assert share == pytest.approx(3 / 4)
    assert matched == pytest.approx(np.mean([(m & changed).sum() / 4 for m in controls]), abs=1e-6)


def test_draws_then_clips_then_pairs_are_averaged_and_what_cannot_be_compared_is_counted():
    shares = {"a": [(1.0, 0.0), (0.0, 0.0)], "b": [(1.0, 0.5), None], "c": [(0.25, 0.5)], "d": [None]}
    rows = {"a": 0, "b": 0, "c": 2, "d": 1}
    found = summarise(REFERENCE, "spoof", shares, rows, clip_weights(3, ("toys",)))
    # The pair of a and b: ((1 + 0) / 2 + 1) / 2 = 3/4 against (0 + 1/2) / 2 = 1/4; that of c: 1/4, 1/2.
    assert (found.share.value, found.share_matched.value, found.difference.value) == (0.5, 0.375, 0.125)
    assert [e.n for e in (found.share, found.share_matched, found.difference)] == [2, 2, 2]
    assert (found.n_signals, found.n_left_out) == (4, 2)
    nothing = summarise(REFERENCE, "spoof", {"d": [None]}, rows, clip_weights(3, ("toys",)))
    assert (nothing.difference.value, nothing.difference.n, nothing.n_signals) == (None, 0, 0)


def test_only_signals_of_the_clips_own_label_with_a_partner_of_another_count(tmp_path):
    (o0, s0), (o1, s1) = pair_of(0), pair_of(1)
    alone = dataclasses.replace(pair_of(2)[1], pair="alone")
    same_label = dataclasses.replace(pair_of(3)[1], clip_id="s003x", pair="p003")
    clips = [o0, s0, o1, s1, alone, pair_of(3)[1], same_label]
    mask = mask_of(BAND)
    signals = [
        signal_of(s0, mask),
        signal_of(o1, mask),
        signal_of(o0, mask, expected="spoof"),
        signal_of(s1, mask, degenerate=True),
        *(signal_of(clip, mask) for clip in clips[4:]),
    ]
    same_label = dataclasses.replace(same_label, waveform=same_label.waveform[::-1].copy())
    clips[-1] = same_label
    signals[-1] = signal_of(same_label, mask)
    found = evidence_of(suite_of(tmp_path, clips, signals), "deepfake")
    assert [(e.label, e.n_signals, e.difference.n) for e in found] == [("bonafide", 1, 1), ("spoof", 1, 1)]


def test_a_suite_without_pairs_has_no_evidence(tmp_path):
    hand_made_signals.add(tmp_path)
    suite = suites.load(str(tmp_path))
    assert evidence_of(suite, "deepfake") is None
    assert evidence_table(suite, "deepfake") is None


# ---- properties --------------------------------------------------------------------------------------


@given(st.integers(0, 20), st.integers(0, N_BINS - 1), st.integers(1, N_BINS), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_shares_lie_between_0_and_1_and_a_gain_changes_nothing(i, first, width, seed):
    original, copy = pair_of(i)
    changed = changed_bins(copy, original)
    band = placements.occupied_band(energy_of(copy))
    assert changed.sum() == round(0.1 * (band[1] - band[0]))
    assert not changed[: band[0]].any()
    assert not changed[band[1] :].any()
    quieter = dataclasses.replace(original, waveform=original.waveform * np.float32(0.25))
    assert (changed_bins(copy, quieter) == changed).mean() > 0.9999
    found = shares_of(mask_of((first, first + width)), str(seed), copy, [changed])
    assert found is None or all(0 <= share <= 1 for share in found)


def test_a_partner_of_another_length_is_read_at_the_frequencies_of_the_clip():
    original, copy = pair_of(0)
    longer = dataclasses.replace(original, waveform=np.tile(original.waveform, 2)[: N_SAMPLES + 800])
    changed = np.flatnonzero(changed_bins(copy, longer))
    assert np.mean((changed >= BAND[0] - 5) & (changed < BAND[1] + 5)) > 0.5


def test_a_clip_that_does_not_differ_has_no_changed_bins():
    assert not changed_bins(pair_of(0)[0], pair_of(0)[0]).any()


# ---- null, planted, attack ---------------------------------------------------------------------------


def difference_of(signals, n_pairs):
    """The difference of masks by clip, on the copies of pairs."""
    shares = {clip.clip_id: [shares_of(mask, name, clip, [changed])] for clip, mask, name, changed in signals}
    rows = {clip_id: row for row, clip_id in enumerate(shares)}
    return summarise(REFERENCE, "spoof", shares, rows, clip_weights(n_pairs, ("toys",)))


def test_random_masks_give_an_interval_that_holds_0_in_95_of_100():
    n_pairs, n_repetitions = 20, 100
    pairs = [pair_of(i) for i in range(60)]
    copies = [(s, changed_bins(s, o), placements.occupied_band(energy_of(s))) for o, s in pairs]
    n_holding, values = 0, []
    for repetition in range(n_repetitions):
        rng = np.random.default_rng([5, repetition])
        signals = []
        for i in rng.permutation(len(copies))[:n_pairs]:
            clip, changed, band = copies[i]
            shape = mask_of((0, 10), (20, 50), (60, int(rng.integers(65, 100))))
            mask = from_runs(placements.random_placements(shape, band, 1, rng)[0], N_BINS)
            signals.append((clip, mask, f"{repetition}:{i}", changed))
        difference = difference_of(signals, n_pairs).difference
        n_holding += difference.low <= 0 <= difference.high
        values.append(difference.value)
    assert 89 <= n_holding <= 99
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(n_repetitions)


def test_signals_in_the_band_that_was_changed_are_found(tmp_path):
    """A band is quieter in the copies: all of each signal lies there, and hardly any of its controls."""
    suite = paired_suite(tmp_path, clips_of(12, 1 / 4), ["toys/a", "toys/b"])
    found = evidence_of(suite, "deepfake")
    assert [(e.reference.repo_id, e.label) for e in found] == [
        (name, label) for name in ("toys/a", "toys/b") for label in ("bonafide", "spoof")
    ]
    for each in found:
        assert each.share.value > 0.99
        assert each.difference.value == pytest.approx(each.share.value - each.share_matched.value)
        assert (each.difference.n, each.n_signals, each.n_left_out) == (12, 12, 0)
        assert each.difference.low > 0.3
    assert all(
        e.share_matched.value < 0.15 and e.difference.value > 0.85 for e in found if e.label == "spoof"
    )
    table = evidence_table(suite, "deepfake")
    assert table.count("\n") == 5
    assert "| a | spoof | 1.00 [" in table


@pytest.mark.parametrize(("factor", "least", "most"), [(4.0, 0.15, 0.6), (1 / 4, -0.05, 0.05)])
def test_signals_of_the_loudest_bins_differ_from_their_controls_only_where_the_change_is_loud(
    factor, least, most
):
    """The attack: what is loud is found, as one who looks for energy would find it; what is quiet is not."""
    signals = []
    for i in range(12):
        original, copy = pair_of(i, factor)
        mask = largest(energy_of(copy), 60)
        signals.append((copy, mask, str(i), changed_bins(copy, original)))
    assert least < difference_of(signals, 12).difference.value < most


# ---- shown -------------------------------------------------------------------------------------------


class Reference(small_suite.Loud):
    """A reference of a hand-made suite, which answers as `Loud` does."""

    class_names = ("fake", "real")

    def __init__(self, ref):
        self.ref = ref

    def logits(self, waveforms, sample_rate_hz):
        return super().logits(waveforms, sample_rate_hz)[:, :2]


def judged(suite):
    """The suite with the verdicts of its references, and these."""
    answers = []
    for record in suite.references("deepfake"):
        model = Reference(record.model)
        result = evaluate(model, record.label_map, suite, suite.task("deepfake"), suite.root / "cache")
        folder = store.write(suite.root / "verdicts", result.entry, result.verdicts)
        answers.append((result.entry, store.verdicts(folder)))
    return answers


def test_a_study_and_a_card_say_whether_the_references_hear_what_the_copy_changed(tmp_path, capsys):
    suite = paired_suite(tmp_path / "suite", clips_of(8, 1 / 4), ["toys/a", "toys/b"])
    answers = judged(suite)
    assert cli.run(["study", str(suite.root), "--out", str(tmp_path / "study")]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("deepfake, pairs")
    assert [line.split("?")[0].strip() for line in lines[at + 1 : at + 3]] == [
        "Do these models hear what the copy changed"
    ] * 2
    assert "up to 8 pairs: of 2 references 2 have more of their energy in the 10 % of bins" in lines[at + 2]
    evidence = json.loads((tmp_path / "study/study.json").read_text())["tasks"]["deepfake"]["paired_evidence"]
    wanted = evidence_of(suite, "deepfake")
    assert [each["difference"]["value"] for each in evidence] == [e.difference.value for e in wanted]
    study = study_of(suite, suite.task("deepfake"), answers)
    assert study.paired_evidence == wanted
    assert from_json(Study, to_json(study)).paired_evidence == wanted
    for name, heading in (("study.md", "### Pairs of"), ("study.html", "<h3>Pairs of")):
        text = (tmp_path / "study" / name).read_text()
        section = text[text.index(heading) :]
        assert section.count("Do these models hear what the copy changed?") == 2
        for each in wanted:
            assert fmt(each.difference, "difference") in section
    tables = {"deepfake": evidence_table(suite, "deepfake")}
    assert cli_publish._paired_evidence(suite) == tables
    form = publish.prepare(suite, [], repo_id="org/name", cards={}, licence="cc0-1.0", paired_evidence=tables)
    card = (form.root / "README.md").read_text()
    assert "### Pairs: do the references hear what the copy changed?" in card
    assert tables["deepfake"] in card


def test_a_study_and_a_card_of_a_suite_without_pairs_say_nothing_of_them(tmp_path, capsys):
    clips = [dataclasses.replace(clip, pair=None) for clip in clips_of(4)]
    suite = paired_suite(tmp_path / "suite", clips, ["toys/a", "toys/b"])
    judged(suite)
    assert cli.run(["study", str(suite.root), "--out", str(tmp_path / "study")]) == 0
    assert "pairs\n" not in capsys.readouterr().out
    tasks = json.loads((tmp_path / "study/study.json").read_text())["tasks"]
    assert tasks["deepfake"]["paired_evidence"] is None
    for name in ("study.md", "study.html"):
        assert "what the copy changed" not in (tmp_path / "study" / name).read_text()
    assert cli_publish._paired_evidence(suite) == {}
    form = publish.prepare(suite, [], repo_id="org/name", cards={}, licence="cc0-1.0")
    assert "what the copy changed" not in (form.root / "README.md").read_text()


# ---- families ----------------------------------------------------------------------------------------


def test_where_the_headline_is_not_of_bins_the_first_family_by_responsibility_that_is_counts(tmp_path):
    clips, blocks = clips_of(6), "responsibility@blocks10ms"

    def suite_of_families(name, *families):
        for i, family in enumerate(families):
            signals = []
            for clip in clips:
                if family == blocks:
                    signals.append(toy_models.signal_of(clip, family=blocks))
                else:
                    kept = mask_of((BAND[0] + 20 * i, BAND[1] - 20))
                    signal = signal_of(clip, kept)
                    name_of = signal.signal_id.replace(HEADLINE, family)
                    signals.append(dataclasses.replace(signal, family=family, signal_id=name_of))
            record = dataclasses.replace(
                hand_made_signals.record_of("toys/a", [family], len(clips)), skipped=()
            )
            writer.add_reference(tmp_path / name, hand_made_signals.TASK, record, clips, signals)
        return suites.load(str(tmp_path / name))

    both = suite_of_families("both", blocks, HEADLINE)
    assert both.headline("deepfake") == blocks
    evidence = evidence_of(both, "deepfake")
    assert evidence is not None
    assert {each.n_signals + each.n_left_out for each in evidence} == {6}
    alone = suite_of_families("alone", HEADLINE)
    shares = {each.label: each.share.value for each in evidence_of(alone, "deepfake")}
    assert shares.keys() == {each.label for each in evidence}
    assert all(each.share.value > 0.9 for each in evidence), "they all lie in what changed"
    assert evidence_of(suite_of_families("blocks", blocks), "deepfake") is None
    assert evidence_of(suite_of_families("minimal", "minimal@bins"), "deepfake") is None
