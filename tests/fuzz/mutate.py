"""How files are changed: bytes of any file, and values, members and names of JSON and YAML.

Every function is of a generator and a file alone.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from functools import lru_cache

from tests.helpers import hostile_files

DEEP = (
    *hostile_files.DEEP.values(),
    b"[" * 3000 + b"]" * 3000,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b"[" * 70 + b"]" * 70,
)
LITERALS: tuple[bytes, ...] = (
    *(text.encode() for text in hostile_files.NUMBERS.values()),
    *(b"null", b"true", b"false", b"[]", b"{}", b'""', b"0", b"1", b"-1", b"2", b"1e3", b"0.5", b"-0"),
    *(str(2**n + more).encode() for n in (31, 32, 53, 63, 64) for more in (-1, 0, 1)),
    *(b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"\xed\xa0\x80"', b"'a'", b"nan", b"inf", b"undefined", b"1_0"),
    *(
        b'{"":0}',
        b'{"a":1,"a":2}',
        b"[[],[]]",
        b"[null]",
        b'{"__class__":"x"}',
        b'"2026-02-30"',
        b"01",
        b"1.",
    ),
)
"""As they stand in JSON, valid or not."""
TEXTS: tuple[bytes, ...] = tuple(
    json.dumps(text, ensure_ascii=False).encode() for text in hostile_files.TEXTS.values()
)
KEYS: tuple[bytes, ...] = (
    *(b'""', b'"__proto__"', b'"__class__"', b'"model"', b'"name"', b'"a\\u0000"', b"1", b'"\\ud800"'),
)

_TOKEN = re.compile(rb'\s*(?:([{}\[\],:])|("(?:[^"\\]|\\.)*")|([^\s{}\[\],:"]+))', re.DOTALL)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0", b"\x1a", b"\n", b" ", b"/*x*/", b"#x\n", b"\x0c")


def damaged(generator: random.Random, data: bytes) -> bytes:
    """A file whose bytes were changed: flipped, overwritten, left out, doubled, cut off, or put before it."""
    for _ in range(generator.choice((1, 1, 1, 2, 4, 16))):
        n, at = len(data), generator.randrange(len(data) + 1)
        span = generator.choice((1, 1, 2, 4, 8, 64, max(1, n // 4)))
        match generator.randrange(8):
            case 0 | 1 if at < n:
                data = data[:at] + bytes([data[at] ^ 1 << generator.randrange(8)]) + data[at + 1 :]
            case 2:
                data = data[:at] + generator.randbytes(min(span, 8)) + data[at + min(span, 8) :]
            case 3:
                data = data[:at] + data[at + span :]
            case 4:
                data = data[: at + span] + data[at:]
            case 5:
                data = (
                    data[:at]
                    + generator.choice((b"\0", b"\xff", b"\x80", b"\x7f")) * span
                    + data[at + span :]
                )
            case 6:
                data = data[:at]
            case _:
                data = generator.choice(_MARKS) + data
    return data


def json_text(generator: random.Random, data: bytes) -> bytes:
    """JSON whose values, members and names, or bytes, were changed, doubled, moved or left out."""
    roll = generator.random()
    if roll < 0.15:
        return damaged(generator, data)
    if roll < 0.2:
        encoding = generator.choice(("utf-16", "utf-32", "utf-16-le", "utf-8-sig", "utf-16-be"))
        return data.decode("utf-8", "replace").encode(encoding, "replace")
    values, keys, members = spans(data)
    edits: list[tuple[int, int, bytes]] = []
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        kind = generator.randrange(10)
        if kind < 6 or not members:
            start, end = generator.choice(values)
            edits.append((start, end, _value(generator, data, values, start, end)))
        elif kind == 6:
            start, end = generator.choice(keys)
            edits.append((start, end, generator.choice(KEYS + TEXTS[:40])))
        elif kind == 7:
            start, end = generator.choice(members)
            edits.append((start, end, data[start:end] + b"," + data[start:end]))
        elif kind == 8:
            start, end = generator.choice(members)
            edits.append((start, end, b'"":0'))
        else:
            start, end = generator.choice(members)
            edits.append(
                (
                    start,
                    end,
                    generator.choice(KEYS) + b":" + generator.choice(LITERALS) + b"," + data[start:end],
                )
            )
    return spliced(data, edits)


def _value(
    generator: random.Random, data: bytes, values: Sequence[tuple[int, int]], start: int, end: int
) -> bytes:
    roll = generator.random()
    if roll < 0.45:
        return generator.choice(LITERALS)
    if roll < 0.65:
        return generator.choice(TEXTS)
    if roll < 0.68:
        return generator.choice(DEEP)
    if roll < 0.85:
        other = generator.choice(values)
        return data[other[0] : other[1]]
    if roll < 0.93:
        return generator.choice((b"[%b]", b'{"a":%b}', b"[%b,%b]", b'"%b"')).replace(b"%b", data[start:end])
    return b"[" + b",".join([data[start:end]] * min(1000, 1 + 100_000 // (end - start + 1))) + b"]"


def spliced(data: bytes, edits: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Bytes with some stretches replaced; of two that overlap the later one stays out."""
    parts, at = [], len(data)
    for start, end, new in sorted(edits, key=lambda edit: -edit[0]):
        if end <= at:
            parts += [data[end:at], new]
            at = start
    return b"".join((data[:at], *reversed(parts)))


