r"""Output where the terminal, the pipe or the locale is not UTF-8: nothing is lost, and nothing stops.

What an encoding has is written as it is. Lines of tables, arrows, dashes and quotes become ASCII; any other
character becomes its code point, `\u0444`. JSON and YAML, which somebody may keep in a file and give back,
are ASCII with escapes there.
"""

from __future__ import annotations

import codecs
import re
import sys
import unicodedata

_ERRORS = "goodenough"
_ASCII = "goodenough_ascii"

_PLAIN = {
    "→": "->",
    "←": "<-",
    "↔": "<->",
    "⇒": "=>",
    "↑": "^",
    "↓": "v",
    "…": "...",
    "−": "-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "±": "+/-",
    "°": "deg",
    "µ": "u",
    **dict.fromkeys("×✗", "x"),
    **dict.fromkeys("·•", "*"),
    **dict.fromkeys("✓✔", "ok"),
    **dict.fromkeys("‘’‚", "'"),
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("─━┄┅┈┉═╌╍╴╶╸╺", "-"),
    **dict.fromkeys("│┃┆┇┊┋║╎╏╵╷╹╻", "|"),
}


def speak_plainly() -> None:
    """Have stdout and stderr write what their encoding lacks in another way, instead of failing.

    Streams that have no encoding to set, as those of a test, stay as they are.
    """
    codecs.register_error(_ERRORS, _replacement)
    for stream in (sys.stdout, sys.stderr):
        if not hasattr(stream, "reconfigure"):
            continue
        # click takes ASCII for a mistake and writes UTF-8 instead, unless it has another name.
        is_ascii = codecs.lookup(stream.encoding).name == "ascii"
        stream.reconfigure(encoding=_ASCII if is_ascii else None, errors=_ERRORS)


def is_utf8() -> bool:
    """Whether stdout is UTF-8, as everything is that reads files of ours."""
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "utf-8").name == "utf-8"


def json_text(text: str) -> str:
    """JSON as it can be written to stdout, and read again as UTF-8: elsewhere in ASCII with escapes."""
    return text if is_utf8() else re.sub(r"[^\x00-\x7f]", lambda match: _escape(match[0]), text)


def _replacement(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(c: str) -> str:
    if c in _PLAIN:
        return _PLAIN[c]
    if "\u2500" <= c <= "\u259f":
        return "+" if c < "\u2580" else "#"
    category = unicodedata.category(c)
    if category == "Zs":
        return " "
    return "-" if category == "Pd" else _escape(c)


def _escape(c: str) -> str:
    """A character in the escapes of JSON: beyond the first plane in two halves."""
    data = c.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{data[i : i + 2].hex()}" for i in range(0, len(data), 2))


def _find_codec(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    codec = codecs.lookup("ascii")
    return codecs.CodecInfo(*codec, codec.incrementalencoder, codec.incrementaldecoder, name=_ASCII)


codecs.register(_find_codec)
