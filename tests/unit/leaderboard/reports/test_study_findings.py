"""Findings of a study in sentences: of which atoms models agree most."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from harness.types import Estimate
from leaderboard.reports.study_findings import summary


def _estimate(value: float | None) -> Estimate:
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    return Estimate(value, low, high, 0.95, "by hand", 50)


def _family(name: str, transfer: float | None, lift: float | None) -> Any:
    return SimpleNamespace(
        family=name, transfer=_estimate(transfer), lift=_estimate(lift), flat_earth=(), compared=()
    )


def _last_finding(*families: Any) -> str:
    return summary(SimpleNamespace(models=(), families=families))[-1]  # type: ignore[arg-type]


def test_the_family_that_models_agree_on_most_is_named_and_so_is_the_one_of_the_highest_lift() -> None:
    finding = _last_finding(
        _family("responsibility@bands32", 0.45, 0.3),
        _family("minimal@bins", 0.25, 0.05),
        _family("responsibility@tiles8x16", 0.5, 0.1),
    )
    assert finding.startswith("Models agree most on signals of responsibility@tiles8x16: they accept")
    assert "of responsibility@bands32 " in finding
    assert ", minimal@bins " in finding
    assert finding.endswith("The highest lift is that of responsibility@bands32.")


def test_of_a_single_family_nothing_is_compared() -> None:
    one = _family("responsibility@bands32", 0.45, 0.3)
    unknown = _family("minimal@bins", None, None)
    assert "agree most" not in _last_finding(one)
    assert "agree most" not in _last_finding(one, unknown)
