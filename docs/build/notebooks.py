"""Notebooks of the site: scripts in docs/notebooks/, executed when it is built, shown with their output.

A script is in jupytext's percent format and begins with a title. It runs in an empty folder; one that raises,
warns or writes anything else to stderr ends the build. Of the forms of an output HTML comes before SVG, PNG
and text.
"""

from __future__ import annotations

import os
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_SECONDS = 300
_WARNINGS = "ignore:IProgress not found"
"""Of tqdm, about a widget; no bar of it is shown here."""
_SHOWN: list[str] = []
"""HTML of outputs, which Markdown must not read; a page holds their indices."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace each script by a page."""
    _SHOWN.clear()
    scripts = [file for file in files if re.fullmatch(r"notebooks/.*\.py", file.src_uri)]
    with ThreadPoolExecutor() as pool:
        notebooks = list(pool.map(_executed, [Path(script.abs_src_path or "") for script in scripts]))
    for script, notebook in zip(scripts, notebooks, strict=True):
        files.remove(script)
        page = script.src_uri.removesuffix(".py") + ".md"
        files.append(File.generated(config, page, content=_markdown(script.name, notebook)))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put outputs in place of their indices."""
    return re.sub(r'<div data-output="(\d+)"></div>', lambda match: _SHOWN[int(match[1])], html)


def _executed(script: Path) -> Any:
    """A script as a notebook, with the outputs of its cells."""
    import jupytext
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from traitlets.config import Config

    notebook = jupytext.read(script)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=_SECONDS,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/ipc"}}),
        )
        try:
            client.execute(env={**os.environ, "IPYTHONDIR": folder, "PYTHONWARNINGS": _WARNINGS})
        except CellExecutionError as error:
            raise PluginError(f"{script.name}: {error}") from error
    return notebook


def _markdown(name: str, notebook: Any) -> str:
    """Text and code of a notebook as Markdown, with an index for each output."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        if messages := [o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]:
            raise PluginError(f"{name}: {''.join(messages)}")
        for html in filter(None, map(_html, cell.outputs)):
            parts.append(f'<div data-output="{len(_SHOWN)}"></div>')
            _SHOWN.append(f'<div class="output">{html}</div>')
    return "\n\n".join(parts)


def _html(output: Any) -> str:
    """An output as HTML."""
    if output.output_type == "stream":
        return _text(output.text)
    data = output.data
    for form in ("text/html", "image/svg+xml"):
        if form in data:
            return str(data[form])
    if "image/png" in data:
        alternative = escape(data.get("text/plain", "figure"))
        return f'<img alt="{alternative}" src="data:image/png;base64,{data["image/png"].strip()}">'
    return _text(data.get("text/plain", ""))


def _text(text: str) -> str:
    return f'<pre tabindex="0"><code>{escape(text.rstrip())}</code></pre>' if text.strip() else ""
