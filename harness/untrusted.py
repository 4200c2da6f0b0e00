"""Reads JSON and YAML from untrusted sources: what is accepted is plain, bounded and unambiguous.

Plain values come out: objects with text as keys, lists, texts, numbers, true, false and None. Refused are
a name that occurs twice (readers do not agree which of the two counts), NaN and infinity, numbers beyond
MAX_NUMBER, NUL and halves of characters in texts, whatever is not UTF-8, tags that make objects, and content
nested deeper than MAX_DEPTH. A date in YAML is read as text, tabs are refused outside of
quotes, block texts and comments, and aliases are read as long as their expansion stays below MAX_VALUES.

A record of known fields is read by `schemas.from_json`; everything else comes through here.
"""

from __future__ import annotations

import json
import re
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.disk_errors import pointer

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 2**24
"""Size of a file that is read."""
MAX_YAML_BYTES = 2**20
"""Size of YAML, whose parsers are slow."""
MAX_DEPTH = 64
"""Lists and objects in one another."""
MAX_NUMBER = 10**38
"""Size of a number; float32 ends at 3e38."""
MAX_VALUES = 200_000
"""Values in YAML, aliases expanded."""

_TAG = "tag:yaml.org,2002:"


class Unreadable(ValueError):
    """What is wrong with a file, for the end of a line that begins with its name."""


def content(path: Path, longest: int = MAX_BYTES) -> bytes:
    """The bytes of a file, or of one that a link leads to; `longest` is the most that it may have.

    Raises:
        Unreadable: no file, a pipe or a device, a pointer of git-lfs, too large, or it cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("it is no file")
        if line := pointer(path):
            raise Unreadable(line)
        if status.st_size > longest:
            raise Unreadable(f"it has {status.st_size:,} bytes; expected at most {longest:,}")
        with open(path, "rb") as file:
            data = file.read(longest + 1)
    except OSError as error:
        raise Unreadable(f"it cannot be read ({error.strerror})") from None
    if len(data) > longest:
        raise Unreadable(f"it has more than {longest:,} bytes")
    return data


def utf8(data: bytes) -> str:
    """Decode UTF-8.

    Raises:
        Unreadable: they are in another encoding.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        is_wide = data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:4]
        reason = "it is UTF-16 or UTF-32" if is_wide else "it is not UTF-8"
        raise Unreadable(f"{reason}; save it as UTF-8") from None


def json_of(data: bytes | str) -> Any:
    """Parse JSON: UTF-8 without a byte order mark, or text.

    Raises:
        Unreadable: it is not JSON, or one of the things in the head of this module.
    """
    value, text = _load(data)
    _require_plain(value, texts="\\u" in text)
    return value


def require_once(data: bytes | str) -> None:
    """Refuse what the strict reading of a record lets pass: duplicate names, numbers beyond MAX_NUMBER.

    Raises:
        Unreadable: there is one.
    """
    _load(data)


def _load(data: bytes | str) -> tuple[Any, str]:
    text = data if isinstance(data, str) else utf8(data)
    if text.startswith("\ufeff"):
        raise Unreadable("it begins with a byte order mark; save it as UTF-8 without one")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_fields,
            parse_constant=_reject_constant,
            parse_int=_parse_int,
            parse_float=lambda digits: _require_number(float(digits)),
        )
    except Unreadable:
        raise
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _too_deep() from None
    return value, text


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        name = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise Unreadable(f"{name!r:.60} stands there twice; expected once")
    return names


def _parse_int(digits: str) -> int:
    if len(digits) > 40:
        raise _too_large()
    return int(_require_number(int(digits)))


def _reject_constant(word: str) -> Any:
    raise Unreadable(f"it holds {word}, which is no number of JSON")


def _too_deep() -> Unreadable:
    return Unreadable(f"it is nested more than {MAX_DEPTH} deep")


