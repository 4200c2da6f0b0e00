"""Licences of corpora, and what they allow: a sufficient signal is a derivative of its clip.

Conventions: names are those of the Hub's `license` field. A licence that is not in the table is unknown, and
what is unknown is not passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_FREE = (
    *("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "pddl", "odc-by", "odbl", "unlicense"),
    *("cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0"),
)
_CC = ("cc-by", "cc-by-sa", "cc-by-nc", "cc-by-nc-sa")
_CC_AS_IT_IS = ("cc-by-nd", "cc-by-nc-nd")
_VERSIONS = ("2.0", "2.5", "3.0", "4.0")

LICENCES: Mapping[str, bool] = {
    **dict.fromkeys(_FREE, True),
    **{f"{name}-{version}": True for name in _CC for version in _VERSIONS},
    **{f"{name}-{version}": False for name in _CC_AS_IT_IS for version in _VERSIONS},
}
"""Licence -> whether parts of a recording may be passed on under it."""

ATTRIBUTIONS: Mapping[str, str] = {
    "asterisk-core-sounds": (
        "Voices: Allison Smith (English and Spanish; theivrvoice.com) and June Wallack (French;"
        " junewallack.com), CC BY-SA 3.0; Carlo Flora (Italian; carloflora.com), CC BY 3.0. From the core"
        " sounds of Asterisk (downloads.asterisk.org); cut, limited in band and level, coded again, and as"
        " spoof copied by a machine."
    )
}
"""Corpus -> whom to name, and what was changed, wherever its sounds are passed on."""


def attributions(corpora: Iterable[str]) -> list[str]:
    """Whom to name for the sounds of corpora, by their names, each text once."""
    return [ATTRIBUTIONS[name] for name in sorted(set(corpora)) if name in ATTRIBUTIONS]


def names_in(text: str | None) -> tuple[str, ...]:
    """The licences a corpus states: those of the table in the Hub's spelling, others as they are written.

    A folder states one per line of its metadata; a comma parts only names of the table, since prose has some.
    """
    licences: list[str] = []
    for part in filter(None, map(str.strip, (text or "").split(";"))):
        parts = [_normalise(name) for name in part.split(",") if name.strip()]
        licences += parts if all(name in LICENCES for name in parts) else [part]
    return tuple(dict.fromkeys(licences))


_SPDX_NAMES: Mapping[str, str] = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "pddl": "PDDL-1.0",
    "odc-by": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "unlicense": "Unlicense",
    "cdla-permissive-1.0": "CDLA-Permissive-1.0",
    "cdla-permissive-2.0": "CDLA-Permissive-2.0",
    "cdla-sharing-1.0": "CDLA-Sharing-1.0",
}
"""Licence -> its name in the list of SPDX; that of Creative Commons is ours in capitals."""


def address(name: str) -> str:
    """The page of a licence of the table in the list of SPDX; any other as it is written."""
    if name not in LICENCES:
        return name
    return f"https://spdx.org/licenses/{_SPDX_NAMES.get(name, name.upper())}.html"


def head(names: Iterable[str]) -> dict[str, str | list[str]]:
    """The licences in the head of a card; one that is not in the table is `other`, with an id."""
    known = sorted({name for name in names if name in LICENCES})
    others = sorted({name for name in names if name not in LICENCES})
    values = [*known, *(["other"] if others or not known else [])]
    fields: dict[str, str | list[str]] = {"license": values[0] if len(values) == 1 else values}
    if len(others) == 1 and others != ["other"]:
        slug = re.sub(r"[^a-z0-9.]+", "-", others[0].lower())[:60].strip("-.")
        fields["license_name"] = slug or "as-stated"
        if link := re.search(r"https?://[^\s<>()\"']+", others[0]):
            fields["license_link"] = link[0].rstrip(".,")
    return fields


def _normalise(name: str) -> str:
    return re.sub(r"[\s_]+", "-", name.strip().lower())


def problem(corpus: str, text: str | None) -> str | None:
    """Why the audio of a corpus may not be published; None where it may."""
    alternative = "publish masks alone with --masks-only"
    if not names_in(text):
        return f"{corpus}: its licence is not stated; state it with --licence, or {alternative}"
    for licence in names_in(text):
        if licence not in LICENCES:
            return f"{corpus}: {licence!r} is no licence known here, as cc-by-4.0 is; {alternative}"
        if not LICENCES[licence]:
            return f"{corpus}: {licence} allows no derivatives, and a signal is one; {alternative}"
    return None
