"""The style of the site for the app's page: its rules inside one class, its colours by name.

The app's page is Gradio's, which marks a dark scheme by the class `dark`; the site follows the system or the
reader's choice.
"""

from __future__ import annotations

import re
from pathlib import Path

CLASS = "ge"
"""Class of every element with markup of the site."""

_STYLE = Path(__file__).parents[1] / "templates" / "style.css"
_APP_STYLE = Path(__file__).parents[1] / "templates" / "app.css"
_COLOUR = re.compile(r"--([a-z]+): light-dark\((#[0-9a-f]{3,8}), (#[0-9a-f]{3,8})\);")
_SCHEME_RULES = re.compile(r"^(?::root\[data-scheme|@media \(prefers-color-scheme).*\n", re.MULTILINE)
"""Rules for a scheme chosen on the site; in the app Gradio's class decides."""


def palette(*, dark: bool) -> dict[str, str]:
    """The colours of the site by name, as `--name` in its style."""
    colours = _COLOUR.findall(_STYLE.read_text(encoding="utf-8"))
    return {name: on_dark if dark else on_light for name, on_light, on_dark in colours}


def rules() -> str:
    """The site's rules, limited to elements inside CLASS, and those of the app."""
    text = _SCHEME_RULES.sub("", _STYLE.read_text(encoding="utf-8"))
    text = text.replace("color-scheme: light dark;", "color-scheme: light;", 1)
    text = re.sub(r"^(:root|html|body) \{", "& {", text, flags=re.MULTILINE)
    # Gradio has only one accent for light and dark.
    accent = f".dark, .dark * {{ --color-accent: {palette(dark=True)['accent']} !important; }}"
    dark = ".dark & { color-scheme: dark; }"
    return f".{CLASS} {{\n{text}\n{dark}\n}}\n{accent}\n{_APP_STYLE.read_text(encoding='utf-8')}"