def _require_plain(value: Any, *, texts: bool) -> None:
    """Check the depth of a value, level by level, and its texts where they may hold odd characters."""
    level, depth = [value], 0
    while level:
        depth += 1
        next_level: list[Any] = []
        for item in level:
            if depth > MAX_DEPTH and isinstance(item, dict | list):
                raise _too_deep()
            if isinstance(item, dict):
                next_level.extend(item.values())
                if texts:
                    for name in item:
                        _require_text(name)
            elif isinstance(item, list):
                next_level.extend(item)
            elif texts and isinstance(item, str):
                _require_text(item)
        level = next_level


def _require_number(value: float) -> float:
    if not -MAX_NUMBER <= value <= MAX_NUMBER:  # nor NaN
        raise _too_large()
    return value


def _too_large() -> Unreadable:
    return Unreadable(f"it holds a number beyond {MAX_NUMBER:.0e}")


def _require_text(value: str) -> None:
    if "\0" in value:
        raise Unreadable(f"{value!r:.60} holds a NUL")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unreadable(f"{value!r:.60} holds half a character (a lone surrogate)") from None


# ---- YAML ----------------------------------------------------------------------------------------


def yaml_of(data: bytes | str, *, any_keys: bool = False) -> Any:
    """Parse YAML, with the types of version 1.1, as PyYAML has them, but no dates.

    `any_keys`: keys that are no text count as the text in the file.

    Raises:
        Unreadable: it is not YAML, or one of the things in the head of this module, or of more than one
            document; the message names the line.
    """
    import yaml

    text = data if isinstance(data, str) else utf8(data)
    if len(text) > MAX_YAML_BYTES:
        raise Unreadable(f"it has {len(text):,} characters; expected at most {MAX_YAML_BYTES:,}")
    if "\ufeff" in text[1:]:
        line = text.count("\n", 0, text.index("\ufeff", 1)) + 1
        raise Unreadable(f"line {line}: a byte order mark; expected one at the beginning, or none")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        reader = _Yaml(loader(text), any_keys)
        value = reader.document()
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        prefix = f"line {mark.line + 1}: " if mark else ""
        raise Unreadable(f"{prefix}{' '.join(str(problem or error).split())}") from None
    _require_no_tab(text, reader.texts)
    return value


def _require_no_tab(text: str, spans: Sequence[tuple[str, int, int]]) -> None:
    """Refuse a tab outside of texts in quotes, block texts and comments: readers differ over it."""
    if "\t" not in text:
        return
    segments, at = [], 0
    for style, first, end in spans:
        start = text.find("\n", first) if style in "|>" else first
        segments += [text[at:start], re.sub(r"[^\n]", "x", text[start:end])]
        at = end
    for i, line in enumerate("".join([*segments, text[at:]]).split("\n"), 1):
        if "\t" in re.sub(r"(^| )#.*", "", line):
            raise Unreadable(f"line {i}: a tab outside of quotes; expected spaces")


