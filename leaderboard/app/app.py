"""The door to gradio: the leaderboard as an app, with signals to listen to, and a model to try.

The app holds the static site, which it hands out below `site/`, and gives commands of `goodenough` for its
visitors: it opens no model itself (`commands`, `sessions`, `try_model`). It starts here with `goodenough
leaderboard app`, and on a Space from `leaderboard/space`.

Conventions: everything a page shows was escaped by jinja, or is plain text in a text box. Nothing is fetched
from anywhere else, which a policy in the head of every answer enforces; nothing is told to anybody. One trial
runs at a time, the others wait. What is answered at all is settled in `requests`; whoever is not at this very
machine is a stranger, and names no folder of it.

Public: build, serve.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

from harness.entries import store
from harness.errors import BadInput
from harness.types import FAMILIES, ModelRef
from leaderboard import escaping, render
from leaderboard.app import request_gate, theme
from leaderboard.app.sessions import SessionStore
from leaderboard.app.try_model import AppState, Limits, View, trial
from leaderboard.reports import audio_examples as listen
from leaderboard.site import audio_page, builder

SITE = "site"
"""Path below which the site is handed out."""

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""Content-Security-Policy of every answer: nothing from anywhere else."""

_SOUNDS = 4
"""Signals that are heard at a time."""

_BETWEEN_S = 0.25
"""Between two views of a trial on a page."""

MOST_SESSIONS = 200
"""Pages whose state gradio keeps, and whose messages it keeps until they are fetched."""

MOST_UNREAD = 100
"""Messages of a trial that nobody fetched; then nobody is there, and it ends."""


