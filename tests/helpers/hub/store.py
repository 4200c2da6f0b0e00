"""What the Hub keeps: repositories with their commits, branches, tags and pull requests.

A repository is a folder `<root>/<kind>/<org>/<name>` whose content is that of its branch `main`: editing the
folder is committing, and committing to `main` edits the folder. All other commits, and those that `main` has
left behind, live in memory for as long as the Hub does.

Ids of commits are hashes of the repository's name, the parent, the title and the content, and dates are one
second apart from a fixed day on: the same writes in the same order give the same ids and dates.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.helpers.hub.discussions import Discussion

KINDS = ("models", "datasets", "spaces")
_AUDIO = (".flac", ".mp3", ".ogg", ".wav")
_TABLES = (".arrow", ".npy", ".npz", ".parquet")
_WEIGHTS = (".bin", ".h5", ".onnx", ".pt", ".pth", ".safetensors")
LFS_SUFFIXES = frozenset([*_AUDIO, *_TABLES, *_WEIGHTS, ".gz", ".png", ".tar", ".zip", ".zst"])
LFS_FROM_BYTES = 5 << 20
"""Larger files of any name are stored by LFS."""

_FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
_RACY_NS = 200_000_000
"""A file changed this shortly before it was read may change again without showing: it is read once more."""


@dataclass(frozen=True)
class Entry:
    """A file of a commit."""

    sha256: str
    """Hash of its bytes."""
    oid: str
    """Id of its git blob: of the bytes, or of the pointer that LFS leaves in their place."""
    size: int
    """Bytes."""
    is_lfs: bool
    """Whether LFS stores it."""

    @property
    def etag(self) -> str:
        """What the Hub sends as ETag."""
        return self.sha256 if self.is_lfs else self.oid

    @property
    def pointer(self) -> str:
        """The text that git has of a file that LFS stores."""
        return _POINTER.format(self.sha256, self.size)


Tree = Mapping[str, Entry]
"""Files of a commit by path."""


@dataclass(frozen=True)
class Commit:
    """A state of a repository."""

    oid: str
    """40 hexadecimal digits."""
    parent: str | None
    """The commit before, None for the first."""
    tree: Tree
    """Its files."""
    author: str
    """A user, or `folder` when a test edited the folder."""
    date: str
    """UTC, as the Hub writes it."""
    title: str
    """First line of the message."""
    message: str
    """The rest of the message."""


class Conflict(Exception):
    """Two sides changed the same file."""


@dataclass
class Repository:
    """A repository; `main` is brought up to date with the folder by `Store.open`."""

    name: str
    """`<kind>/<org>/<name>`."""
    folder: Path
    """Where the content of `main` lies."""
    created: str
    """Date of the first commit."""
    commits: dict[str, Commit] = field(default_factory=dict)
    """By id."""
    branches: dict[str, str] = field(default_factory=dict)
    """Id of the last commit by name."""
    tags: dict[str, str] = field(default_factory=dict)
    """Id of the commit by name."""
    discussions: list[Discussion] = field(default_factory=list)
    """Discussions and pull requests; number n is the n-th."""
    objects: set[str] = field(default_factory=set)
    """sha256 of what LFS stores for it, committed or not."""
    seen: dict[str, tuple[tuple[int, ...], Entry]] = field(default_factory=dict)
    """What the files of the folder were when last read."""

    @property
    def kind(self) -> str:
        """`model`, `dataset` or `space`."""
        return self.name.split("/")[0].removesuffix("s")

    @property
    def repo_id(self) -> str:
        """`<org>/<name>`."""
        return self.name.split("/", 1)[1]

    def refs(self) -> dict[str, str]:
        """Commit ids by every name that a revision may have."""
        heads = {f"refs/heads/{name}": oid for name, oid in self.branches.items()}
        tags = {f"refs/tags/{name}": oid for name, oid in self.tags.items()}
        pulls = {f"refs/pr/{d.number}": d.head for d in self.discussions if d.head is not None}
        return {**heads, **tags, **pulls, **self.tags, **self.branches}

    def find(self, revision: str) -> Commit | None:
        """The commit of a branch, a tag, a pull request (`refs/pr/N`) or an id."""
        return self.commits.get(self.refs().get(revision, revision))

    def history(self, commit: Commit) -> list[Commit]:
        """A commit and those before it, the newest first."""
        found = [commit]
        while (parent := found[-1].parent) is not None:
            found.append(self.commits[parent])
        return found

    def last_change(self, commit: Commit, path: str) -> Commit:
        """The commit that gave a file, or what is in a folder, its present content."""

        def content(at: Commit) -> list[tuple[str, Entry]]:
            return [(p, e) for p, e in at.tree.items() if p == path or p.startswith(f"{path}/")]

        history = self.history(commit)
        for newer, older in itertools.pairwise(history):
            if content(newer) != content(older):
                return newer
        return history[-1]


class Store:
    """The repositories below a root. Callers hold the Hub's lock."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs: dict[str, bytes] = {}
        """Content of every file there ever was, by sha256."""
        self._repositories: dict[str, Repository] = {}
        self._n_dates = 0

    def now(self) -> str:
        """The next date."""
        self._n_dates += 1
        return (_FIRST_DAY + timedelta(seconds=self._n_dates)).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def names(self, kind: str) -> list[str]:
        """Repositories of a kind."""
        folders = sorted((self.root / kind).glob("*/*"))
        return [f.relative_to(self.root).as_posix() for f in folders if f.is_dir()]

    def open(self, name: str) -> Repository | None:
        """A repository whose `main` is what its folder holds now; None where there is no folder."""
        parts = name.split("/")
        folder = self.root / name
        if len(parts) != 3 or parts[0] not in KINDS or ".." in parts or not folder.is_dir():
            self._repositories.pop(name, None)
            return None
        if name not in self._repositories:
            self._repositories[name] = Repository(name, folder, self.now())
        repository = self._repositories[name]
        tree, head = self._scan(repository), repository.find("main")
        if head is None:
            self.add(repository, None, tree, "folder", "initial commit", "", "refs/heads/main")
        elif tree != head.tree:
            self.add(repository, head, tree, "folder", "Edit the folder", "", "refs/heads/main")
        return repository

    def create(self, name: str, user: str) -> Repository:
        """An empty repository, with the one file that the Hub puts into it."""
        rules = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in sorted(LFS_SUFFIXES))
        repository = Repository(name, self.root / name, self.now())
        repository.folder.mkdir(parents=True)
        self._repositories[name] = repository
        tree = {".gitattributes": self.keep(rules.encode(), is_lfs=False)}
        self.add(repository, None, tree, user, "initial commit", "", "refs/heads/main")
        return repository

    def keep(self, content: bytes, *, is_lfs: bool) -> Entry:
        """Keep the content of a file."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        entry = Entry(sha256, "", len(content), is_lfs)
        stored = entry.pointer.encode() if is_lfs else content
        oid = hashlib.sha1(b"blob %d\0" % len(stored) + stored, usedforsecurity=False).hexdigest()
        return Entry(sha256, oid, len(content), is_lfs)

    def add(
        self,
        repository: Repository,
        parent: Commit | None,
        tree: Tree,
        author: str,
        title: str,
        message: str,
        ref: str,
    ) -> Commit:
        """Add a commit, and move a branch or a pull request (`refs/...`) to it."""
        before = parent.oid if parent else repository.name
        files = "".join(f"{path}\0{entry.etag}\n" for path, entry in sorted(tree.items()))
        oid = hashlib.sha1(f"{before}\n{title}\n{files}".encode(), usedforsecurity=False).hexdigest()
        commit = Commit(oid, parent.oid if parent else None, dict(tree), author, self.now(), title, message)
        repository.commits[oid] = commit
        repository.objects |= {entry.sha256 for entry in tree.values() if entry.is_lfs}
        if ref.startswith("refs/heads/"):
            repository.branches[ref.removeprefix("refs/heads/")] = oid
        else:
            repository.discussions[int(ref.removeprefix("refs/pr/")) - 1].head = oid
        if ref == "refs/heads/main":
            self._write(repository, commit)
        return commit

    def delete(self, repository: Repository) -> None:
        """Take a repository away, with all that it ever was."""
        shutil.rmtree(repository.folder)
        self._repositories.pop(repository.name, None)

    def _scan(self, repository: Repository) -> Tree:
        head = repository.find("main")
        before = head.tree if head else {}
        found: dict[str, Entry] = {}
        seen: dict[str, tuple[tuple[int, ...], Entry]] = {}
        for path in sorted(repository.folder.rglob("*")):
            if not path.is_file():
                continue
            name, state, now = path.relative_to(repository.folder).as_posix(), path.stat(), time.time_ns()
            stamp = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
            old = repository.seen.get(name)
            if old is not None and old[0] == stamp:
                entry = old[1]
            else:
                entry = self.keep(path.read_bytes(), is_lfs=is_large(name, state.st_size))
            known = before.get(name)
            found[name] = known if known is not None and known.sha256 == entry.sha256 else entry
            if now - state.st_mtime_ns > _RACY_NS:
                seen[name] = (stamp, found[name])
        repository.seen = seen
        return found

    def _write(self, repository: Repository, commit: Commit) -> None:
        """Make the folder what the commit says; files that are so already are left alone."""
        folder = repository.folder
        there = self._scan(repository)
        for name in there.keys() - commit.tree.keys():
            (folder / name).unlink()
            for parent in list(PurePosixPath(name).parents)[:-1]:
                if not any((folder / parent).iterdir()):
                    (folder / parent).rmdir()
        for name, entry in commit.tree.items():
            if name not in there or there[name].sha256 != entry.sha256:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(self.blobs[entry.sha256])


def is_large(path: str, size: int) -> bool:
    """Whether LFS stores a file; never an empty one."""
    return size > LFS_FROM_BYTES or (size > 0 and PurePosixPath(path).suffix in LFS_SUFFIXES)


def changes(old: Tree, new: Tree) -> dict[str, Entry | None]:
    """What turns one tree into another: files by path, None for those taken away."""
    return {p: new.get(p) for p in sorted({*old, *new}) if old.get(p) != new.get(p)}


def merged(base: Tree, ours: Tree, theirs: Tree) -> dict[str, Entry]:
    """`ours` with what `theirs` changed since `base`.

    Raises:
        Conflict: both changed a file, to different contents; it names them.
    """
    new_changes, present = changes(base, theirs), changes(base, ours)
    if both := [p for p in new_changes if p in present and new_changes[p] != present[p]]:
        raise Conflict(*both)
    tree = {p: e for p, e in ours.items() if p not in new_changes}
    return {**tree, **{p: e for p, e in new_changes.items() if e is not None}}
