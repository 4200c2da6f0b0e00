"""The house keeps its shape: public names, schemas and protocol are frozen here on purpose."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import harness
from harness import records
from harness.cli import VERBS
from harness.dataset import schema
from harness.extract import SEARCHES
from harness.tasks import TASKS

ROOT = Path(__file__).parent.parent


def test_importing_the_command_line_imports_nothing_heavy():
    code = (
        "import sys, harness, harness.cli, harness.cli.evaluate, harness.cli.extract, harness.cli.check;"
        "import harness.cli.verify, harness.cli.reproduce, harness.cli.export;"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'numpy', 'scipy', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_the_public_names_are_these_and_each_opens():
    assert harness.__all__ == sorted(harness.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n))
    assert set(harness.__all__) == set(harness._DOORS)
    assert len(harness.__all__) == 17
    for name in harness.__all__:
        assert getattr(harness, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'everything'"):
        harness.everything  # noqa: B018 - looked up on purpose


def test_the_verbs_of_the_contract_are_all_there():
    assert set(VERBS) >= {"evaluate", "check", "tasks", "extract", "validate", "submit", "leaderboard"}
    assert set(VERBS) >= {"verify", "reproduce", "export"}


def test_the_verdict_schema_is_frozen():
    assert schema.VERDICTS.names == [
        *("task", "reference", "family", "level", "clip_id", "signal_id", "stimulus", "n_samples"),
        *("truth", "expected", "predicted_raw", "predicted", "p_expected", "p"),
        *("seconds_seen", "energy_seen"),
    ]
    assert schema.VERDICTS.field("p").type == pa.list_(pa.float32())
    assert set(schema.VERDICTS.names) == {f.name for f in records.dataclasses.fields(records.Verdict)}


def test_names_that_others_rely_on_change_only_with_the_protocol():
    assert records.PROTOCOL == 1
    assert records.FAMILIES == ("responsibility", "minimal")
    assert list(records.STIMULI) == [
        *("whole", "signal", "permuted", "largest", "silence", "permuted_equal_energy", "complement"),
    ]
    assert list(SEARCHES) == ["responsibility", "minimal", "gradient"]
    assert list(TASKS) == ["music-genre", "emotion", "deepfake"]


def test_every_field_of_every_record_has_its_sentence():
    source = (ROOT / "harness" / "records.py").read_text()
    lines = source.splitlines()
    inside = False
    for i, line in enumerate(lines):
        if line.startswith("class "):
            inside = True
        elif line and not line.startswith(" "):
            inside = False
        is_field = inside and line.startswith("    ") and line[4:5].isalpha() and ": " in line
        if is_field and not line.strip().startswith(("def ", "return ", "@")):
            assert lines[i + 1].strip().startswith('"""'), f"records.py:{i + 1}: {line.strip()}"


def test_no_source_file_is_longer_than_400_lines():
    for path in [*ROOT.glob("harness/**/*.py"), *ROOT.glob("leaderboard/**/*.py")]:
        if path.name != "records.py":
            assert len(path.read_text().splitlines()) <= 400, path
