"""The house keeps its shape: public names, schemas and protocol are frozen here on purpose."""

import ast
import dataclasses
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter

import pyarrow as pa
import pytest

import goodenough
import harness
from harness import completions, families, schemas, types
from harness.cli import VERBS
from harness.dataset import parquet_schema
from harness.extract import DEFAULT, SEARCHES
from harness.metrics.panels import METRICS
from harness.tasks import TASKS
from tests.helpers.repository import ROOT


def test_importing_the_command_line_imports_nothing_heavy():
    code = (
        "import sys, harness, harness.cli, harness.cli.evaluate, harness.cli.extract, harness.cli.check;"
        "import harness.cli.verify, harness.cli.export;"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'numpy', 'scipy', 'rich'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_the_package_has_the_public_names_and_each_opens():
    assert dir(harness) == [name for name in goodenough.__all__ if name != "extract"]
    for name in dir(harness):
        assert getattr(harness, name) == getattr(goodenough, name)
    packages = {path.stem for path in (ROOT / "harness").iterdir()}
    assert packages & set(goodenough.__all__) == {"extract"}
    with pytest.raises(AttributeError, match="no attribute 'everything'"):
        harness.everything  # noqa: B018 - looked up on purpose


def test_the_verbs_of_the_contract_are_all_there():
    assert set(VERBS) >= {"evaluate", "check", "tasks", "extract", "validate", "submit", "leaderboard"}
    assert set(VERBS) >= {"verify", "opt-out", "export"}


def test_the_verdict_schema_is_frozen():
    assert parquet_schema.VERDICTS.names == [
        *("task", "reference", "family", "draw", "level", "clip_id", "signal_id"),
        *("stimulus", "replicate", "other_clip", "n_samples"),
        *("truth", "expected", "predicted_raw", "predicted", "p_expected", "p"),
        *("seconds_seen", "energy_seen", "robust"),
    ]
    assert parquet_schema.VERDICTS.field("p").type == pa.list_(pa.float32())
    assert set(parquet_schema.VERDICTS.names) == {f.name for f in dataclasses.fields(types.Verdict)}


def test_the_schemas_of_signals_and_sets_are_frozen():
    assert parquet_schema.SIGNALS.names == [
        *("signal_id", "clip_id", "family", "draw", "reference", "truth", "expected", "p_clip", "audio"),
        *("n_samples", "sample_rate_hz", "mask", "n_kept", "levels", "guarantee", "n_atoms"),
        *("p_whole", "p_signal", "margin", "degenerate", "search", "n_queries", "seed", "sha256"),
        *("survival", "rest_clip"),
    ]
    assert parquet_schema.SIGNALS.field("survival").type == pa.list_(pa.float32())
    assert parquet_schema.SETS.names == [
        *("set_id", "clip_id", "family", "kind", "ordinal", "reference", "truth", "expected"),
        *("n_samples", "sample_rate_hz", "mask", "n_kept", "guarantee", "n_atoms"),
        *("p_whole", "p_alone", "p_without", "margin_alone", "margin_without"),
        *("search", "n_queries", "seed"),
    ]


def test_names_that_others_rely_on_change_only_with_the_protocol():
    assert types.PROTOCOL == 2
    assert families.KINDS == ("responsibility", "minimal")
    assert list(types.STIMULI) == [
        *("whole", "signal", "swap", "matched", "largest", "silence", "complement"),
    ]
    assert [f.name for f in dataclasses.fields(schemas.Rates)] == [
        *("coverage", "transfer", "agreeing_transfer", "swap", "lift", "matched", "placement"),
        *("largest", "beyond_largest", "silence", "agreement"),
    ]
    assert list(METRICS) == [f.name for f in dataclasses.fields(schemas.Rates)]
    assert (types.N_SWAPS, types.N_MATCHED, types.N_COMPLETIONS) == (3, 4, 8)
    assert [str(each) for each in completions.CHECKED] == ["zero", "noise:-60", "noise:-40", "swap"]
    assert list(SEARCHES) == ["responsibility", "minimal", "gradient"]
    assert {name: search.kind for name, search in SEARCHES.items()} == families.SEARCH_KINDS
    assert {name: search.resolution for name, search in SEARCHES.items()} == families.DEFAULT_RESOLUTIONS
    assert families.DEFAULT_RESOLUTIONS == {
        "responsibility": "bands32",
        "minimal": "bins",
        "gradient": "bins",
    }
    assert [families.family_of_search(name) for name in DEFAULT] == [
        "responsibility@bands32",
        "minimal@bins",
    ]
    assert list(TASKS) == ["music-genre", "emotion", "deepfake"]


MODULES = sorted(path for name in ("harness", "leaderboard") for path in (ROOT / name).rglob("*.py"))


@cache
def nodes_of(source):
    """Every node of a module, read once."""
    return list(ast.walk(ast.parse(source)))


def fields_of(source, *, strict):
    """Fields of its records, each with its line and whether its sentence stands under it.

    Args:
        source: text of a module.
        strict: only those of records that are read from a file.
    """
    for node in nodes_of(source):
        if not isinstance(node, ast.ClassDef):
            continue
        decorators = {ast.unparse(each) for each in node.decorator_list}
        targets = {ast.unparse(line.targets[0]) for line in node.body if isinstance(line, ast.Assign)}
        if not any("dataclass(frozen=True" in each for each in decorators):
            continue
        if strict and "__pydantic_config__" not in targets:
            continue
        for line, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(line, ast.AnnAssign):
                told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                yield f"{node.name}.{ast.unparse(line.target)}", line.lineno, told


@pytest.mark.parametrize(
    ("path", "n_fields"),
    [
        ("harness/types.py", 80),
        ("harness/model_facts.py", 10),
        ("harness/schemas.py", 70),
        ("harness/manifest.py", 25),
    ],
)
def test_every_field_of_every_record_that_crosses_a_border_has_its_sentence(path, n_fields):
    found = list(fields_of((ROOT / path).read_text(), strict=False))
    assert len(found) > n_fields
    assert [f"{path}:{line} {name}" for name, line, told in found if not told] == []


def test_every_field_of_every_record_that_is_read_from_a_file_has_its_sentence():
    found = [(path, *each) for path in MODULES for each in fields_of(path.read_text(), strict=True)]
    assert len({name.split(".")[0] for _, name, _, _ in found}) > 20
    assert [f"{path.relative_to(ROOT)}:{line} {name}" for path, name, line, told in found if not told] == []


def test_a_field_without_a_sentence_is_seen():
    source = '@dataclass(frozen=True)\nclass A:\n    a: int\n    """An a."""\n    b: int\n    c: int\n'
    assert [told for _, _, told in fields_of(source, strict=False)] == [True, False, False]


def test_no_source_file_is_longer_than_400_lines():
    for path in [*ROOT.glob("harness/**/*.py"), *ROOT.glob("leaderboard/**/*.py")]:
        assert len(path.read_text().splitlines()) <= 400, path


def imports_of(path, modules):
    """Modules of the product that a file imports, inside functions and for types, too."""
    for node in nodes_of(path.read_text()):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_no_two_files_import_each_other_however_far_round():
    names = {
        p: ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in MODULES
    }
    modules = set(names.values())
    graph = {name: {*imports_of(path, modules)} & modules - {name} for path, name in names.items()}
    assert sum(map(len, graph.values())) > 1000
    list(TopologicalSorter(graph).static_order())  # raises CycleError with the files of a circle


def test_each_walk_through_the_house_passes_through_at_most_twenty_files_that_are_there():
    text = (ROOT / "docs/architecture.md").read_text()
    assert [name for name in re.findall(r"`([a-z]+/[\w./]+)`", text) if not (ROOT / name).exists()] == []
    walks = [part for part in text.split("\n## ") if part.startswith("From ")]
    assert len(walks) == 3
    for walk in walks:
        assert 10 < len({*re.findall(r"`((?:harness|leaderboard)/[\w./]+)`", walk)}) <= 20, walk[:40]


TEST_MODULES = sorted(p for p in (ROOT / "tests").rglob("*.py") if "results" not in p.parts)


def test_tests_of_a_package_stand_in_a_folder_of_its_name():
    """Of harness by its own name, of the leaderboard below its."""
    folders = [p for p in (ROOT / "tests/unit").rglob("*") if p.is_dir() and (p / "__init__.py").exists()]
    assert len(folders) > 15
    for folder in folders:
        inner = folder.relative_to(ROOT / "tests/unit")
        assert (ROOT / "harness" / inner).is_dir() or (ROOT / inner).is_dir(), inner
    for path in (ROOT / "tests/unit").glob("*.py"):
        assert path.stem == "__init__" or (ROOT / "harness" / path.name.removeprefix("test_")).exists(), path


def test_no_test_imports_from_another_test():
    for path in TEST_MODULES:
        for node in nodes_of(path.read_text()):
            if isinstance(node, ast.ImportFrom):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                own = node.module and node.module.endswith(path.stem)  # what another process opens
                assert own or not any(n.startswith("test_") or n == "conftest" for n in names), path


FILE_NAME = re.compile(r"(\S*/)?\.?\w[\w.-]*\.(json|jsonl|parquet|csv|html)")
NAMES_OF_FILES = ("harness/dataset/paths.py", "harness/models/checkpoints.py", "leaderboard/urls.py")


def names_of_files(source):
    """Literals of a module that are names of files, and parts of formatted texts that are."""
    tree = ast.parse(source)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in alone:
            continue
        if isinstance(node.value, str) and FILE_NAME.fullmatch(node.value):
            yield node.value


@pytest.mark.parametrize("line", ['f(p / "entry.json")', 'f"{p}/entry.json"', 'x = ".verified.json", 1'])
def test_a_name_of_a_file_is_seen(line):
    (name,) = names_of_files(line)
    assert name in line


def test_a_suffix_a_message_and_a_docstring_are_no_names_of_files():
    source = '"""entry.json"""\nx = (".json", f"{y}.parquet", "entry.json: no file", "page.html.j2")'
    assert [*names_of_files(source)] == []


def test_files_on_disk_are_named_in_one_place():
    """Names of what this package writes; those of transformers and of pages have a place of their own."""
    literals = {
        str(path.relative_to(ROOT)): [*names_of_files(path.read_text())]
        for path in MODULES
        # The names of steps are part of their keys; an adapter stands alone.
        if "starter/build" not in str(path) and "models/adapters" not in str(path)
    }
    assert {path for path, names in literals.items() if names} == set(NAMES_OF_FILES)


def test_every_file_of_tests_holds_a_test():
    for path in TEST_MODULES:
        if path.name.startswith("test_"):
            names = [getattr(node, "name", "") for node in nodes_of(path.read_text())]
            assert any(name.startswith("test_") for name in names), path