class _Yaml:
    """Values from the events of a parser, one after the other: nothing is built that is not counted."""

    def __init__(self, events: Any, any_keys: bool) -> None:
        from yaml.constructor import SafeConstructor
        from yaml.resolver import Resolver

        self._events, self._any_keys = events, any_keys
        self._resolver: Any = Resolver()
        self._constructor = SafeConstructor()
        self._anchors: dict[str, tuple[Any, int, int]] = {}
        """Value, number of values in it, and depth of it, by anchor."""
        self._n = 0
        self._n_flow = 0
        """Lists and objects in brackets that are open."""
        self.texts: list[tuple[str, int, int]] = []
        """Style, begin and end of each text in quotes and block text, in order."""

    def document(self) -> Any:
        import yaml

        self._events.get_event()  # the stream starts
        if self._events.check_event(yaml.StreamEndEvent):
            return None
        self._events.get_event()  # the document starts
        value, _ = self._value(0)
        self._events.get_event()
        if not self._events.check_event(yaml.StreamEndEvent):
            raise self._at(self._events.peek_event(), "a second document begins; expected one")
        return value

    def _at(self, event: Any, line: str) -> Unreadable:
        return Unreadable(f"line {event.start_mark.line + 1}: {line}")

    def _value(self, depth: int) -> tuple[Any, int]:
        import yaml

        event, n_before = self._events.get_event(), self._n
        self._n += 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._at(event, f"*{event.anchor:.60} stands for nothing before it")
            value, n, height = self._anchors[event.anchor]
            self._n += n
        elif isinstance(event, yaml.ScalarEvent):
            value, height = self._scalar(event), 0
        else:
            is_list = isinstance(event, yaml.SequenceStartEvent)
            self._require_tag(event, "seq" if is_list else "map")
            self._n_flow += bool(event.flow_style)
            value, height = self._list(depth) if is_list else self._mapping(depth)
            self._n_flow -= bool(event.flow_style)
        if self._n > MAX_VALUES:
            raise self._at(event, f"more than {MAX_VALUES:,} values, aliases resolved")
        if depth + height > MAX_DEPTH:
            raise self._at(event, str(_too_deep()))
        if not isinstance(event, yaml.AliasEvent) and event.anchor is not None:
            if event.anchor in self._anchors:
                raise self._at(event, f"&{event.anchor:.60} stands there twice; expected once")
            self._anchors[event.anchor] = value, self._n - n_before, height
        return value, height

    def _list(self, depth: int) -> tuple[list[Any], int]:
        import yaml

        values, deepest = [], 0
        self._require_depth(depth)
        while not self._events.check_event(yaml.SequenceEndEvent):
            value, height = self._value(depth + 1)
            values.append(value)
            deepest = max(deepest, height)
        self._events.get_event()
        return values, deepest + 1

    def _mapping(self, depth: int) -> tuple[dict[str, Any], int]:
        import yaml

        fields: dict[str, Any] = {}
        deepest = 0
        self._require_depth(depth)
        while not self._events.check_event(yaml.MappingEndEvent):
            event = self._events.peek_event()
            key, _ = self._value(depth + 1)
            if isinstance(event, yaml.ScalarEvent) and self._any_keys:
                key = event.value
            if not isinstance(key, str):
                raise self._at(event, f"{key!r:.60} must be text (quote yes, no and numbers)")
            if key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                raise self._at(event, "<< is not read here; write the fields out")
            if key in fields:
                raise self._at(event, f"{key!r:.60} stands there twice; expected once")
            fields[key], height = self._value(depth + 1)
            deepest = max(deepest, height)
        self._events.get_event()
        return fields, deepest + 1

    def _require_depth(self, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise self._at(self._events.peek_event(), str(_too_deep()))

    def _require_tag(self, event: Any, kind: str) -> None:
        if event.tag not in (None, _TAG + kind):
            raise self._at(event, f"the tag {_tag_text(event.tag)} is not read here; leave it out")

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        import yaml

        start, end = event.start_mark, event.end_mark
        if event.style in ("'", '"', "|", ">") and start and end:
            self.texts.append((event.style, start.index, end.index))
        elif self._n_flow and "?" in event.value:
            raise self._at(event, "a question mark within brackets and outside of quotes; quote the text")
        tag = event.tag
        if tag is None:
            tag = self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        elif tag not in {_TAG + kind for kind in ("str", "null", "bool", "int", "float")}:
            raise self._at(event, f"the tag {_tag_text(tag)} is not read here; leave it out")
        kind = tag.removeprefix(_TAG)
        try:
            if kind == "null":
                return None
            if kind in ("bool", "int", "float"):
                value = getattr(self._constructor, f"construct_yaml_{kind}")(
                    yaml.ScalarNode(tag, event.value)
                )
                if not isinstance(value, bool):
                    _require_number(value)
                return value
            _require_text(event.value)
        except Unreadable as error:
            raise self._at(event, str(error)) from None
        except (ValueError, LookupError, OverflowError):
            raise self._at(event, f"{event.value!r:.60} is no {kind} that is read here") from None
        return event.value


def _tag_text(tag: str) -> str:
    return ascii(f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag)[1:-1][:60]
