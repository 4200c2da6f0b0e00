"""The door for JSON and YAML of strangers; every such file goes through it: one line, exit code 2."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness import cli, labels, tasks, untrusted
from harness.dataset import suites
from harness.entries import store
from harness.errors import GoodenoughError
from harness.models import checkpoints, weights
from harness.recipes import recipe_file
from harness.tasks import TASKS
from harness.types import ModelRef
from tests.fuzz import mutate
from tests.fuzz.model_files import CONFIG, EXTRACTOR, SHARDS, WEIGHTS, plain_yaml, safetensors
from tests.helpers import hostile_files
from tests.helpers.repository import ROOT

JSON = {
    **{f"deep: {name}": data for name, data in hostile_files.DEEP.items()},
    "deep, and sound": b"[" * 65 + b"]" * 65,
    "huge integer": b"[" + b"9" * 5000 + b"]",
    "integer beyond a float": b"[" + b"9" * 400 + b"]",
    "name that stands twice": b'{"a": 1, "b": {"a": 1, "a": 1}}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": [Infinity]}',
    "beyond a float": b'{"a": 1e999}',
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-16 without a mark": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "Latin-1": '{"a": "\u00e9"}'.encode("latin-1"),
    "NUL": b'{"a": 1}\0',
    "NUL in a text": b'{"a\\u0000": 1}',
    "half a character": b'{"a": "\\ud800"}',
    "nothing": b"",
    "two values": b"{} {}",
    "comment": b'{"a": 1} // x',
    "trailing comma": b'{"a": 1,}',
}
YAML = {
    "python/object": b"a: !!python/object/apply:os.system [id]",
    "python/name": b"a: !!python/name:os.system",
    "binary": b"a: !!binary aGVsbG8=",
    "set": b"a: !!set {b}",
    "tag of one's own": b"a: !mine x",
    "bomb": mutate.BOMB,
    "alias of itself": b"a: &a [*a]",
    "alias of nothing": b"a: *b",
    "deep": b"a: " + b"[" * 100_000,
    "deep by lines": b"- " * 3000 + b"x",
    "deep by aliases": b"".join(
        b"a%d: &a%d [%s]\n" % (i, i, b"*a%d" % (i - 1) if i else b"x") for i in range(80)
    ),
    "key that stands twice": b"a: 1\na: 2",
    "key that is no text": b"yes: 1",
    "key that is a list": b"? [a]\n: 1",
    "merge": b"a: &a {b: 1}\n<<: *a",
    "huge integer": b"a: " + b"9" * 5000,
    "infinity": b"a: .inf",
    "NaN": b"a: .nan",
    "integer that is none": b"a: !!int x",
    "two documents": b"a: 1\n---\nb: 2",
    "UTF-16": "a: 1".encode("utf-16"),
    "Latin-1": "a: \u00e9".encode("latin-1"),
    "NUL": b"a: \0",
    "unclosed": b"a: [",
    "tab": b"a:\n\t- b",
}


# ---- the door ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "data"),
    [
        *(pytest.param(untrusted.json_of, data, id=f"json-{name}") for name, data in JSON.items()),
        *(pytest.param(untrusted.yaml_of, data, id=f"yaml-{name}") for name, data in YAML.items()),
    ],
)
def test_what_is_not_plain_is_refused(read: Callable[[bytes | str], Any], data: bytes | str) -> None:
    with pytest.raises(untrusted.Unreadable) as refused:
        read(data)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


def test_a_date_in_yaml_is_the_text_that_stands_there() -> None:
    assert untrusted.yaml_of("a: 2026-02-30\nb: [2026-01-31, 2026-01-31T10:00:00Z]") == {
        "a": "2026-02-30",
        "b": ["2026-01-31", "2026-01-31T10:00:00Z"],
    }


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(-1e30, 1e30) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: "\0" not in repr(value) and "\\x00" not in repr(value))


@given(PLAIN)
def test_plain_json_is_read_as_it_was_written(value: Any) -> None:
    assert untrusted.json_of(json.dumps(value)) == value
    assert untrusted.json_of(json.dumps(value, ensure_ascii=False).encode()) == value


@given(PLAIN)
def test_plain_yaml_is_read_as_pyyaml_reads_it(value: Any) -> None:
    text = yaml.safe_dump(value)
    assert untrusted.yaml_of(text.encode()) == plain_yaml(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        "[1e39]",
        "[-1E+99]",
        "9" * 40,
        '{"a": -1.5e39}',
        "[" + "1" * 40 + ".5]",
        "[0.1e40]",
    ],
)
def test_what_the_strict_reading_of_a_record_lets_pass_is_refused(text: str) -> None:
    with pytest.raises(untrusted.Unreadable):
        untrusted.require_once(text)
    untrusted.require_once('{"a": ["5e99", 1e37, 1e-99, "%s"]}' % ("1" * 64))


def test_an_alias_is_read_and_64_levels_are_not_too_many() -> None:
    assert untrusted.yaml_of("a: &a [1, b]\nc: [*a, *a]") == {"a": [1, "b"], "c": [[1, "b"], [1, "b"]]}
    for read, text in ((untrusted.json_of, "[" * 64 + "]" * 64), (untrusted.yaml_of, "[" * 64 + "]" * 64)):
        value, depth = read(text), 0
        while value:
            (value,), depth = value, depth + 1
        assert depth == 63


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("/dev/zero"), lambda path: None])
def test_what_is_no_file_is_not_opened(tmp_path: Path, make: Callable[[Path], Any]) -> None:
    make(tmp_path / "a")
    with pytest.raises(untrusted.Unreadable):
        untrusted.content(tmp_path / "a")


def test_a_file_that_is_too_large_is_not_opened(tmp_path: Path) -> None:
    with open(tmp_path / "a", "wb") as file:
        file.truncate(untrusted.MAX_BYTES + 1)
    with pytest.raises(untrusted.Unreadable, match="16,777,217 bytes; expected at most 16,777,216"):
        untrusted.content(tmp_path / "a")


# ---- every file that goes through it -------------------------------------------------------------


def model(folder: Path, **files: bytes) -> Path:
    parts = {
        checkpoints.CONFIG: json.dumps(CONFIG).encode(),
        checkpoints.PREPROCESSOR: json.dumps(EXTRACTOR).encode(),
        checkpoints.WEIGHTS: b"",
    }
    folder.mkdir()
    for name, data in {**parts, **files}.items():
        (folder / name).write_bytes(data)
    return folder


def _resolve(name: str) -> Callable[[Path, bytes], Any]:
    def read(root: Path, data: bytes) -> Any:
        folder = model(root / "model", **{name: data})
        if name == checkpoints.INDEX:
            (folder / checkpoints.WEIGHTS).unlink()
        return checkpoints.resolve(str(folder))

    return read


def _file(name: str, read: Callable[[Path], Any]) -> Callable[[Path, bytes], Any]:
    def written(root: Path, data: bytes) -> Any:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return read(path)

    return written


def _in_card(root: Path, data: bytes) -> Any:
    return _resolve(checkpoints.CARD)(root, b"---\n" + data + b"\n---\n")


REF = ModelRef("org/name", "0" * 40, "0" * 64)
JSON_FILES: dict[str, Callable[[Path, bytes], Any]] = {
    **{
        n: _resolve(n)
        for n in (checkpoints.CONFIG, checkpoints.PREPROCESSOR, checkpoints.PROCESSOR, checkpoints.INDEX)
    },
    "entry.json": _file("entry.json", lambda path: store.read(path.parent)),
    "label map": _file("map.json", lambda path: labels.from_file(path, ("a", "b"), TASKS["emotion"], REF)),
    "manifest.json": _file("manifest.json", lambda path: suites.load(str(path.parent))),
    ".source.json": _file(".source.json", lambda path: suites.load(str(path.parent))),
    "header of safetensors": _file(
        "model.safetensors", lambda path: weights.require_numbers("org/name", [path])
    ),
}
YAML_FILES: dict[str, Callable[[Path, bytes], Any]] = {
    "task": _file("task.yaml", lambda path: tasks.find(str(path))),
    "recipe": _file("recipe.yaml", lambda path: recipe_file.read(str(path))),
    "model card": _in_card,
}


def refusal(read: Callable[[Path, bytes], Any], root: Path, data: bytes) -> str:
    with pytest.raises(GoodenoughError) as refused:
        read(root, data)
    assert refused.value.exit_code == 2
    assert str(refused.value).isprintable()
    return str(refused.value)


@pytest.mark.parametrize("file", JSON_FILES)
@pytest.mark.parametrize("name", JSON)
def test_json_that_is_not_plain_is_one_line_wherever_it_stands(tmp_path: Path, file: str, name: str) -> None:
    data = JSON[name]
    if file == "header of safetensors":
        data = len(data).to_bytes(8, "little") + data
    refusal(JSON_FILES[file], tmp_path, data)


@pytest.mark.parametrize("file", YAML_FILES)
@pytest.mark.parametrize("name", YAML)
def test_yaml_that_is_not_plain_is_one_line_wherever_it_stands(tmp_path: Path, file: str, name: str) -> None:
    if file == "model card" and name in ("key that is no text", "two documents"):
        return  # nobody asks for that key; the second document is the card itself
    refusal(YAML_FILES[file], tmp_path, YAML[name])


@pytest.mark.parametrize(
    "shard",
    [
        "a" * 5000 + ".safetensors",
        "../a.safetensors",
        "/a.safetensors",
        "C:\\a.safetensors",
        "a\0.safetensors",
        "a/b.safetensors",
        ".safetensors",
        "-a.safetensors",
        "a.bin",
        "",
        None,
        3,
        ["a"],
        {"a": 1},
        "~.safetensors",
    ],
    ids=lambda shard: repr(shard)[:20],
)
def test_a_shard_that_is_no_name_of_a_file_beside_the_index_is_refused(tmp_path: Path, shard: Any) -> None:
    index = json.dumps({"weight_map": {"a": SHARDS[0], "b": shard}}).encode()
    line = refusal(_resolve(checkpoints.INDEX), tmp_path, index)
    assert "expected a .safetensors file beside it" in line or "NUL" in line
    assert len(line) < 300


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("license: 3", "the license in README.md is 3; expected text"),
        ("license: {a: b}", "expected text"),
        ("license: [mit, [mit]]", "expected text"),
        ("license: other\nlicense_name: [1]", "expected text"),
        ("license: [", "is not readable YAML: line 2: "),
        ("license: !!python/name:os.system", "line 1: the tag !!python/name:os.system is not read here"),
    ],
)
def test_a_licence_of_another_type_or_a_head_that_is_not_readable_is_refused(
    tmp_path: Path, head: str, line: str
) -> None:
    assert line in refusal(_in_card, tmp_path, head.encode())


def test_a_date_that_is_none_in_a_model_card_is_no_matter(tmp_path: Path) -> None:
    assert _in_card(tmp_path, b"date: 2026-02-30\nlicense: mit").licence == "mit"


def test_weights_are_refused_whose_header_lies(tmp_path: Path) -> None:
    data = safetensors(WEIGHTS)
    length = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]

    def changed(name: str, field: str, value: Any) -> bytes:
        text = json.dumps({**header, name: {**header[name], field: value}}).encode()
        return len(text).to_bytes(8, "little") + text + body

    offsets = [
        [-1, 96],
        [0, 97],
        [0, 95],
        [96, 0],
        [0, 2**63],
        [0, 2**70],
        [0],
        [],
        "0",
        None,
        [0, 96, 96],
        [8, 104],
    ]
    files = [
        *(changed("classifier.weight", "data_offsets", value) for value in offsets),
        *(
            changed("classifier.weight", "shape", value)
            for value in ([3, 9], [-3, -8], [2**62, 4], [3.0, 8], "3", None)
        ),
        *(changed("classifier.weight", "dtype", value) for value in ("F31", "I8", "", None, 4)),
        *(
            n.to_bytes(8, "little") + data[8:]
            for n in (0, 1, length - 1, length + 1, 2**31, 2**63, 2**64 - 1)
        ),
        *(data[:-1], data + b"\0", data[:7], b"", data[: 8 + length]),
    ]
    path = tmp_path / "model.safetensors"
    for file in files:
        refusal(
            lambda root, data: (path.write_bytes(data), weights.require_numbers("org/name", [path])),
            tmp_path,
            file,
        )
    path.write_bytes(data)
    assert weights.require_numbers("org/name", [path]) == 31


def test_a_command_ends_with_code_2_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model(tmp_path / "model", **{checkpoints.CONFIG: b"[" * 100_000})
    assert cli.run(["check", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"goodenough: {folder}: config.json is not readable JSON: it is nested more than 64 deep"


SAMPLE = """# A card.
license: mit   # a comment
names: [one, 'two too', "three"]
about: |
  Two lines
  of \u00fc text.
