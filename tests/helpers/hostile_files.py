"""What strangers send: texts, numbers, JSON, Parquet files and things in folders that are made to do harm.

Conventions: a text that gets to run sets `window.__pwned`, or asks a host below `evil.invalid`, which no name
server knows. Each stands under a name that says what it is. What is harmless and only looks odd (a name in
Greek, an emoji) is in `ODD`: it is not refused, and shown as it is.
"""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

RUN = "window.__pwned=1"

MARKUP: Mapping[str, str] = {
    "script": f"<script>{RUN}</script>",
    "script that closes all before it": f"</a></td></table></title></style></script><script>{RUN}</script>",
    "script after a comment": f"--><script>{RUN}</script><!--",
    "script after CDATA": f"]]><script>{RUN}</script>",
    "script in SVG": f"<svg><script>{RUN}</script></svg>",
    "script in a script": f"<!--<script></script><script>{RUN}</script>",
    "script with a slash": f"<script/x>{RUN}</script>",
    "script in capitals": f"<ScRiPt>{RUN}</sCrIpT>",
    "script with a NUL": f"<scr\0ipt>{RUN}</scr\0ipt>",
    "image that fails": f"<img src=x onerror={RUN}>",
    "image unclosed": f"<img src=x onerror={RUN}//",
    "svg that loads": f"</title></svg><svg/onload={RUN}>",
    "animation that begins": f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    "animated link": f"<svg><a><set attributeName=href to=javascript:{RUN}></set><text>x</text></a></svg>",
    "foreign object": f"<svg><foreignObject><iframe srcdoc='<script>parent.{RUN[7:]}</script>'>",
    "details that open": f"<details open ontoggle={RUN}>",
    "body that loads": f"<body onload={RUN}>",
    "input in focus": f"<input autofocus onfocus={RUN}>",
    "style that animates": f"<style>@keyframes x{{}}</style><b style=animation:x onanimationend={RUN}>",
    "frame": f'<iframe src="javascript:parent.{RUN[7:]}"></iframe>',
    "object": "<object data=https://evil.invalid/o></object><embed src=https://evil.invalid/e>",
    "refresh": '<meta http-equiv=refresh content="0;url=https://evil.invalid/">',
    "base": "<base href=https://evil.invalid/>",
    "style sheet": "<link rel=stylesheet href=https://evil.invalid/x.css>",
    "style": "</style><style>*{background:url(https://evil.invalid/s)!important}</style>",
    "form": "<form action=https://evil.invalid/><button>Sign in</button></form>",
    "sound": f"<audio src=https://evil.invalid/a onerror={RUN}>",
    "math": f"<math><mtext><table><mglyph><style><!--</style><img title='--><img src=x onerror={RUN}>'>",
    "template": f"<template><script>{RUN}</script></template><slot onslotchange={RUN}>",
    "frame breaker": "</main></body></html><h1>Closed</h1>",
    "fullwidth": "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
}
"""Opens a tag, or looks as if it did."""

ATTRIBUTES: Mapping[str, str] = {
    "double quote": f'" onmouseover="{RUN}" x="',
    "single quote": f"' onmouseover='{RUN}' x='",
    "backquote": f"` onmouseover={RUN} x=`",
    "no quote": f"x onmouseover={RUN}",
    "all quotes": f"'\"`> onload={RUN} autofocus tabindex=0 onfocus={RUN}",
    "focus": f'" autofocus tabindex=0 onfocus={RUN} x="',
    "style": 'x" style="position:fixed;inset:0;background:url(https://evil.invalid/b)',
    "css": "x;background:url(https://evil.invalid/c)}*{display:none}",
    "import": "@import 'https://evil.invalid/i.css';",
    "selector": 'x"]),body{}',
    "entity": "&quot; onmouseover=&quot;window.__pwned=1",
    "escaped tag": "&lt;script&gt;window.__pwned=1&lt;/script&gt;",
    "number entity": "&#60;img src=x onerror=window.__pwned=1&#62;",
    "half an entity": "&lt &amp &#x3c &",
    "json": '"}]}];window.__pwned=1;//',
    "json script": "</script><script>window.__pwned=1</script>",
    "backslash": '\\"};window.__pwned=1//\\u003cscript\\u003e\\x3cscript>',
    "percent": "%3Cscript%3Ewindow.__pwned=1%3C/script%3E",
    "utf-7": "+ADw-script+AD4-window.__pwned=1+ADw-/script+AD4-",
}
"""Leaves an attribute, a style or a piece of JSON."""

