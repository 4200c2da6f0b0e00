"""Notebooks of the site: scripts in docs/notebooks/ that are executed when it is built, shown with what they print and draw.

A script is in jupytext's percent format. One that raises ends the build.
"""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

_SECONDS = 300


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace each script by a page."""
    for script in [file for file in files if file.src_uri.startswith("notebooks/") and file.src_uri.endswith(".py")]:
        files.remove(script)
        page = script.src_uri.removesuffix(".py") + ".md"
        files.append(File.generated(config, page, content=_executed(Path(script.abs_src_path or ""))))
    return files


def _executed(script: Path) -> str:
    """Run a script.

    Returns:
        Markdown of its text, its code and what that showed.
    """
    import jupytext
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
    from nbconvert import MarkdownExporter

    notebook = jupytext.read(script)
    try:
        NotebookClient(notebook, timeout=_SECONDS, kernel_name="python3", resources={"metadata": {"path": script.parent}}).execute()
    except CellExecutionError as error:
        raise PluginError(f"{script.name}: {error}") from error
    markdown, _ = MarkdownExporter().from_notebook_node(notebook)
    return markdown
