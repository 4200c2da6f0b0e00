"""Pages of the site that are other files of the repository, and links between pages and files.

A page with the line `<!-- include: ../CHANGELOG.md -->` shows that file in its place: it is written once, and
GitHub shows it, too. Links are written for GitHub, relative to the file that they are in. In the site a link
to a file that a page includes leads to that page. One to any other file outside of docs/ leads to the
repository at the address in `pyproject.toml`; without an address only its text is left. One to the script of
a notebook leads to its page. Pictures outside of docs/ are copied.
"""

from __future__ import annotations

import os
import re
import tomllib
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils.meta import get_data

ROOT = Path(__file__).parents[2]
_INCLUDE = re.compile(r"^<!-- include: (\S+) -->$", re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(^ *(?:```+|~~~+).*?^ *(?:```+|~~~+) *$)", re.MULTILINE | re.DOTALL)
_PICTURES = (".svg", ".png", ".jpg")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Find which page includes which file, and copy pictures that are outside of docs/."""
    pages: dict[str, str] = {}
    for page in list(files.documentation_pages()):
        source = _source(page.src_uri, page.content_string)
        pages[source] = page.src_uri
        text = _read(source) if source != f"docs/{page.src_uri}" else page.content_string
        for _, _, target in _LINK.findall(text):
            path = _path(source, target)
            is_picture = path.endswith(_PICTURES) and (ROOT / path).is_file()
            if is_picture and not path.startswith("docs/") and _copy_of(path) not in files.src_uris:
                files.append(File.generated(config, _copy_of(path), abs_src_path=str(ROOT / path)))
    config.extra["page_of"] = pages
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Include the file of a page, and make links lead to where their targets are in the site."""
    uri = page.file.src_uri
    source = _source(uri, markdown)
    if source != f"docs/{uri}":
        text = _read(source)
        markdown = text if text.startswith("# ") else f"{markdown.splitlines()[0]}\n\n{text}"

    def link(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        parts = urlsplit(target)
        path = _path(source, target)
        if parts.scheme or not parts.path:
            return match[0]
        if path in config.extra["page_of"]:
            to = config.extra["page_of"][path]
        elif _copy_of(path) in files.src_uris:
            to = _copy_of(path)
        elif not path.startswith(("docs/", "../")) and (ROOT / path).exists():
            return f"[{text}]({_repository()}/blob/main/{path})" if _repository() else text
        else:
            to = re.sub(r"^(notebooks/.*)\.py$", r"\1.md", path.removeprefix("docs/"))
        to = os.path.relpath(to, PurePosixPath(uri).parent)
        return f"{mark}[{text}]({to}{'#' + parts.fragment if parts.fragment else ''})"

    parts = _FENCE.split(markdown)
    return "".join(part if i % 2 else _LINK.sub(link, part) for i, part in enumerate(parts))


def _source(uri: str, text: str) -> str:
    """Path in the repository of the file that a page shows."""
    match = _INCLUDE.search(text)
    return _path(f"docs/{uri}", match[1]) if match else f"docs/{uri}"


def _path(source: str, target: str) -> str:
    """Path in the repository of what a file links to."""
    return os.path.normpath(PurePosixPath(source).parent / urlsplit(target).path).replace(os.sep, "/")


def _read(path: str) -> str:
    """Text of a file, without the metadata at its head."""
    try:
        return get_data((ROOT / path).read_text(encoding="utf-8"))[0]
    except OSError as error:
        raise PluginError(f"a page includes {path}, which cannot be read: {error.strerror}") from error


def _copy_of(path: str) -> str:
    return f"repository/{path}"


@cache
def _repository() -> str | None:
    """Address of the repository, without a slash at its end."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    urls: dict[str, str] = {name.lower(): url for name, url in project.get("urls", {}).items()}
    return next((urls[name].rstrip("/") for name in ("repository", "source") if name in urls), None)