def build(shelf: AppState, rooms: SessionStore, limits: Limits) -> Any:
    """The page.

    Args:
        shelf: what it shows.
        rooms: where its visitors' files lie.
        limits: what they may ask.

    Returns:
        A `gradio.Blocks`.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Where gradio keeps what it hands out: a file that lies there already, as one of a room, is not copied.
    os.environ["GRADIO_TEMP_DIR"] = str(rooms.root)
    desk = _Desk(shelf, rooms, limits)
    tasks = list(shelf.suite.task_names)
    names = list(dict.fromkeys([*shelf.board.tasks, *tasks])) or ["no task"]
    with gr.Blocks(title="goodenough", analytics_enabled=False, fill_width=True) as page:
        _ours(render.render("app_head.html.j2", {"synthetic": escaping.is_synthetic(shelf.suite)}))
        with gr.Tabs():
            with gr.Tab("Leaderboard", id="board"):
                _ours(render.render("app_board.html.j2", {"board": f"{SITE}/index.html"}))
            with gr.Tab("Evidence", id="evidence") as tab:
                models = desk.models(names[0])
                with gr.Row():
                    heard = gr.Radio(names, value=names[0], label="Task")
                    by = gr.Dropdown(models, value=next(iter(models), None), label="Judged by")
                sounds = _ours("")
            with gr.Tab("Try a model", id="try"):
                _trying(desk, tasks or names)
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        heard.change(desk.judges, heard, by, **quiet).then(desk.listen, [heard, by], sounds, **quiet)
        by.input(desk.listen, [heard, by], sounds, **quiet)
        tab.select(desk.listen, [heard, by], sounds, **quiet)
        page.unload(desk.leave)
    page.queue(max_size=limits.waiting, api_open=False)
    # What gradio keeps for sessions that a client has made up and never comes back to.
    page._queue.pending_messages_per_session.max_size = MOST_SESSIONS
    desk.unread = lambda visitor: _unread(page, visitor)
    return page


def serve(
    shelf: AppState, port: int, announce: Callable[[str], None], limits: Limits, *, here: bool = True
) -> None:
    """Start the app and keep it until Ctrl-C; then everything it keeps for visitors is removed.

    Args:
        shelf: what it shows.
        port: 0 takes any that is free.
        announce: told the address once it answers.
        limits: what visitors may ask.
        here: listen on the loopback address alone.

    Raises:
        BadInput: the port is taken.
    """
    rooms = SessionStore()
    page = None
    try:
        index = builder.write(rooms.root / SITE, shelf.board, shelf.suite)
        page = build(shelf, rooms, limits)
        announce(launch(page, port, index.parent, rooms.root, public=shelf.on_space, here=here))
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        if page is not None:
            page.close(verbose=False)
        rooms.close()


def launch(page: Any, port: int, board: Path, rooms: Path, *, public: bool, here: bool) -> str:
    """Have a page answer, and the site in a folder below it; returns its address."""
    from starlette.middleware import Middleware
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    host = "127.0.0.1" if here else "0.0.0.0"  # noqa: S104 - a Space is reached from outside
    number = port or _free_port(host)
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    gate = Middleware(request_gate.Gate, rooms=rooms, headers=headers, public=public)
    try:
        app, address, _ = page.launch(
            server_name=host,
            server_port=number,
            prevent_thread_lock=True,
            share=False,
            quiet=True,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            run_history=False,
            footer_links=[],
            enable_monitoring=False,
            max_file_size="1kb",
            state_session_capacity=MOST_SESSIONS,
            theme=_theme(),
            head=f"<style>{theme.rules()}</style>",
            app_kwargs={"middleware": [gate]},
        )
    except OSError:
        raise BadInput(f"cannot listen on port {number}: it is in use; choose another with --port") from None
    app.router.routes.insert(0, Mount(f"/{SITE}", StaticFiles(directory=board)))
    return str(address)


class _Desk:
    """What answers the page."""

    def __init__(self, shelf: AppState, rooms: SessionStore, limits: Limits) -> None:
        self._shelf, self._rooms, self._limits = shelf, rooms, limits
        self.limits = limits
        """What visitors may ask."""
        self.where = "org/name" if shelf.on_space else "org/name or /path/to/a/folder"
        """What a visitor may name."""
        self.unread: Callable[[str], int] = lambda visitor: 0
        """How many messages a visitor has not fetched."""
        self._judges = lru_cache(maxsize=64)(self._find_judges)
        # A page is rendered once: whoever asks for it again and again gets the same text.
        self._heard = lru_cache(maxsize=64)(self._listen)

    def models(self, task: str) -> list[str]:
        """Whose answers can be listened to."""
        return [model.repo_id for model in self._judges(task)]

    def judges(self, task: str) -> Any:
        """The same as a menu of another task."""
        models = self.models(task)
        return gr.update(choices=models, value=next(iter(models), None))

    def listen(self, task: str, by: str | None, request: gr.Request) -> str:
        """A few signals, drawn by the answers of one model; for strangers only where licences allow it."""
        return self._heard(task, by, self._shelf_of(request).on_space)

    def wait(self, request: gr.Request) -> list[Any]:
        """A trial was asked for: at once, before its turn comes."""
        self._rooms.ask(_visitor(request))
        free, busy = gr.update(interactive=True), gr.update(interactive=False)
        return [_state("Waiting for its turn"), "", "", gr.update(visible=False), busy, busy, free]

    def quick(self, model: str, task: str, request: gr.Request) -> Iterator[list[Any]]:
        """Check a model and evaluate it until its lift is known well enough."""
        yield from self._tried(model, task, request, fully=False)

    def fully(self, model: str, task: str, request: gr.Request) -> Iterator[list[Any]]:
        """Check a model and evaluate it to the end."""
        yield from self._tried(model, task, request, fully=True)

    def rest(self) -> list[Any]:
        """Nothing runs."""
        free, busy = gr.update(interactive=True), gr.update(interactive=False)
        return [free, free, busy]

    def cancel(self, request: gr.Request) -> None:
        """End what runs for this visitor."""
        self._rooms.cancel(_visitor(request))

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self._rooms.leave(_visitor(request))

    def _tried(self, model: str, task: str, request: gr.Request, *, fully: bool) -> Iterator[list[Any]]:
        visitor, shelf = _visitor(request), self._shelf_of(request)
        room, last, shown = self._rooms.enter(visitor), None, 0.0
        for view in trial(room, model, task, shelf, self._limits, fully=fully):
            last = view
            if self.unread(visitor) > MOST_UNREAD:
                self._rooms.leave(visitor)
            elif time.monotonic() - shown > _BETWEEN_S:
                yield _seen(view)
                shown = time.monotonic()
        if last is not None:
            yield _seen(last)

    def _shelf_of(self, request: gr.Request) -> AppState:
        """What is shown to whoever asks: not at this machine, they are strangers."""
        client = request.client.host if request.client else None
        local = request_gate.is_local({name.lower(): text for name, text in request.headers.items()}, client)
        return self._shelf if local else replace(self._shelf, on_space=True)

    def _listen(self, task: str, by: str | None, public: bool) -> str:
        folders, suite = self._judges(task), self._shelf.suite
        first = next((model for model in folders if model.repo_id == by), None)
        note, examples = "", []
        if first is not None:
            note = audio_page.why_silent(suite, task) or ""
            if not note or (suite.has_clips(task) and not public):
                order = [first, *(model for model in folders if model != first)]
                judges = []
                for model in order:
                    with suppress(BadInput):  # columns that the board does not need cannot be read
                        judges.append((model, store.verdicts(folders[model])))
                examples = listen.draw(suite, task, FAMILIES[0], judges, n=_SOUNDS)
        return render.render("app_listen.html.j2", {"examples": examples, "model": by, "note": note})

    def _find_judges(self, task: str) -> dict[ModelRef, Path]:
        """The references and the best candidates, with the folders of their verdicts."""
        ranking = self._shelf.board.current_of(task)
        if ranking is None or task not in {known.name for known in self._shelf.suite.tasks}:
            return {}
        shown = {model for matrix in ranking.matrices for model in matrix.models}
        rows = [row for row in ranking.all_rows if row.entry.model in shown]
        return {row.entry.model: row.folder for row in rows if row.folder is not None}


def _trying(desk: _Desk, tasks: list[str]) -> None:
    """The tab where a model is tried."""
    where = desk.where
    _ours(render.render("app_try.html.j2", {"where": where, "limits": desk.limits}))
    with gr.Row(equal_height=True):
        model = gr.Textbox(
            label="Model", placeholder=where, max_lines=1, max_length=500, scale=3, min_width=260
        )
        task = gr.Dropdown(tasks, value=tasks[0], label="Task", scale=1, min_width=180)
    with gr.Row():
        quick = gr.Button("Try it", variant="primary")
        fully = gr.Button("Evaluate fully")
        cancel = gr.Button("Cancel", variant="stop", interactive=False)
    state = _ours(_state(""))
    log = gr.Textbox(
        label="What the commands say", lines=6, max_lines=10, interactive=False, elem_classes="progress-lines"
    )
    package = gr.DownloadButton("Download the entry", visible=False)
    result = _ours("")
    buttons = [quick, fully, cancel]
    shown = [state, log, result, package]
    silent = {"show_progress": "hidden", "api_visibility": "private"}
    turn = {"concurrency_limit": 1, "concurrency_id": "trial", **silent}
    for button, run in ((quick, desk.quick), (fully, desk.fully)):
        asked = button.click(desk.wait, None, [*shown, *buttons], queue=False, **silent)
        asked.then(run, [model, task], shown, **turn).then(desk.rest, None, buttons, **silent)
    model.submit(desk.wait, None, [*shown, *buttons], queue=False, **silent).then(
        desk.quick, [model, task], shown, **turn
    ).then(desk.rest, None, buttons, **silent)
    cancel.click(desk.cancel, queue=False, **silent)


def _seen(view: View) -> list[Any]:
    """A view as the page shows it: state, lines, result, download."""
    context = {
        "error": view.error,
        "answer": view.answer,
        "entry": view.entry,
        "standing": view.standing,
        "commands": view.commands if view.status in ("Done", "Ended") else (),
    }
    download = gr.update(visible=False)
    if view.package is not None:
        download = gr.update(value=str(view.package), visible=True)
    result = render.render("app_result.html.j2", context)
    return [_state(view.status), "\n".join(view.lines), result, download]


def _state(words: str) -> str:
    return render.render("app_state.html.j2", {"words": words})


def _ours(text: str) -> Any:
    """A piece of the site's markup in its own style."""
    return gr.HTML(text, elem_classes=theme.CLASS, apply_default_css=False)


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)


