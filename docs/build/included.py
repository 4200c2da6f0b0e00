"""Pages of the site that are other files of the repository, and links between the two.

A page with the line `<!-- include: ../CHANGELOG.md -->` shows that file in its place, so that the file is written once and
GitHub shows it, too. Links are written for GitHub, relative to the file that they are in. Here a link to a file that
a page includes leads to that page, and one to any other file of the repository to the repository, where
`pyproject.toml` names its address, else only its text is left. Pictures outside of docs/ are copied.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_INCLUDE = re.compile(r"^<!-- include: (\S+) -->$", re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2[ ]*$", re.MULTILINE | re.DOTALL)
_PICTURES = (".svg", ".png", ".jpg")
_BRANCH = "main"


def _included(uri: str, text: str) -> str | None:
    """Path in the repository of what a page of docs/ shows in its place."""
    match = _INCLUDE.search(text)
    return _normal(f"docs/{PurePosixPath(uri).parent}/{match[1]}") if match else None


def _normal(path: str) -> str:
    return os.path.normpath(path).replace(os.sep, "/")


def _address() -> str | None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    urls: dict[str, str] = {name.lower(): url for name, url in project.get("urls", {}).items()}
    return next((urls[name].rstrip("/") for name in ("repository", "source") if name in urls), None)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Find what pages include, and copy the pictures that pages show from elsewhere in the repository."""
    config.extra["included"] = included = {}
    for file in files.documentation_pages():
        source = _included(file.src_uri, file.content_string)
        if source is not None:
            if not (ROOT / source).is_file():
                raise PluginError(f"{file.src_uri} includes {source}, which is not there")
            included[source] = file.src_uri
    pages = {of: path for path, of in included.items()}
    for file in list(files.documentation_pages()):
        source = pages.get(file.src_uri, f"docs/{file.src_uri}")
        for _, _, target in _LINK.findall((ROOT / source).read_text(encoding="utf-8")) if (ROOT / source).is_file() else ():
            path = _normal(f"{PurePosixPath(source).parent}/{urlsplit(target).path}")
            if path.endswith(_PICTURES) and not path.startswith("docs/") and (ROOT / path).is_file():
                uri = f"repository/{path}"
                if uri not in files.src_uris:
                    files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Include, and lead links to where they are in the site."""
    source = _included(page.file.src_uri, markdown)
    if source is not None:
        title = "" if (content := (ROOT / source).read_text(encoding="utf-8")).startswith("# ") else markdown.split("\n")[0]
        markdown = f"{title}\n\n{content}"
    base = PurePosixPath(source or f"docs/{page.file.src_uri}").parent
    address = _address()

    def led(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        parts = urlsplit(target)
        if parts.scheme or not parts.path:
            return match[0]
        path = _normal(f"{base}/{parts.path}")
        if path in config.extra["included"]:
            uri = config.extra["included"][path]
        elif path.startswith("docs/") and (source is not None or path.removeprefix("docs/") in files.src_uris):
            uri = path.removeprefix("docs/")
        elif f"repository/{path}" in files.src_uris:
            uri = f"repository/{path}"
        elif (ROOT / path).exists() and not path.startswith(".."):
            return f"[{text}]({address}/blob/{_BRANCH}/{path})" if address else text
        else:
            return match[0]
        here = PurePosixPath(page.file.src_uri).parent.as_posix()
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        return f"{mark}[{text}]({os.path.relpath(uri, here)}{fragment})"

    done, out = 0, []
    for fence in _FENCE.finditer(markdown):
        out += [_LINK.sub(led, markdown[done : fence.start()]), fence[0]]
        done = fence.end()
    return "".join([*out, _LINK.sub(led, markdown[done:])])
