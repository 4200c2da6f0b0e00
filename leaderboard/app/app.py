"""The leaderboard as a gradio app, with signals to listen to, and a form to try a model.

The app serves the static site below `site/`, and runs commands of `goodenough` for its visitors: it loads no
model itself (`commands`, `sessions`, `try_model`). It is started with `goodenough leaderboard app`, and on a
Space from `leaderboard/space`.

Conventions: everything a page shows was escaped by jinja, or is plain text in a text box. Nothing is fetched
from anywhere else, which a policy in the headers of every answer enforces; there is no telemetry. One trial
runs at a time, the others wait. `request_filter` decides which requests are answered; whoever is not at this
machine is a stranger, and may name no folder of it.
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

from harness.dataset.suite_notes import joined, note_of_task
from harness.dataset.suites import Suite
from harness.entries import store
from harness.errors import BadInput
from harness.types import ModelRef
from leaderboard import render, urls
from leaderboard.app import theme
from leaderboard.app.request_filter import RequestFilter, is_local
from leaderboard.app.sessions import SessionStore
from leaderboard.app.try_model import AppState, Limits, View, trial
from leaderboard.reports import audio_examples as listen
from leaderboard.site import audio_page, builder

SITE = "site"
"""Path below which the site is served."""

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""Content-Security-Policy of every answer: nothing from anywhere else."""

_SOUNDS = 4
"""Signals that are shown at a time."""

_BETWEEN_S = 0.25
"""Between two views of a trial on a page."""

MOST_SESSIONS = 200
"""Pages whose state gradio keeps, and whose messages it keeps until they are fetched."""

MOST_UNREAD = 100
"""Messages of a trial that nobody fetched, after which it ends: the visitor has gone."""