ADDRESSES: Mapping[str, str] = {
    "javascript": f"javascript:{RUN}",
    "javascript in capitals": f" JaVaScRiPt:{RUN}",
    "javascript with a tab": f"java\tscript:{RUN}",
    "javascript as entities": "&#106;avascript:window.__pwned=1",
    "data": "data:text/html,<script>parent.__pwned=1</script>",
    "data of an image": "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "vbscript": "vbscript:msgbox(1)",
    "another host": "//evil.invalid/x",
    "https": "https://evil.invalid/?",
    "at": "https://huggingface.co@evil.invalid/",
    "file": "file:///etc/passwd",
    "blob": "blob:https://evil.invalid/x",
}
"""Stands where a link is made."""

TEMPLATES: Mapping[str, str] = {
    "jinja": "{{7*7}}{% for i in range(9) %}x{% endfor %}{# gone #}",
    "jinja globals": "{{ self.__init__.__globals__.__builtins__.__import__('os').popen('id').read() }}",
    "shell": "$(touch pwned) `touch pwned` ; touch pwned | & > pwned",
    "options": "--out=/etc -rf --help",
    "other templates": "${7*7} #{7*7} <%= 7*7 %> @(7*7)",
    "format": "{0.__class__} %s %n %(x)s {x!r:>9999999}",
    "mathematics": "$\\frac{1}{$ $x_$ \\input{/etc/passwd} $$",
    "formula": "=cmd|' /C calc'!A0",
    "formula of a link": '=HYPERLINK("https://evil.invalid","x")',
    "formula with a plus": "+1+1",
    "formula with an at": "@SUM(1)",
    "markdown": "[x](javascript:alert(1)) ![x](https://evil.invalid/i) | a | b |\n# no",
    "csv": 'a,b;c"d""e\n1,2',
}
"""Asks another program to compute."""

TERMINALS: Mapping[str, str] = {
    "colour": "\x1b[31mred\x1b[0m",
    "screen": "\x1b[2J\x1b[H",
    "title": "\x1b]0;mine\x07",
    "link": "\x1b]8;;https://evil.invalid\x1b\\x\x1b]8;;\x1b\\",
    "eight bits": "\x9b31m",
    "workflow": "x\n::set-output name=a::b\n::error::c",
    "carriage return": "100 %\rvalid",
    "backspace": "invalid\b\b\b\b\b\b\bvalid",
    "bell": "\a",
    "rich": "[red]x[/red] [link=https://evil.invalid]y[/link] [/]",
}
"""Speaks to a terminal or a log."""

PATHS: Mapping[str, str] = {
    "up": "../../../../etc/passwd",
    "up in Windows": "..\\..\\..\\windows\\system32",
    "absolute": "/etc/passwd",
    "drive": "C:\\Windows\\win.ini",
    "share": "\\\\evil.invalid\\share",
    "percent": "%2e%2e%2f%2e%2e%2fetc/passwd",
    "percent twice": "%252e%252e/x",
    "NUL": "a\0b.html",
    "dot": ".",
    "two dots": "..",
    "three dots": "toys/...",
    "hidden": ".git/config",
    "home": "~root/.ssh",
    "device of Windows": "CON",
    "device with an ending": "aux.html",
    "trailing dot": "toys/a.",
    "trailing space": "toys/a ",
    "very long": "toys/" + "a" * 5000,
    "very deep": "a/" * 500,
    "empty": "",
    "space": " ",
    "query": "toys/a?b=1#c",
    "two slashes": "toys//a",
    "stream of Windows": "a.html::$DATA",
}
"""Becomes part of a path."""

UNSEEN: Mapping[str, str] = {
    "right to left override": "toys/\u202egnp.exe",
    "left to right override": "\u202dabc",
    "unclosed embedding": "\u202b\u202b\u202babc",
    "isolates": "\u2067abc\u2069\u2066def",
    "marks": "a\u200eb\u200fc\u061c",
    "zero width": "ac\u200bme\u200c/\u200decho\u2060",
    "byte order mark": "\ufeffacme/echo",
    "soft hyphen": "ac\u00adme/echo",
    "tags": "acme\U000e0041\U000e007f",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "next line": "a\u0085b",
    "vertical tab and form feed": "a\x0bb\x0cc",
    "noncharacters": "a\ufffe\uffff\ufdd0\U0001fffe",
    "private use": "a\ue000\U00100000",
    "unassigned": "a\u0378",
    "interlinear": "\ufff9a\ufffab\ufffb",
    "blanks that are letters": "\u3164\u115f\u1160\uffa0\u2800",
    "joiners that show nothing": "a\u034f\u17b4\u17b5b",
    "combining flood": "Z" + "\u0300\u0316\u0489\u0334" * 40,
    "enclosing flood": "a" + "\u20dd" * 30,
}
"""Shows other than it reads, or spoils what stands beside it."""

SURROGATES: Mapping[str, str] = {
    "lone surrogate": "a\ud800b",
    "surrogates in the wrong order": "\udc00\ud800",
}
"""No text at all; no UTF-8 file can hold it."""

