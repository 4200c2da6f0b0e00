"""Comparing two judges: means over the references that are there."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.pairwise import _over_references

NAN = np.nan


@pytest.mark.parametrize("axis", [0, 1])
def test_means_over_references_are_those_of_what_is_there(axis: int) -> None:
    draws = np.array([[0.0, 0.5, NAN, NAN], [1.0, NAN, 0.25, NAN]])  # (n_references, draws)
    draws = draws if axis == 0 else draws.T
    assert _over_references(draws, axis).tolist()[:3] == [0.5, 0.5, 0.25]
    assert np.isnan(_over_references(draws, axis)[3])
    assert _over_references(np.nan_to_num(draws), axis).tolist() == [0.5, 0.25, 0.125, 0.0]
