from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import BadInput
from leaderboard import exports
from leaderboard.board.types import Board
from leaderboard.site import builder, output_folder
from tests.helpers.board_world import World


def _files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def _empty(out: Path) -> Path:
    return builder.write(out, Board(()), None)


def test_the_marker_lists_what_was_made_and_nothing_else(world: World, tmp_path: Path) -> None:
    out = builder.write(tmp_path / "site", world.board, world.suite).parent
    head, *names = (out / output_folder.MARKER).read_text().splitlines()
    assert head == output_folder.HEAD
    assert sorted(n.split(" ")[0] for n in names) == sorted(_files(out).keys() - {output_folder.MARKER})
    assert list(output_folder.previous_files(out)) == [n.split(" ")[0] for n in names]


@pytest.mark.parametrize("name", ["index.html", "models/notes.html", "figures/mine.svg", "thesis.tex"])
def test_a_folder_no_build_made_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    out = tmp_path / "mine"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("years of work")
    before = _files(tmp_path)
    with pytest.raises(BadInput, match=rf"holds {name}, which no build of a site left there"):
        _empty(out)
    assert _files(tmp_path) == before


@pytest.mark.parametrize("name", ["models/notes.html", "figures/mine.svg", "thesis.tex"])
def test_a_file_that_was_put_into_a_site_is_never_removed(tmp_path: Path, name: str) -> None:
    out = _empty(tmp_path / "site").parent
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("years of work")
    with pytest.raises(BadInput, match="holds"):
        _empty(out)
    assert (out / name).read_text() == "years of work"


def test_what_a_host_of_pages_keeps_beside_a_site_stays(tmp_path: Path) -> None:
    out = tmp_path / "site"
    (out / ".git").mkdir(parents=True)
    for name in ("CNAME", ".nojekyll", ".git/HEAD"):
        (out / name).write_text(name)
    _empty(out)
    _empty(out)
    assert [(out / n).read_text() for n in ("CNAME", ".nojekyll", ".git/HEAD")] == [
        "CNAME",
        ".nojekyll",
        ".git/HEAD",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "index.html\n",
        "My notes.\nindex.html\n",
        f"{output_folder.HEAD}\nindex.html\n../thesis.html\n",
        f"{output_folder.HEAD}\nmodels/../../thesis.html\n",
        f"{output_folder.HEAD}\n/etc/passwd\n",
    ],
)
def test_a_marker_that_no_build_wrote_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "thesis.html").write_text("years of work")
    out = _empty(tmp_path / "site").parent
    (out / output_folder.MARKER).write_text(text)
    before = _files(tmp_path)
    with pytest.raises(BadInput, match=r"holds \.goodenough-site"):
        _empty(out)
    assert _files(tmp_path) == before


def test_nothing_is_written_through_a_link(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    out = _empty(tmp_path / "site").parent
    (out / "models").rmdir() if (out / "models").exists() else None
    (out / "models").symlink_to(other, target_is_directory=True)
    with pytest.raises(BadInput, match="holds models"):
        builder.write(out, world.board, None)
    assert list(other.iterdir()) == []


def test_a_build_that_was_cut_off_can_be_made_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    real, moved = Path.replace, []

    def stops(self: Path, target: Path) -> Path:
        if self.suffix == ".html":
            moved.append(self)
            if len(moved) == 3:
                raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", stops)
    with pytest.raises(BadInput, match="no room left on the disk for "):
        builder.write(out, world.board, None)
    monkeypatch.undo()
    assert not (out / "index.html").exists()
    assert len([*out.rglob("*.html")]) == 2
    _empty(out)
    assert _files(out).keys() == {output_folder.MARKER, "index.html", "models.html", "data/goodenough.bib"}


def _times(out: Path) -> dict[str, int]:
    return {p.relative_to(out).as_posix(): p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}


def test_a_build_of_the_same_board_renders_and_touches_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = builder.write(tmp_path / "site", world.board, world.suite).parent
    before = _times(out)
    monkeypatch.setattr("leaderboard.render.render", lambda *_: pytest.fail("a page was rendered again"))
    builder.write(out, world.board, world.suite)
    assert _times(out) == before


def test_a_build_touches_only_the_pages_of_what_changed(world: World, tmp_path: Path) -> None:
    out = builder.write(tmp_path / "site", world.board, world.suite).parent
    before = _times(out)
    ranking, stale = world.board.rankings
    *first, last = ranking.rows
    moved = replace(ranking, rows=(*first, replace(last, rank_high=7)))
    builder.write(out, Board((moved, stale)), world.suite)
    changed = {name for name, at in _times(out).items() if before[name] != at}
    page = f"models/{builder.page_of(last.entry.model)}"
    data = {name for name, *_ in exports.data_files(Board((moved, stale))) if name.startswith("data/tone.")}
    badge = exports.badge_path(last.entry)
    assert changed == {page, "models.html", "tasks/tone.html", output_folder.MARKER, badge, *data}
    (out / page).write_text("half a page")
    builder.write(out, Board((moved, stale)), world.suite)
    assert "half a page" not in (out / page).read_text()


def test_pages_of_another_version_of_the_code_are_made_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = builder.write(tmp_path / "site", world.board, None).parent
    keys = {name: made.key for name, made in output_folder.previous_files(out).items()}
    monkeypatch.setattr("leaderboard.render.version", lambda: "another")
    builder.write(out, world.board, None)
    badges = dict(exports.badges(world.board))
    pages = {name: made for name, made in output_folder.previous_files(out).items() if name not in badges}
    assert len(pages) > 8
    assert all(made.key not in (None, keys[name]) for name, made in pages.items())
