"""An evaluation of a few clips, to try a model out: the first ones of the order of every evaluation.

Public: evaluate.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

from harness.dataset.suites import Suite
from harness.evaluation import predict, runner
from harness.evaluation.running_score import RunningScore
from harness.evaluation.units import Unit, evaluation_order, units_of
from harness.models.classifiers import Classifier
from harness.tasks import Task
from harness.types import LabelMap


def evaluate(
    classifier: Classifier,
    label_map: LabelMap,
    suite: Suite,
    task: Task,
    out: Path,
    *,
    limit: int,
    judge: runner.Judge = predict.judge,
    progress: runner.Progress = lambda n, total, score: None,
) -> runner.Result:
    """Judge the silences and the first clips, `limit` of them, with all their signals, and sum up.

    Answers go to the cache of `runner.evaluate`, which continues from them. The entry is complete if the
    suite has no more clips. For other arguments and errors see there.
    """
    units = units_of(suite, task)
    scope = _units_of_first(units, task, limit)
    if len(scope) == len(units):
        return runner.evaluate(classifier, label_map, suite, task, out, judge=judge, progress=progress)
    start = time.monotonic()
    cache = runner._open_cache(classifier, task, out)
    try:
        n_known = sum(unit.content in cache.answers for unit in scope)
        score = RunningScore(scope, suite.counts(task.name), classifier.ref, label_map)
        for unit in scope:
            if unit.content in cache.answers:
                score.learn(unit, cache.answers[unit.content])
        order = evaluation_order(scope, task)
        stop_rule = runner._StopRule(None)
        runner._proof(classifier, suite, task, units, cache)
        runner._judge(classifier, suite, task, cache, order, len(scope), progress, score, stop_rule, judge)
        proof = runner._proof(classifier, suite, task, units, cache)
        table = predict.verdict_table(scope, cache.answers, label_map, task)
        run_counts = (time.monotonic() - start, len(scope) - n_known, n_known)
        entry = runner._entry(classifier, label_map, suite, task, table, proof, False, run_counts)
        return runner.Result(entry, table)
    finally:
        cache.close()


def _units_of_first(units: list[Unit], task: Task, limit: int) -> list[Unit]:
    """The silences and all units of the first clips, in the order of the units."""
    clips = (block[0].clip_id for block in evaluation_order(units, task) if block[0].clip_id is not None)
    ids = {*islice(clips, limit), None}
    return [unit for unit in units if unit.clip_id in ids]