def build(app_state: AppState, sessions: SessionStore, limits: Limits) -> Any:
    """The page.

    Returns:
        A `gradio.Blocks`.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # Folder of the files that gradio serves: a file of a session lies there already and is not copied.
    os.environ["GRADIO_TEMP_DIR"] = str(sessions.root)
    handlers = _Handlers(app_state, sessions, limits)
    tasks = list(app_state.suite.task_names)
    names = list(dict.fromkeys([*app_state.board.tasks, *tasks])) or ["no task"]
    with gr.Blocks(title="goodenough", analytics_enabled=False, fill_width=True) as page:
        _site_html(_head(app_state.suite))
        with gr.Tabs():
            with gr.Tab("Leaderboard", id="board"):
                _site_html(render.render("app_board.html.j2", {"board": f"{SITE}/{urls.INDEX}"}))
            with gr.Tab("Evidence", id="evidence") as tab:
                models = handlers.models(names[0])
                with gr.Row():
                    task_choice = gr.Radio(names, value=names[0], label="Task")
                    judge_choice = gr.Dropdown(models, value=next(iter(models), None), label="Judged by")
                sounds = _site_html("")
            with gr.Tab("Try a model", id="try"):
                _try_tab(handlers, tasks or names)
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        change = task_choice.change(handlers.judges, task_choice, judge_choice, **quiet)
        for event_of in (change.then, judge_choice.input, tab.select):
            event_of(handlers.listen, [task_choice, judge_choice], sounds, **quiet)
        page.unload(handlers.leave)
    page.queue(max_size=limits.waiting, api_open=False)
    # Bounds what gradio keeps for sessions that a client has made up and never comes back to.
    page._queue.pending_messages_per_session.max_size = MOST_SESSIONS
    handlers.n_unread = lambda visitor: _unread(page, visitor)
    return page


def _head(suite: Suite) -> str:
    suite_note = joined((task, note_of_task(suite, task)) for task in suite.task_names)
    return render.render("app_head.html.j2", {"suite_note": suite_note})


def serve(
    app_state: AppState,
    port: int,
    announce: Callable[[str], None],
    limits: Limits,
    *,
    local_only: bool = True,
) -> None:
    """Run the app until Ctrl-C; then the files of all visitors are removed.

    `announce` is called with the address once it answers; port 0 takes any that is free.

    Raises:
        BadInput: the port is taken.
    """
    sessions = SessionStore()
    page = None
    try:
        index = builder.write(sessions.root / SITE, app_state.board, app_state.suite)
        page = build(app_state, sessions, limits)
        public = app_state.on_space
        announce(launch(page, port, index.parent, sessions.root, public=public, local_only=local_only))
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        if page is not None:
            page.close(verbose=False)
        sessions.close()


def launch(page: Any, port: int, board: Path, sessions_root: Path, *, public: bool, local_only: bool) -> str:
    """Start to serve a page, and the site in a folder below it; returns its address."""
    from starlette.middleware import Middleware
    from starlette.routing import Mount
    from starlette.staticfiles import StaticFiles

    host = "127.0.0.1" if local_only else "0.0.0.0"  # noqa: S104 - a Space is reached from outside
    port = port or _free_port(host)
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    requests = Middleware(RequestFilter, sessions_root=sessions_root, headers=headers, public=public)
    try:
        app, address, _ = page.launch(
            server_name=host,
            server_port=port,
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
            app_kwargs={"middleware": [requests]},
        )
    except OSError:
        raise BadInput(f"cannot listen on port {port}: it is in use; choose another with --port") from None
    app.router.routes.insert(0, Mount(f"/{SITE}", StaticFiles(directory=board)))
    return str(address)


class _Handlers:
    def __init__(self, app_state: AppState, sessions: SessionStore, limits: Limits) -> None:
        self._app_state, self._sessions = app_state, sessions
        self.limits = limits
        """Of a trial."""
        self.model_hint = "org/name" if app_state.on_space else "org/name or /path/to/a/folder"
        """What a visitor may type as a model."""
        self.n_unread: Callable[[str], int] = lambda visitor: 0
        """How many messages a visitor has not fetched."""
        self._judge_cache = lru_cache(maxsize=64)(self._find_judges)
        # Each page is rendered once, however often it is requested.
        self._listen_cache = lru_cache(maxsize=64)(self._listen)

    def models(self, task: str) -> list[str]:
        """Models whose answers can be chosen."""
        return [model.repo_id for model in self._judge_cache(task)]

    def judges(self, task: str) -> Any:
        """The same as the menu for another task."""
        models = self.models(task)
        return gr.update(choices=models, value=next(iter(models), None))

    def listen(self, task: str, judge_id: str | None, request: gr.Request) -> str:
        """A few signals, chosen by the answers of one model; for strangers only where licences allow it."""
        return self._listen_cache(task, judge_id, self._app_state_for(request).on_space)

    def wait(self, request: gr.Request) -> list[Any]:
        """The page at once after a trial was requested, before its turn comes."""
        self._sessions.ask(_visitor(request))
        free, busy = gr.update(interactive=True), gr.update(interactive=False)
        return [_state("Waiting for its turn"), "", "", gr.update(visible=False), busy, busy, free]

    def quick(self, model: str, task: str, request: gr.Request) -> Iterator[list[Any]]:
        """Check a model and evaluate it until its lift is known well enough."""
        yield from self._run_trial(model, task, request, fully=False)

    def fully(self, model: str, task: str, request: gr.Request) -> Iterator[list[Any]]:
        """Check a model and evaluate it to the end."""
        yield from self._run_trial(model, task, request, fully=True)

    def rest(self) -> list[Any]:
        """The buttons when nothing runs."""
        free, busy = gr.update(interactive=True), gr.update(interactive=False)
        return [free, free, busy]

    def cancel(self, request: gr.Request) -> None:
        """End what runs for this visitor."""
        self._sessions.cancel(_visitor(request))

    def leave(self, request: gr.Request) -> None:
        """The page was closed."""
        self._sessions.leave(_visitor(request))

    def _run_trial(self, model: str, task: str, request: gr.Request, *, fully: bool) -> Iterator[list[Any]]:
        visitor, app_state = _visitor(request), self._app_state_for(request)
        session, last_view, shown_at_s = self._sessions.enter(visitor), None, 0.0
        for view in trial(session, model, task, app_state, self.limits, fully=fully):
            last_view = view
            if self.n_unread(visitor) > MOST_UNREAD:
                self._sessions.leave(visitor)
            elif time.monotonic() - shown_at_s > _BETWEEN_S:
                yield _view_updates(view)
                shown_at_s = time.monotonic()
        if last_view is not None:
            yield _view_updates(last_view)

    def _app_state_for(self, request: gr.Request) -> AppState:
        """The state for a visitor: one who is not at this machine is a stranger."""
        client = request.client.host if request.client else None
        local = is_local({name.lower(): text for name, text in request.headers.items()}, client)
        return self._app_state if local else replace(self._app_state, on_space=True)

    def _listen(self, task: str, judge_id: str | None, public: bool) -> str:
        folders, suite = self._judge_cache(task), self._app_state.suite
        judge = next((model for model in folders if model.repo_id == judge_id), None)
        note, examples = "", []
        if judge is not None:
            note = audio_page.why_silent(suite, task) or ""
            if not note or (suite.has_clips(task) and not public):
                models = [judge, *(model for model in folders if model != judge)]
                judges = []
                for model in models:
                    with suppress(BadInput):  # columns that the board does not need cannot be read
                        judges.append((model, store.verdicts(folders[model])))
                examples = listen.draw(suite, task, suite.headline(task), judges, n=_SOUNDS)
        return render.render("app_listen.html.j2", {"examples": examples, "model": judge_id, "note": note})

    def _find_judges(self, task: str) -> dict[ModelRef, Path]:
        """The references and the best candidates, with the folders of their verdicts."""
        ranking = self._app_state.board.current_of(task)
        if ranking is None or not self._app_state.suite.has_task(task):
            return {}
        matrix_models = {model for matrix in ranking.matrices for model in matrix.models}
        rows = [row for row in ranking.all_rows if row.entry.model in matrix_models]
        return {row.entry.model: row.folder for row in rows if row.folder is not None}


def _try_tab(handlers: _Handlers, tasks: list[str]) -> None:
    model_hint = handlers.model_hint
    _site_html(render.render("app_try.html.j2", {"where": model_hint, "limits": handlers.limits}))
    with gr.Row(equal_height=True):
        model = gr.Textbox(
            label="Model", placeholder=model_hint, max_lines=1, max_length=500, scale=3, min_width=260
        )
        task = gr.Dropdown(tasks, value=tasks[0], label="Task", scale=1, min_width=180)
    with gr.Row():
        quick = gr.Button("Try it", variant="primary")
        fully = gr.Button("Evaluate fully")
        cancel = gr.Button("Cancel", variant="stop", interactive=False)
    state = _site_html(_state(""))
    log = gr.Textbox(
        label="What the commands say", lines=6, max_lines=10, interactive=False, elem_classes="progress-lines"
    )
    package = gr.DownloadButton("Download the entry", visible=False)
    result = _site_html("")
    buttons = [quick, fully, cancel]
    outputs = [state, log, result, package]
    event_options = {"show_progress": "hidden", "api_visibility": "private"}
    trial_options = {"concurrency_limit": 1, "concurrency_id": "trial", **event_options}
    for event_of, run in (
        (quick.click, handlers.quick),
        (fully.click, handlers.fully),
        (model.submit, handlers.quick),
    ):
        event = event_of(handlers.wait, None, [*outputs, *buttons], queue=False, **event_options)
        event = event.then(run, [model, task], outputs, **trial_options)
        event.then(handlers.rest, None, buttons, **event_options)
    cancel.click(handlers.cancel, queue=False, **event_options)


def _view_updates(view: View) -> list[Any]:
    """A view as the page shows it: state, lines, result, download."""
    context = {
        "error": view.error,
        "answer": view.answer,
        "entry": view.entry,
        "standing": view.provisional_rank,
        "commands": view.commands if view.status in ("Done", "Ended") else (),
    }
    download = gr.update(visible=False)
    if view.package is not None:
        download = gr.update(value=str(view.package), visible=True)
    result = render.render("app_result.html.j2", context)
    return [_state(view.status), "\n".join(view.lines), result, download]


def _state(words: str) -> str:
    return render.render("app_state.html.j2", {"words": words})


def _site_html(text: str) -> Any:
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
    messages = page._queue.pending_messages_per_session
    return messages[visitor].qsize() if visitor in messages else 0


def _theme() -> Any:
    """The site's colours and fonts; none of these is fetched."""
    light, dark = theme.palette(dark=False), theme.palette(dark=True)
    names_by_colour = {
        "paper": "body_background_fill background_fill_primary",
        "panel": "background_fill_secondary block_background_fill input_background_fill"
        " button_primary_text_color checkbox_label_background_fill",
        "ink": "body_text_color button_secondary_text_color",
        "mute": "body_text_color_subdued block_label_text_color block_title_text_color",
        "rule": "border_color_primary block_border_color",
        "strong": "input_border_color",
        "accent": "link_text_color color_accent button_primary_background_fill checkbox_border_color_selected"
        " button_primary_background_fill_hover checkbox_background_color_selected",
        "tint": "button_secondary_background_fill checkbox_label_background_fill_selected",
        "band": "button_secondary_background_fill_hover checkbox_label_background_fill_hover",
    }
    site_colours = {name: colour for colour, names in names_by_colour.items() for name in names.split()}
    colours = {name: light[colour] for name, colour in site_colours.items()}
    colours |= {
        f"{name}_dark": dark[colour] for name, colour in site_colours.items() if name != "color_accent"
    }
    base = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="md",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    )
    return base.set(input_border_width="1px", **colours)