def _free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


def _unread(page: Any, visitor: str) -> int:
    """Messages that wait for a visitor in gradio's queue."""
    waiting = page._queue.pending_messages_per_session
    return waiting[visitor].qsize() if visitor in waiting else 0


def _theme() -> Any:
    """The site's colours and fonts; none of these is fetched."""
    light, dark = theme.palette(dark=False), theme.palette(dark=True)
    of = {
        "body_background_fill": "paper",
        "background_fill_primary": "paper",
        "background_fill_secondary": "panel",
        "block_background_fill": "panel",
        "input_background_fill": "panel",
        "body_text_color": "ink",
        "body_text_color_subdued": "mute",
        "block_label_text_color": "mute",
        "block_title_text_color": "mute",
        "border_color_primary": "rule",
        "block_border_color": "rule",
        "input_border_color": "strong",
        "link_text_color": "accent",
        "color_accent": "accent",
        "button_primary_background_fill": "accent",
        "button_primary_background_fill_hover": "accent",
        "button_primary_text_color": "panel",
        "button_secondary_background_fill": "tint",
        "button_secondary_background_fill_hover": "band",
        "button_secondary_text_color": "ink",
        "checkbox_label_background_fill": "panel",
        "checkbox_label_background_fill_hover": "band",
        "checkbox_label_background_fill_selected": "tint",
        "checkbox_background_color_selected": "accent",
        "checkbox_border_color_selected": "accent",
    }
    colours = {name: light[colour] for name, colour in of.items()}
    colours |= {f"{name}_dark": dark[colour] for name, colour in of.items() if name != "color_accent"}
    base = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="md",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    )
    return base.set(input_border_width="1px", **colours)
