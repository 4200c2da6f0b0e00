"""How figures of benchmarks are compared and shown."""

import subprocess

import pytest

from tests.benchmarks import __main__ as bench
from tests.benchmarks.figures import Figure, read, table, write

RATIO = Figure("engine / bare", 2.4, target=2.0, n=3, interval=(2.2, 2.6))
SPEED = Figure("throughput", 0.5, target=0.85, more_is_better=True)
SECONDS = Figure("build", 40.0, "s", target=35.0)


def test_a_file_gives_back_its_figures(tmp_path):
    write(tmp_path, "made_up", [RATIO, SPEED, SECONDS], others=[1])
    assert read((tmp_path / "made_up.json").read_text()) == [RATIO, SPEED, SECONDS]


@pytest.mark.parametrize(
    ("figure", "committed", "shown"),
    [
        (RATIO, 2.4, "same"),
        (RATIO, 2.2, "1.09 x worse"),
        (RATIO, 2.0, "**1.20 x worse**"),
        (RATIO, 4.8, "2.00 x better"),
        (SPEED, 1.0, "**2.00 x worse**"),
        (SPEED, 0.25, "2.00 x better"),
        (Figure("calls", 3, "calls"), 0, "**inf x worse**"),
        (SECONDS, 1.0, ""),  # of another machine, perhaps
    ],
)
def test_what_is_worse_by_more_than_15_percent_is_bold(figure, committed, shown):
    lines = table({"made_up": [figure]}, {}, {"made_up": {figure.name: committed}}).splitlines()
    assert lines[-1].split(" | ")[-1].removesuffix(" |") == shown


def test_a_miss_and_the_figure_of_before_are_shown():
    lines = table({"made_up": [RATIO, SPEED]}, {"made_up": {RATIO.name: 6.27}}).splitlines()
    assert lines[2:] == [
        "| `made_up` | engine / bare | ≤ 2 x | 6.27 x | 2.4 x [2.2, 2.6] (n = 3) **missed** |",
        "| `made_up` | throughput | ≥ 0.85 x |  | 0.5 x **missed** |",
    ]


def test_every_benchmark_says_how_it_is_used_and_has_a_place_in_the_table():
    table_of_readme = bench.README.read_text()
    for name in bench.BENCHMARKS:
        assert f"python -m tests.benchmarks.{name}" in table_of_readme, name
    assert bench.with_table(table_of_readme, "| x |").count("| x |") == 1


def test_committed_figures_are_those_of_the_last_commit(monkeypatch):
    """Even where results were written since."""
    name = next(iter(bench.BENCHMARKS))
    shown = subprocess.CompletedProcess([], 0, stdout='{"figures": [{"name": "a", "value": 3.0}]}')
    monkeypatch.setattr(bench.subprocess, "run", lambda *_, **__: shown)
    assert bench.committed(name) == {"a": 3.0}
