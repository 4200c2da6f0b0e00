"""What the pages of a Parquet file will take, read off their headers before any of them is opened.

The foot of a file tells sizes and counts, and whoever made the file may have written anything there: a page
of twelve kilobytes can claim a few hundred bytes and unpack to gigabytes. What a reader allocates follows
from the header of each page, so these are walked, in the order in which the file's columns lie.

Conventions: headers are Thrift structures in the compact protocol (github.com/apache/thrift,
doc/specs/thrift-compact-protocol.md); of one, the fields by number (parquet-format, src/main/thrift).

Public: problems, MAX_PAGES.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MAX_PAGES = 20_000
"""Pages of a file; a million rows take about a thousand."""

_MAX_DEPTH = 8
"""Structures within structures; a page's header has three."""

_ENCODINGS = frozenset({0, 2, 3, 8})
"""Plain, by dictionary, and runs: those that Arrow writes. Of others one byte may stand for a megabyte."""

_SIZE, _PACKED, _DATA, _DICTIONARY, _DATA_V2 = 2, 3, 5, 7, 8
_VALUES = 1
_ENCODING = {_DATA: 2, _DICTIONARY: 2, _DATA_V2: 4}


def problems(data: bytes, claimed: Any, most: int) -> list[str]:
    """What does not hold of the pages of a file; empty when its foot tells the truth about them.

    Args:
        data: the file.
        claimed: its foot, as pyarrow reads it.
        most: bytes that all pages together may unpack to.

    Raises:
        ValueError: a header cannot be read.
    """
    n_pages = expanded = 0
    for i in range(claimed.num_row_groups):
        for j in range(claimed.num_columns):
            column = claimed.row_group(i).column(j)
            n_values = 0
            for header in _headers(data, *_extent(column)):
                n_pages += 1
                expanded += header[_SIZE]
                for kind, encoding in _ENCODING.items():
                    page = header.get(kind, {encoding: 0})
                    if page.get(encoding) not in _ENCODINGS:
                        return [f"an encoding of {column.path_in_schema} that goodenough does not write"]
                    n_values += page.get(_VALUES, 0) if kind != _DICTIONARY else 0
                if n_pages > MAX_PAGES:
                    return [f"more than {MAX_PAGES} pages"]
                if expanded > most:
                    return [f"more than {most} bytes in its pages"]
            if n_values != column.num_values:
                return [
                    f"{n_values} values of {column.path_in_schema} in its pages, {column.num_values} told"
                ]
    return []


def _extent(column: Any) -> tuple[int, int]:
    """Where the pages of a column begin and end: at its dictionary, if that comes first."""
    start = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < start:
        start = column.dictionary_page_offset
    return start, start + column.total_compressed_size


def _headers(data: bytes, start: int, end: int) -> Iterator[dict[int, Any]]:
    if not 0 <= start <= end <= len(data):
        raise ValueError("a column beyond the end of the file")
    while start < end:
        header, body = _structure(data, start, 0)
        if not all(isinstance(header.get(name), int) and header[name] >= 0 for name in (_SIZE, _PACKED)):
            raise ValueError("a page of no size")
        kinds = [header[kind] for kind in _ENCODING if kind in header]
        if len(kinds) != 1 or not isinstance(kinds[0], dict):
            raise ValueError("a page of no known kind")
        yield header
        start = body + header[_PACKED]
    if start > end:
        raise ValueError("a page beyond the end of its column")


def _structure(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Fields of a structure by number, and where it ends."""
    if depth > _MAX_DEPTH:
        raise ValueError("a header too deep")
    fields: dict[int, Any] = {}
    number = 0
    while (head := _byte(data, at)) != 0:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        kind = head & 15
        if kind in (1, 2):
            fields[number] = kind == 1
        else:
            fields[number], at = _value(data, at, kind, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind == 3:
        return _byte(data, at), at + 1
    if kind in (4, 5, 6):
        return _integer(data, at)
    if kind == 7:
        return None, at + 8
    if kind == 8:
        length, at = _varint(data, at)
        return None, at + length
    if kind == 12:
        return _structure(data, at, depth + 1)
    raise ValueError("a header with a field of no known kind")


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = _byte(data, at)
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number too long")


def _byte(data: bytes, at: int) -> int:
    if not 0 <= at < len(data):
        raise ValueError("a header beyond the end of the file")
    return data[at]
