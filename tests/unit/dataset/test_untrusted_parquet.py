"""Parquet files that make Arrow abort, hang or fill the memory cost one line, wherever they are read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import harness
from harness import cli
from harness.dataset import parquet_io, parquet_process, parquet_schema, untrusted_parquet
from harness.entries import store
from harness.errors import BadInput, BadSignals
from harness.types import MIN_SIGNALS
from leaderboard.board import ranking as table
from tests.fuzz import parquet as thrift
from tests.fuzz.parquet_files import TARGETS
from tests.fuzz.target import Target
from tests.helpers.entries import make_entry
from tests.helpers.small_suite import clip_of


@pytest.mark.parametrize("kind", TARGETS, ids=[kind.name for kind in TARGETS])
def test_the_originals_are_accepted(kind: Target, tmp_path: Path) -> None:
    for data in kind.originals():
        (tmp_path / "x").write_bytes(data)
        assert kind.invalid(kind.read(tmp_path / "x"), data) is None


def test_no_file_that_a_stranger_may_send_gets_a_second_of_a_processor() -> None:
    """Up to the largest that is fuzzed: its process is ended before that."""
    assert all(untrusted_parquet.limits(n)["seconds"] < 1 for n in (0, 1, 10_000, 2**21))


# One file among others


def _table(**columns: Any) -> pa.Table:
    """The first verdict, with other columns."""
    table = parquet_schema.verdict_table(_ENTRY[1]).slice(0, 1)
    n = max((len(column) for column in columns.values()), default=1)
    whole = pa.concat_tables([table] * n).combine_chunks() if n > 1 else table
    for name, column in columns.items():
        whole = whole.set_column(whole.column_names.index(name), name, column)
    return whole


def _written(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", store_schema=False, write_statistics=False, **options)
    return sink.getvalue()


def _of_levels(data: bytes) -> bytes:
    """Without the last number of each histogram of levels: Arrow aborts when it is asked about a column."""
    body, footer = thrift.split(data)
    for column in thrift.columns(footer):
        for number in (2, 3):
            if (sizes := column.field(16)) and (histogram := sizes.field(number)):
                histogram.value = histogram.value[:-1]
    return thrift.joined(body, footer)


_ENTRY = make_entry(n_clips=6, n_degenerate=1)
_SOUND = _written(parquet_schema.verdict_table(_ENTRY[1]))

HURTFUL: dict[str, tuple[Callable[[], bytes], str]] = {
    "an abort of Arrow": (lambda: _of_levels(TARGETS[0].originals()[0]), "crashes"),
    "not Parquet": (lambda: b"no", "magic bytes|smaller than"),
    "half of the file": (lambda: _SOUND[: len(_SOUND) // 2], "magic bytes"),
    "a text that fills the memory": (
        lambda: _written(_table(clip_id=pa.array(["x" * 300_000_000])), use_dictionary=False),
        "it needs more than|crashes",
    ),
    "a long text a thousand times": (
        lambda: _written(_table(clip_id=pa.array(["x" * 100_000] * 1000).dictionary_encode())),
        "bytes of data, expected at most",
    ),
    "a million rows in some kilobytes": (
        lambda: _written(_table().take(pa.array([0] * 1_000_000))),
        "number of rows: 1000000, expected at most",
    ),
}
"""What a file of verdicts is, and a pattern of the reason that is given."""


MARKS = {
    "a text that fills the memory": [pytest.mark.slow],
    "an abort of Arrow": [
        pytest.mark.skipif(
            int(pa.__version__.split(".")[0]) < 19, reason="this Arrow reads no histograms of levels"
        )
    ],
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, [])) for name in HURTFUL])
def test_a_hurtful_file_costs_its_entry_and_no_other(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make, reason = HURTFUL[name]
    names = [f"toys/model-{i}" for i in range(3)]
    folders = [store.write(tmp_path, *make_entry(repo_id=each, n_clips=MIN_SIGNALS + 5)) for each in names]
    data = make()
    (folders[1] / store.VERDICTS).write_bytes(data)
    path = folders[1] / store.ENTRY
    entry = json.loads(path.read_text()) | {"verdicts_sha256": hashlib.sha256(data).hexdigest()}
    path.write_text(json.dumps(entry))
    assert cli.run(["validate", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    pattern = (
        rf"verdicts.parquet: not readable \(.*({reason}).*\), expected a Parquet file written by goodenough"
    )
    assert line.startswith(str(folders[1]))
    assert re.search(pattern, line), line
    board = table.build(tmp_path, None)
    assert {row.name for ranking in board.rankings for row in ranking.all_rows} == {names[0], names[2]}
    (line,) = board.messages
    assert re.match(
        rf"left out: {folders[1]}/verdicts.parquet is not a readable Parquet file \(.*({reason})", line
    )
    with pytest.raises(BadInput, match=reason):
        store.verdicts(folders[1])


def _readers() -> list[int]:
    """The processes that read."""
    assert untrusted_parquet._readers._server is not None
    pid = untrusted_parquet._readers._server[0]
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_reader_that_is_ended_costs_the_file_that_it_reads_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / store.VERDICTS
    many = pa.concat_tables([parquet_schema.verdict_table(_ENTRY[1])] * 50)
    pq.write_table(many, path, row_group_size=len(_ENTRY[1]))
    batches = untrusted_parquet.batches(path, [parquet_schema.VERDICTS])
    assert next(batches).num_rows == 64
    for pid in _readers():
        os.kill(pid, signal.SIGABRT)
    with pytest.raises(untrusted_parquet.Unreadable, match="reading it crashes, or takes more than"):
        list(batches)
    for _ in range(2):
        assert untrusted_parquet.table(path, [parquet_schema.VERDICTS]).equals(many)
        for pid in _readers():
            os.kill(pid, signal.SIGKILL)
    server = untrusted_parquet._readers._server
    assert server is not None
    os.kill(server[0], signal.SIGKILL)
    assert untrusted_parquet.table(path, [parquet_schema.VERDICTS]).equals(many)


def test_readers_of_several_files_and_threads_do_not_meet(tmp_path: Path) -> None:
    paths = []
    for i in range(8):
        paths.append(tmp_path / str(i))
        parquet_io.write_rows(
            paths[i], [parquet_schema.clip_row(clip_of(j)) for j in range(i % 3 + 1)], parquet_schema.CLIPS
        )
    interleaved = list(
        zip(*(parquet_io.read_rows(path, parquet_schema.CLIPS) for path in paths), strict=False)
    )
    assert len(interleaved) == 1
    with ThreadPoolExecutor(8) as pool:
        counts = list(
            pool.map(lambda path: len(list(parquet_io.read_rows(path, parquet_schema.CLIPS))), paths * 5)
        )
    assert counts == [i % 3 + 1 for i in range(8)] * 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"clip_id": None}, "a row without clip_id"),
        ({"n_samples": 2**31 - 1}, "n_samples from 2147483647 to 2147483647, expected 1 to"),
        ({"sample_rate_hz": 0}, "sample_rate_hz from 0 to 0, expected 1 to"),
    ],
)
def test_rows_of_a_suite_without_what_readers_rely_on_are_refused(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    parquet_io.write_rows(
        tmp_path / "x", [parquet_schema.clip_row(clip_of(0)) | change], parquet_schema.CLIPS
    )
    with pytest.raises(BadSignals, match=reason):
        list(parquet_io.read_rows(tmp_path / "x", parquet_schema.CLIPS))


def test_a_reader_opens_no_library_that_is_slow_to_import(tmp_path: Path) -> None:
    schema = parquet_schema.VERDICTS
    _, verdicts = make_entry(n_clips=6)
    parquet_io.write_verdicts(tmp_path / "v", verdicts)
    limits = {"rows": 1000, "data_bytes": 1 << 20, "bytes": 1 << 30}
    wanted = {"read": "table", "columns": None, "group": None, "coded": parquet_io.TEXTS}
    request = {**limits, **wanted, "schemas": [schema.serialize().to_pybytes().hex()]}
    code = (
        "import os, sys\nfrom harness.dataset import parquet_process\n"
        f"frames = [*parquet_process._frames({request!r}, os.open('v', os.O_RDONLY))]\n"
        "assert [kind for kind, _ in frames] == [b'F', b'T']\n"
        "assert not {'pandas', 'pyarrow.compute'} & {*sys.modules}, sys.modules.keys()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(harness.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)


@pytest.mark.parametrize("texts", [[], [None], [None, None, "a"], ["é", "", "a", None, "é"], ["ab"] * 300])
@pytest.mark.parametrize("start", [0, 1, 2])
def test_bytes_of_texts_are_counted_as_often_as_rows_hold_them(texts: list[str | None], start: int) -> None:
    column = pa.array(texts, pa.string()).dictionary_encode().slice(start)
    expected = sum(len(text.encode()) for text in texts[start:] if text is not None)
    if parquet_process._is_coded(column):
        assert parquet_process._text_bytes(column) == expected
        assert parquet_process._most_text_bytes(column) >= expected
    else:
        assert expected == 0


def test_one_long_text_among_many_rows_is_sound(tmp_path: Path) -> None:
    table = _table(clip_id=pa.array(["x" * 20_000, *["a"] * 4000]).dictionary_encode())
    (tmp_path / "v").write_bytes(_written(table))
    assert parquet_io.verdicts(tmp_path / "v").num_rows == 4001
