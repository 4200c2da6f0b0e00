"""The style of the site for a page that is not ours: its rules inside one class, its colours by name.

The app's page belongs to Gradio, which says by the class `dark` what the site is told by the system or by its
reader.

Public: CLASS, palette, rules.
"""

from __future__ import annotations

import re
from pathlib import Path

CLASS = "ge"
"""Of every element that holds something of ours."""

_STYLE = Path(__file__).parents[1] / "templates" / "style.css"
_OWN = Path(__file__).parents[1] / "templates" / "app.css"
_COLOUR = re.compile(r"--([a-z]+): light-dark\((#[0-9a-f]{3,8}), (#[0-9a-f]{3,8})\);")
_CHOSEN = re.compile(r"^(?::root\[data-scheme|@media \(prefers-color-scheme).*\n", re.MULTILINE)
"""Rules for who chose a scheme on the site; here Gradio's class says it."""


def palette(*, dark: bool) -> dict[str, str]:
    """The colours of the site by name, as `--name` in its style."""
    found = _COLOUR.findall(_STYLE.read_text(encoding="utf-8"))
    return {name: on_dark if dark else on_light for name, on_light, on_dark in found}


def rules() -> str:
    """The site's rules, for what lies inside CLASS alone, and those of the app."""
    text = _CHOSEN.sub("", _STYLE.read_text(encoding="utf-8"))
    text = text.replace("color-scheme: light dark;", "color-scheme: light;", 1)
    text = re.sub(r"^(:root|html|body) \{", "& {", text, flags=re.MULTILINE)
    # Gradio knows one accent for light and dark.
    accent = f".dark, .dark * {{ --color-accent: {palette(dark=True)['accent']} !important; }}"
    dark = ".dark & { color-scheme: dark; }"
    return f".{CLASS} {{\n{text}\n{dark}\n}}\n{accent}\n{_OWN.read_text(encoding='utf-8')}"