ODD: Mapping[str, str] = {
    "homoglyphs": "\u0430cm\u0435/\u0435ch\u043e",
    "mathematical letters": "\U0001d4ea\U0001d4ec\U0001d4f6\U0001d4ee",
    "emoji": "\U0001f600\U0001f3f3\ufe0f\U0001f44d\U0001f3fd",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "wide": "\ufdfd\U0001242b\U00012219",
    "accents": "Zo\u0065\u0308 \u1ec7\u0323\u0302",
    "ligatures": "\ufb03\u0149\ufdfa",
    "case": "\u0130I\u0131\u00df\u1e9e",
}
"""Plain text that looks odd; nobody is refused for it."""

TEXTS: Mapping[str, str] = {
    f"{kind}: {name}": text
    for kind, group in (
        ("markup", MARKUP),
        ("attribute", ATTRIBUTES),
        ("address", ADDRESSES),
        ("template", TEMPLATES),
        ("terminal", TERMINALS),
        ("path", PATHS),
        ("unseen", UNSEEN),
        ("odd", ODD),
    )
    for name, text in group.items()
}
"""All of them that a file can hold."""

GIANT = "goodenough " * (2**20 // 11)
"""A megabyte."""

NUMBERS: Mapping[str, str] = {
    "not a number": "NaN",
    "infinity": "Infinity",
    "minus infinity": "-Infinity",
    "beyond a float": "1e999",
    "beyond an integer of 64 bits": str(2**80),
    "three hundred digits": "9" * 300,
    "thousands of digits": "9" * 5000,
    "the largest float": "1.7976931348623157e308",
    "its negative": "-1.7976931348623157e308",
    "the smallest float": "5e-324",
    "minus zero": "-0.0",
    "minus one": "-1",
    "an exponent without end": "1e" + "9" * 400,
    "hexadecimal": "0x10",
    "a leading zero": "007",
    "a plus": "+1",
    "text": '"1"',
}
"""As they stand in JSON, valid or not."""

DEEP: Mapping[str, bytes] = {
    "lists": b"[" * 200_000 + b"]" * 200_000,
    "objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "unclosed": b'[{"a":' * 100_000,
}
"""JSON to exhaust a parser."""

_WORDS = frozenset({"family", "headline_family", "headline", "dtype"})
"""Fields whose words decide how a record is read, not what it shows."""


def everywhere(record: T, text: str, keep: frozenset[str] = frozenset()) -> T:
    """A record with a text in the place of every text below it, keys of dictionaries included.

    Args:
        record: a dataclass, or a value of one.
        text: to be put there.
        keep: names of fields that stay, all that is below them included.
    """
    return _spoiled(record, text, keep | _WORDS)  # type: ignore[no-any-return]


def _spoiled(value: Any, text: str, keep: frozenset[str]) -> Any:
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(_spoiled(inner, text, keep) for inner in value)
    if isinstance(value, dict):
        return dict.fromkeys((text,), _spoiled(next(iter(value.values())), text, keep)) if value else {}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.name not in keep]
        changed = {name: _spoiled(getattr(value, name), text, keep) for name in names}
        return dataclasses.replace(value, **changed)
    return value


def in_every_place(content: Any, text: str) -> Iterator[tuple[str, Any]]:
    """JSON content with a text in one place after the other: the path of the place, and the content."""
    yield from _placed(content, text, "")


def _placed(content: Any, text: str, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, str):
        yield path, text
    elif isinstance(content, dict):
        for key, value in content.items():
            for where, changed in _placed(value, text, f"{path}.{key}".lstrip(".")):
                yield where, {**content, key: changed}
    elif isinstance(content, list):
        for i, value in enumerate(content):
            for where, changed in _placed(value, text, f"{path}.{i}"):
                yield where, [*content[:i], changed, *content[i + 1 :]]


def things(path: Path) -> Iterator[str]:
    """Put one thing after the other at a path, none of them a file; each is gone when the next comes."""
    for name, make in (
        ("a link to a file without end", lambda: path.symlink_to("/dev/zero")),
        ("a link to a folder", lambda: path.symlink_to("/")),
        ("a link to itself", lambda: path.symlink_to(path)),
        ("a link to nowhere", lambda: path.symlink_to("nowhere")),
        ("a pipe", lambda: os.mkfifo(path)),
        ("a socket", lambda: _bound(path)),
        ("a folder", lambda: path.mkdir()),
    ):
        make()
        yield name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _bound(path: Path) -> None:
    """A socket; its address may be no longer than some hundred bytes."""
    before = os.getcwd()
    os.chdir(path.parent)
    try:
        with closing(socket.socket(socket.AF_UNIX)) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)
