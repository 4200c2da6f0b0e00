"""What commands print on stderr is of one line each, whatever folders are called."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from harness.cli.common import info
from harness.entries.untrusted_text import one_line, printable


@pytest.mark.parametrize("name", ["x\n::set-output name=a::b", "x\x1b[2J", "x\u202e", "\udcff"])
def test_a_message_is_one_printable_line(capsys: pytest.CaptureFixture[str], name: str) -> None:
    info(f"left out: in/{name}: missing")
    said = capsys.readouterr().err
    assert said.endswith(": missing\n")
    assert said.count("\n") == 1
    assert said[:-1].isprintable()


def test_no_character_that_a_terminal_acts_on_is_printed() -> None:
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    acted_on = "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in kinds)
    assert len(acted_on) > 2000
    assert printable(acted_on) == " " * len(acted_on)


def test_spaces_stay_in_a_message_and_not_in_one_line() -> None:
    assert printable("  a  b") == "  a  b"
    assert printable("grün\n –") == "grün  –"
    assert one_line("  a  b\n") == "a b"