Spans = tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]


@lru_cache(maxsize=64)
def spans(data: bytes) -> Spans:
    """Where in JSON each value, each name and each member (`name: value`) stands."""
    values, keys, members = [], [], []
    open_at: list[tuple[int, bytes]] = []
    pending: list[tuple[int, int] | None] = [None]

    def ended(start: int, end: int) -> None:
        values.append((start, end))
        if (key := pending[-1]) is not None:
            members.append((key[0], end))
            keys.append(key)
            pending[-1] = None

    last: tuple[int, int] | None = None
    for match in _TOKEN.finditer(data):
        sign, text, word = match.groups()
        start, end = match.end() - len(sign or text or word), match.end()
        if sign in (b"{", b"["):
            open_at.append((start, sign))
            pending.append(None)
        elif sign in (b"}", b"]"):
            if last is not None:
                ended(*last)
            last = None
            begun, _ = open_at.pop()
            pending.pop()
            last = (begun, end)
        elif sign == b":":
            pending[-1], last = last, None
        elif sign == b",":
            if last is not None:
                ended(*last)
            last = None
        else:
            last = (start, end)
    if last is not None:
        ended(*last)
    return tuple(values), tuple(keys), tuple(members)


_SCALARS: tuple[bytes, ...] = (
    *(
        b"2026-02-30",
        b"2026-13-45T99:99:99Z",
        b"0001-01-01",
        b"!!python/object/apply:os.system [id]",
        b"!!binary ==",
    ),
    *(
        b"!!python/name:os.system",
        b"!foo x",
        b"!!set {a}",
        b"!!omap []",
        b"!!timestamp x",
        b"!!int x",
        b"!!float ''",
    ),
    *(
        b"~",
        b"yes",
        b"no",
        b"on",
        b"0x1F",
        b"0b101",
        b"017",
        b"1:30:00",
        b"1_0",
        b".inf",
        b"-.INF",
        b".nan",
        b"1e3",
    ),
    *(
        b"9" * 5000,
        b"1.0e+999",
        b"-" + b"9" * 50,
        b"*nobody",
        b"&x [*x]",
        b"&x {a: *x}",
        b"|\n  x",
        b">-\n x",
        b"@x",
    ),
    *(
        b"'",
        b'"',
        b'"\\ud800"',
        b'"\\x00"',
        b"\x00",
        b"\x07",
        b"\xff",
        b"%TAG ! x",
        b"---",
        b"...",
        b"? x",
        b": x",
    ),
    *(
        b"[" * 100_000,
        b"[" * 70 + b"]" * 70,
        b"{a: " * 5000,
        b"- " * 3000,
        b"[]",
        b"{}",
        b"[1, {2: 3}]",
        b"{1: 2}",
    ),
    *(
        b"<<: {a: b}",
        b"{<<: [x]}",
        b"{a: 1, a: 2}",
        b"? [a, b]\n: c",
        b"!!map []",
        b"!!seq {}",
        b"!!str 1",
        b"! 1",
    ),
)
BOMB = b"a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 20)
)
"""Nine to the twentieth texts."""

_WORD = re.compile(rb"[^\s:\[\]{},#\"'-][^:\n\[\]{},#]*")


def yaml_text(generator: random.Random, data: bytes) -> bytes:
    """YAML whose words and lines, or bytes, were changed, doubled, moved, indented or left out."""
    roll = generator.random()
    if roll < 0.15:
        return damaged(generator, data)
    if roll < 0.18:
        return data.decode("utf-8", "replace").encode(generator.choice(("utf-16", "utf-8-sig", "utf-32")))
    if roll < 0.2:
        at = data.find(b"\n") + 1
        return data[:at] + BOMB + data[at:]
    for _ in range(generator.choice((1, 1, 1, 2, 3))):
        lines = data.split(b"\n")
        i, j = generator.randrange(len(lines)), generator.randrange(len(lines))
        match generator.randrange(8):
            case 0 | 1 | 2 | 3:
                words = list(_WORD.finditer(data))
                match = generator.choice(words) if words else None
                if match:
                    new = generator.choice(generator.choice((_SCALARS, _SCALARS, TEXTS, LITERALS)))
                    data = data[: match.start()] + new + data[match.end() :]
            case 4:
                data = b"\n".join([*lines[:i], lines[i], *lines[i:]])
            case 5:
                data = b"\n".join([*lines[:i], *lines[i + 1 :]])
            case 6:
                data = b"\n".join(
                    [*lines[:i], generator.choice((b" ", b"  ", b"\t", b"- ")) + lines[i], *lines[i + 1 :]]
                )
            case _:
                lines[i], lines[j] = lines[j], lines[i]
                data = b"\n".join(lines)
    return data
