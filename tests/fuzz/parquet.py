"""Parquet files as a stranger might change them: footers, headers of pages, pages, extents.

Footers and headers are Thrift structures in the compact protocol. They are read as plain trees, changed, and
written again, so that a change lies where it was meant and all around it stays readable. A column whose pages
were changed is appended, and the footer is pointed there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_INTEGERS = (_I16, _I32, _I64)
_MAGIC = b"PAR1"
_MOST = 2**21
_EDGES = (0, 1, -1, 2, 7, 8, 127, 128, 255, 65536, 2**31 - 1, -(2**31), 2**32, 2**40, -(2**63), 2**63 - 1)
_CODECS = {0: None, 1: "snappy", 2: "gzip", 4: "brotli", 5: "lz4_raw", 6: "zstd"}
_CODEC, _COLUMN_VALUES, _EXPANDED, _PACKED, _DATA_AT, _DICTIONARY_AT = 4, 5, 6, 7, 9, 11
"""Fields of the metadata of a column."""


@dataclass
class Node:
    """A value of a Thrift structure."""

    kind: int
    """Its type in the compact protocol."""
    value: Any
    """An integer, bytes, a list of nodes, or of a structure a list of [number, node]."""

    def field(self, number: int) -> Node | None:
        """The first field of that number."""
        return next((node for n, node in self.value if n == number), None)

    def set(self, number: int, value: int) -> None:
        """Give an integer field another value; one that is not there stays away."""
        if node := self.field(number):
            node.value = value


def mutate(generator: random.Random, data: bytes) -> bytes:
    """Another file, most often one that nearly is Parquet.

    Args:
        generator: decides everything.
        data: a Parquet file.
    """
    ways = (_of_footer, _of_footer, _of_header, _of_body, _of_body, _of_extents, _of_bytes, _of_length)
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        try:
            data = generator.choice(ways)(generator, data)
        except Exception:
            data = _of_bytes(generator, data)  # an earlier change left nothing to read
    return data[:_MOST]


def _of_footer(generator: random.Random, data: bytes) -> bytes:
    body, footer = split(data)
    for _ in range(generator.choice((1, 1, 2, 8))):
        _change(generator, footer, len(data))
    return joined(body, footer)


def _of_header(generator: random.Random, data: bytes) -> bytes:
    def change(pages: list[tuple[Node, bytes]], codec: str | None) -> None:
        _change(generator, generator.choice(pages)[0], len(data))

    return _of_pages(generator, data, change)


def _of_body(generator: random.Random, data: bytes) -> bytes:
    """Bytes inside the pages of a column; levels stand at the beginning of a page."""

    def change(pages: list[tuple[Node, bytes]], codec: str | None) -> None:
        i = generator.randrange(len(pages))
        header, packed = pages[i]
        plain = packed
        second = header.field(8) is not None and codec is not None  # version 2 leaves its levels unpacked
        size = header.field(2)
        if codec and size and not second:
            plain = pa.decompress(packed, size.value, codec, asbytes=True)
        changed = bytearray(plain)
        way = generator.randrange(4)
        first = generator.choice((8, len(changed)))
        for _ in range(generator.choice((1, 1, 3, 16))):
            at = generator.randrange(max(1, min(first, len(changed))))
            if way == 0:
                changed[at : at + 1] = bytes([generator.randrange(256)])
            elif way == 1:
                changed[at : at + 4] = generator.choice(_EDGES).to_bytes(8, "little", signed=True)[:4]
            elif way == 2:
                del changed[at : at + generator.randrange(1, 64)]
            else:
                changed[at:at] = changed[at : at + 64] * generator.choice((1, 8, 1000))
            if not changed:
                break
        plain = bytes(changed)
        packed = plain if codec is None or second else pa.compress(plain, codec, asbytes=True)
        header.set(3, len(packed))
        if generator.random() < 0.8 and not second:
            header.set(2, len(plain))
        pages[i] = header, packed

    return _of_pages(generator, data, change)


def _of_extents(generator: random.Random, data: bytes) -> bytes:
    """Columns and groups of rows that lie on each other, twice, in another order, or somewhere else."""
    body, footer = split(data)
    groups = footer.field(4)
    assert groups is not None
    every = list(columns(footer))
    one, other = generator.choice(every), generator.choice(every)
    way = generator.randrange(6)
    if way == 0:
        one.value = other.value
    elif way == 1:
        for number in (_DATA_AT, _DICTIONARY_AT, _PACKED, _EXPANDED, _COLUMN_VALUES):
            if (source := other.field(number)) and generator.random() < 0.7:
                one.set(number, source.value)
    elif way == 2:
        one.set(_DATA_AT, generator.randrange(len(data)))
    elif way == 3:
        groups.value = groups.value * generator.choice((0, 2, 3, 20))
        _set_rows(footer)
    elif way == 4:
        shift = generator.choice((1, -1, 4, -4, 100))
        for number in (_DATA_AT, _DICTIONARY_AT):
            if node := one.field(number):
                node.value += shift
    else:
        group = generator.choice(groups.value)
        generator.shuffle(group.field(1).value)
    return joined(body, footer)


def _of_bytes(generator: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    first = generator.choice((0, max(0, len(data) - 4096)))
    for _ in range(generator.choice((1, 1, 2, 8, 64))):
        if changed:
            at = generator.randrange(min(first, len(changed) - 1), len(changed))
            changed[at] = generator.randrange(256)
    return bytes(changed)


def _of_length(generator: random.Random, data: bytes) -> bytes:
    start = generator.randrange(len(data) + 1)
    way = generator.randrange(4)
    if way == 0:
        return data[:start]
    end = min(len(data), start + generator.choice((1, 8, 1000, len(data))))
    if way == 1:
        return data[:start] + data[end:]
    if way == 2:
        return data[:start] + data[start:end] + data[start:]
    return data[:-8] + generator.choice(_EDGES).to_bytes(8, "little", signed=True)[:4] + _MAGIC


def _set_rows(footer: Node) -> None:
    groups = footer.field(4)
    if groups:
        footer.set(3, sum(node.value for group in groups.value if (node := group.field(3))))


def columns(footer: Node) -> Iterator[Node]:
    """The metadata of every column of every group of rows."""
    groups = footer.field(4)
    for group in groups.value if groups else ():
        columns = group.field(1)
        for column in columns.value if columns else ():
            if metadata := column.field(3):
                yield metadata


def _of_pages(
    generator: random.Random,
    data: bytes,
    change: Callable[[list[tuple[Node, bytes]], str | None], None],
) -> bytes:
    """The file with one column's pages changed, and appended; now and then with some left out or twice."""
    body, footer = split(data)
    column = generator.choice(list(columns(footer)))
    names = (_CODEC, _PACKED, _DATA_AT, _DICTIONARY_AT)
    numbers = {number: node.value for number in names if (node := column.field(number))}
    start = min(numbers.get(_DICTIONARY_AT) or numbers[_DATA_AT], numbers[_DATA_AT])
    at, end, pages = start, start + numbers[_PACKED], []
    while at < end:
        header, at = _structure(data, at)
        size = header.field(3)
        assert size is not None
        pages.append((header, data[at : at + size.value]))
        at += size.value
    change(pages, _CODECS.get(numbers[_CODEC]))
    if generator.random() < 0.1:
        pages = generator.choices(pages, k=generator.choice((1, len(pages), len(pages) + 1)))
    packed, n_first = b"", 0
    for i, (header, page) in enumerate(pages):
        packed += _written(header) + page
        n_first = len(packed) if i == 0 else n_first
    has_dictionary = numbers.get(_DICTIONARY_AT) is not None
    column.set(_DICTIONARY_AT, len(body))
    column.set(_DATA_AT, len(body) + (n_first if has_dictionary else 0))
    if generator.random() < 0.9:
        column.set(_PACKED, len(packed))
    return joined(body + packed, footer)