folded: >
  one
  two
plain: words with # in them
more: {a: 1, b: [x, ~]}
list:
- 1
- two words
"""


@pytest.mark.parametrize("width", [1, 2])
def test_a_tab_is_read_where_every_reader_reads_it_alike_and_refused_elsewhere(width: int) -> None:
    """PyYAML has two parsers: the one in C, which is fast, takes tabs for spaces, the other refuses them."""
    accepted = 0
    for i in range(len(SAMPLE) + 1):
        text = SAMPLE[:i] + "\t" * width + SAMPLE[i:]
        try:
            value = untrusted.yaml_of(text)
        except untrusted.Unreadable:
            continue
        accepted += 1
        assert value == yaml.load(text, yaml.SafeLoader), text
    assert accepted > 60


def test_a_tab_in_quotes_a_block_and_a_comment_is_read() -> None:
    text = "a: 'x\ty' # a\tcomment\nb: |\n  x\ty\n"
    assert untrusted.yaml_of(text) == {"a": "x\ty", "b": "x\ty\n"}
    with pytest.raises(untrusted.Unreadable, match="line 2: a tab outside of quotes; expected spaces"):
        untrusted.yaml_of("a: 1\nb: x\ty\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x 1\nb: &x 2\n", "line 2: &x stands there twice"),
        ("a: [&x 1, &x 2]\n", "line 1: &x stands there twice"),
        ("a: &x {b: &x 1}\n", "&x stands there twice"),
        ("a: !\n", "the tag ! is not read here"),
        ("a: ! x\n", "the tag ! is not read here"),
        ("a: ! [1]\n", "the tag ! is not read here"),
        ("! a: 1\n", "the tag ! is not read here"),
        ("a: {b: c?d, e: 1}\n", "line 1: a question mark within brackets"),
        ("a: [b?]\n", "line 1: a question mark within brackets"),
        ("\ufeff\n\ufeffa: 1\n", "line 2: a byte order mark"),
        ("a: x\ufeffy\n", "line 1: a byte order mark"),
    ],
)
def test_what_the_two_parsers_of_pyyaml_read_differently_is_refused(text: str, reason: str) -> None:
    with pytest.raises(untrusted.Unreadable, match=reason):
        untrusted.yaml_of(text)


@pytest.mark.parametrize(
    "text", ["\ufeffa: 1\n", "a: b?c\n", "a: [ 'b?', \"c?\" ]\n", "a:\n- b?\n- [c]\n- d?\n"]
)
def test_question_marks_elsewhere_and_one_mark_at_the_beginning_are_read(text: str) -> None:
    assert untrusted.yaml_of(text) == yaml.load(text, yaml.SafeLoader)


# ---- nothing goes round it -----------------------------------------------------------------------

READERS = {
    *(
        "json.load",
        "json.loads",
        "yaml.load",
        "yaml.safe_load",
        "yaml.parse",
        "yaml.compose",
        "yaml.load_all",
    ),
    *("yaml.safe_load_all", "safe_open", "load_file", "pickle.load", "pickle.loads", "torch.load", "np.load"),
    *(
        "tomllib.load",
        "tomllib.loads",
        "csv.reader",
        "csv.DictReader",
        "pd.read_csv",
        "pd.read_json",
        "eval",
        "exec",
    ),
}
OWN_TEXT = ("to_json", "json.dumps")
"""What is read back from these never was a stranger's."""
DOORS = {
    ("harness/untrusted.py", "json.loads"),
    # What the two ends of the door to Parquet tell each other.
    ("harness/dataset/untrusted_parquet.py", "json.loads"),
    ("harness/dataset/parquet_process.py", "json.loads"),
    # What this process has packed, and what it finds in its own cache, with a checksum.
    ("harness/extract/journal_lines.py", "json.loads"),
    ("leaderboard/board/packing.py", "json.loads"),
    ("harness/models/weights.py", "safe_open"),
    ("harness/dataset/corpora.py", "csv.DictReader"),
    # An adapter, what its user gives it, and what it answers, in frames whose size is bounded.
    ("harness/models/external/environments.py", "tomllib.loads"),
    ("harness/models/external/isolated.py", "json.loads"),
    ("harness/models/external/worker.py", "json.loads"),
    ("harness/models/adapters/deepfense.py", "load_file"),
    ("harness/models/adapters/deepfense.py", "torch.load"),
    ("harness/models/adapters/deepfense.py", "yaml.safe_load"),
    ("harness/models/adapters/deepfense_frontends.py", "json.loads"),
    ("harness/models/adapters/multilabel.py", "csv.reader"),
    ("harness/models/adapters/multilabel.py", "json.loads"),
}


def readers(source: str) -> list[str]:
    """Calls of a reader on anything but text of our own, in a module."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    own = [
        a for call in calls for a in call.args if isinstance(a, ast.Call) and ast.unparse(a.func) in OWN_TEXT
    ]
    return [
        ast.unparse(call.func)
        for call in calls
        if ast.unparse(call.func) in READERS and not (call.args and call.args[0] in own)
    ]


def test_no_file_of_a_stranger_goes_round_the_doors() -> None:
    modules = [p for name in ("harness", "leaderboard") for p in (ROOT / name).rglob("*.py")]
    shipped = [path for path in modules if "starter" not in path.parts]
    assert len(shipped) > 150
    calls = {
        (path.relative_to(ROOT).as_posix(), name) for path in shipped for name in readers(path.read_text())
    }
    assert calls == DOORS


def test_a_reader_outside_the_doors_is_seen() -> None:
    assert readers("import json\njson.loads(path.read_text())\njson.loads(to_json(x))") == ["json.loads"]
    assert readers("yaml.safe_load(text)") == ["yaml.safe_load"]
