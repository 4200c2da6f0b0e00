"""The style of the site for a page that is not ours: its rules inside one class, its colours by name.

The app's page belongs to Gradio, which says by the class `dark` what the site is told by a media query.

Public: CLASS, palette, rules.
"""

from __future__ import annotations

import re
from pathlib import Path

CLASS = "ge"
"""Of every element that holds something of ours."""

_STYLE = Path(__file__).parent / "templates" / "style.css"
_OWN = Path(__file__).parent / "templates" / "app.css"
_ROOT = re.compile(r":root \{(.*?)\}", re.DOTALL)
_DARK = re.compile(r"@media \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}\s*\}", re.DOTALL)


def palette(*, dark: bool) -> dict[str, str]:
    """The colours of the site by name, as `--name` in its style."""
    found = (_DARK if dark else _ROOT).search(_STYLE.read_text(encoding="utf-8"))
    return {} if found is None else dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,8});", found[1]))


def rules() -> str:
    """The site's rules, for what lies inside CLASS alone, and those of the app."""
    text = _DARK.sub(r".dark & { color-scheme: dark;\1}", _STYLE.read_text(encoding="utf-8"))
    text = text.replace("color-scheme: light dark;", "color-scheme: light;", 1)
    text = re.sub(r"^(:root|html|body) \{", "& {", text, flags=re.MULTILINE)
    # Gradio knows one accent for light and dark.
    accent = f".dark, .dark * {{ --color-accent: {palette(dark=True)['accent']} !important; }}"
    return f".{CLASS} {{\n{text}\n}}\n{accent}\n{_OWN.read_text(encoding='utf-8')}"