def _change(generator: random.Random, root: Node, size: int) -> None:
    """Change one value somewhere below a node, or its place."""
    parent, at, node = _place(generator, root)
    way = generator.random()
    if way < 0.15:
        action = generator.randrange(4)
        if action == 0:
            del parent.value[at]
        elif action == 1:
            parent.value[at:at] = [parent.value[at]] * generator.choice((1, 2, 40))
        elif action == 2:
            generator.shuffle(parent.value)
        elif parent.kind == _STRUCT:
            parent.value[at] = [generator.randrange(1, 20), node]
    elif way < 0.2:
        node.kind, node.value = generator.choice(
            ((_I64, generator.choice(_EDGES)), (_BINARY, b"x" * 9), (_LIST, []), (_STRUCT, []), (_TRUE, None))
        )
    elif node.kind in _INTEGERS or node.kind == _BYTE:
        value = node.value
        near = (value + 1, value - 1, value * 2, value // 2, -value, generator.randrange(size), value ^ 1)
        node.value = generator.choice((*_EDGES, *near, *near))
        if node.kind == _BYTE:
            node.value &= 255
    elif node.kind in (_TRUE, _FALSE):
        node.kind = _TRUE + _FALSE - node.kind
    elif node.kind == _DOUBLE:
        node.value = generator.randbytes(8)
    elif node.kind == _BINARY:
        value = node.value
        node.value = generator.choice(
            (
                b"",
                value[:-1],
                value + b"\0",
                value * 2,
                b"\xff" + value[1:],
                generator.randbytes(8),
                b"a" * 10**5,
            ),
        )
    elif node.kind == _LIST:
        items = node.value
        node.value = generator.choice(
            (items[:-1], items[1:], items * 2, [], items[:1] * 100, items + items[:1]),
        )
    else:
        generator.shuffle(node.value)


def _place(generator: random.Random, root: Node) -> tuple[Node, int, Node]:
    """A value somewhere below a node: what holds it, its index there, and itself."""
    node = root
    while True:
        parent = node
        at = generator.randrange(len(parent.value))
        item = parent.value[at]
        node = item[1] if parent.kind == _STRUCT else item
        if node.kind not in (_STRUCT, _LIST) or not node.value or generator.random() < 0.1:
            return parent, at, node


# Thrift, compact protocol: github.com/apache/thrift, doc/specs/thrift-compact-protocol.md


def split(data: bytes) -> tuple[bytes, Node]:
    """All before the footer, and the footer."""
    size = int.from_bytes(data[-8:-4], "little")
    if data[-4:] != _MAGIC or size > len(data) - 8:
        raise ValueError("no Parquet")
    start = len(data) - 8 - size
    return data[:start], _structure(data, start)[0]


def joined(body: bytes, footer: Node) -> bytes:
    """Inverse of `split`, whatever the footer has become."""
    written = _written(footer)
    return body + written + len(written).to_bytes(4, "little") + _MAGIC


def _structure(data: bytes, at: int) -> tuple[Node, int]:
    """A structure, and where it ends."""
    fields, number = [], 0
    while (head := data[at]) != 0:
        at += 1
        number, at = (number + (head >> 4), at) if head >> 4 else _signed(data, at)
        kind = head & 15
        node, at = (Node(kind, None), at) if kind in (_TRUE, _FALSE) else _value(data, at, kind)
        fields.append([number, node])
    return Node(_STRUCT, fields), at + 1


def _value(data: bytes, at: int, kind: int) -> tuple[Node, int]:
    if kind in (_BYTE, _TRUE, _FALSE):
        return Node(kind, data[at]), at + 1
    if kind in _INTEGERS:
        value, at = _signed(data, at)
        return Node(kind, value), at
    if kind == _DOUBLE:
        return Node(kind, data[at : at + 8]), at + 8
    if kind == _BINARY:
        size, at = _unsigned(data, at)
        return Node(kind, data[at : at + size]), at + size
    if kind == _LIST:
        head, at = data[at], at + 1
        size, at = (head >> 4, at) if head >> 4 < 15 else _unsigned(data, at)
        items = []
        for _ in range(size):
            node, at = _value(data, at, head & 15)
            items.append(node)
        return Node(kind, items), at
    if kind == _STRUCT:
        return _structure(data, at)
    raise ValueError(f"kind {kind}")


def _written(node: Node) -> bytes:
    if node.kind == _STRUCT:
        out, last = b"", 0
        for number, inner in node.value:
            step, last = number - last, number
            near = 0 < step < 16
            head = bytes([(step if near else 0) << 4 | inner.kind]) + (
                b"" if near else _varint(_zigzag(number))
            )
            out += head + (b"" if inner.kind in (_TRUE, _FALSE) else _written(inner))
        return out + b"\0"
    if node.kind == _LIST:
        kind, n = (node.value[0].kind if node.value else _I64), len(node.value)
        head = bytes([n << 4 | kind]) if n < 15 else bytes([240 | kind]) + _varint(n)
        return head + b"".join(_written(item) for item in node.value)
    if node.kind in (_BYTE, _TRUE, _FALSE):
        return bytes([(node.value or 0) & 255])
    if node.kind in _INTEGERS:
        return _varint(_zigzag(node.value))
    return bytes(node.value) if node.kind == _DOUBLE else _varint(len(node.value)) + bytes(node.value)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _signed(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return value >> 1 ^ -(value & 1), at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number too long")
