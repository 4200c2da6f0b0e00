"""The exceptions: those that a user can fix, and those that are our faults.

An error says what was found, what was expected, the likely slip, and the command that fixes it, in one line:
of BadInput with exit code 2, of NotValid with 1. Anything else that escapes is a fault of ours and keeps its
traceback.
"""

from collections.abc import Iterable


def likely(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'emotion'?` where a word is close to a known one; empty otherwise."""
    import difflib

    by_casefold = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.strip().casefold(), by_casefold, n=1)
    return f"; did you mean {by_casefold[near[0]]!r}?" if near else ""


class GoodenoughError(Exception):
    """Everything raised on purpose; as text it is one line of printable characters, and of bounded length."""

    exit_code = 2

    def __str__(self) -> str:
        return _plain(super().__str__())


_HEAD, _TAIL = 1400, 500
"""Characters that stay of a long message; what to do about it is at its end."""


def _plain(message: str) -> str:
    if len(message) > _HEAD + _TAIL:
        message = f"{message[:_HEAD]} ... {message[-_TAIL:]}"
    if message.isprintable():
        return message
    escapes = (" " if c.isspace() else c.encode("unicode_escape").decode() for c in message)
    return "".join(c if c.isprintable() else e for c, e in zip(message, escapes, strict=True))


class BadInput(GoodenoughError):
    """The user can fix it; the message is one line."""


class BadCluster(BadInput):
    """A Ray cluster, or a request to it."""


class BadCorpus(BadInput):
    """A folder of clips, its metadata or its audio."""


class BadModel(BadInput):
    """A checkpoint that cannot be loaded or trusted."""


class BadLabels(BadInput):
    """Class names that cannot be mapped to the task."""


class BadSignals(BadInput):
    """A signals folder or dataset."""


class BadTask(BadInput):
    """A task name or task file."""


class NotValid(GoodenoughError):
    """The work was done and its result does not hold."""

    exit_code = 1
