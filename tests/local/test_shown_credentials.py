"""Credentials of package indexes, repositories and proxies are shown nowhere, and are on no command line."""

from __future__ import annotations

import base64
import functools
import http.server
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import PodTemplate, RunOptions
from podtask.api.resolve import resolve_template
from podtask.display.details import Facts, details_html, pod_yaml
from podtask.frontend import Terminal
from podtask.log import set_level
from podtask.magics.dry_run import Preview

from tests.local.test_pip_install import VERSION, wheel
from tests.notebook import Kernel, Shell

pytestmark = pytest.mark.fault(92)
SECRET = "hunter2-c0ffee"
INDEX = f"https://me:{SECRET}@index.example/simple"
REPOSITORY = f"thing @ git+https://{SECRET}@git.example/team/thing.git@v1"
PROXY = f"http://me:{SECRET}@proxy.example:3128"
TEMPLATE = PodTemplate(
    {"containers": [{"name": "primary", "image": "i", "env": [{"name": "HTTPS_PROXY", "value": PROXY}]}]}
)
OPTIONS: dict[str, Any] = {
    "index_url": INDEX,
    "extra_index_url": [INDEX, f"https://h.example/?token={SECRET}"],
    "pip": REPOSITORY,
    "constraint": f"other @ {INDEX}/other.whl",
}


class Index(http.server.SimpleHTTPRequestHandler):
    """Package index that needs a password, and looks at all command lines at each request."""

    command_lines: list[bytes]
    passwords: list[str]

    def do_GET(self) -> None:
        """Serve a file to who knows the password."""
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        self.passwords.append(base64.b64decode(given).decode())
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.command_lines.append(path.read_bytes())
            except OSError:  # the process has ended
                pass
        if given:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic realm=index")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[int]:
    """Yield the port of a package index with two folders that needs a password."""
    wheel(tmp_path / "one", "podtasktest", "1.0")
    wheel(tmp_path / "two", "elsewhere", "7.0")
    Index.command_lines, Index.passwords = [], []
    server = http.server.ThreadingHTTPServer(("", 0), functools.partial(Index, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_pip_gets_credentials_outside_its_command_line(index: int) -> None:
    """Indexes, requirements and constraints with credentials work, and no process list shows them."""

    def url(folder: str) -> str:
        return f"http://me:{SECRET}@localhost:{index}/{folder}"

    options = RunOptions.of(
        local=True,
        index_url=url("one"),
        extra_index_url=url("two"),
        pip=["podtasktest", f"elsewhere @ {url('two')}/elsewhere/elsewhere-7.0-py3-none-any.whl"],
        constraint=["podtasktest<2"],
    )
    task = podtask.submit(f"import elsewhere, os\n{VERSION}, 'PIP_INDEX_URL' in os.environ", options=options)
    assert task.result(60) == ("1.0", False)
    assert f"me:{SECRET}" in Index.passwords
    assert [line for line in Index.command_lines if b"-m\0pip\0install" in line]
    assert not [line for line in Index.command_lines if SECRET.encode() in line]
    assert SECRET not in repr([list(task.steps), task.manifest, str(task.phase), task.why()])


def test_git_gets_credentials_by_its_environment(tmp_path: Path) -> None:
    """The git that pip runs has credentials in its environment, for one repository, and in no word."""
    git = tmp_path / "git"
    git.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/words\nenv > {tmp_path}/variables\n'
        '[ "$1" = version ] && echo git version 2.40.0\n'
    )
    git.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    options = RunOptions.of(
        local=True, pip=f"thing @ git+https://me:p%40{SECRET}@h.example/t.git@v1", env=env
    )
    error = podtask.submit("1", options=options).exception(60)
    assert error is not None
    assert "git+https://***@h.example/t.git@v1" in str(error)
    assert SECRET not in str(error)
    words, variables = (tmp_path / "words").read_text(), (tmp_path / "variables").read_text()
    assert "https://h.example/t.git" in words
    assert SECRET not in words
    word = base64.b64encode(f"me:p@{SECRET}".encode()).decode()
    assert f"'http.https://h.example/t.git.extraHeader=Authorization: Basic {word}'" in variables


def test_errors_and_lines_of_a_failed_install_have_none(kernel: Kernel, index: int) -> None:
    """The status line, the notes and the error of an installation name packages without credentials."""
    address = f"http://{SECRET}@localhost:{index}/none.whl"
    ran = kernel.run(f"%%podtask --local --pip '{address}' --index-url {INDEX}\n1")
    assert ran.error is not None
    assert f"http://***@localhost:{index}/none.whl" in ran.error[1]
    assert SECRET not in repr(vars(ran))


def test_settings_and_options_are_shown_without(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """%podtask config and the text of options have the address of an index, not its password."""
    monkeypatch.setenv("PODTASK_INDEX_URL", INDEX)
    monkeypatch.setenv("PODTASK_PIP", REPOSITORY)
    out, _ = shell.output("%podtask config")
    assert "https://***@index.example/simple" in out
    assert "git+https://***@git.example/team/thing.git@v1" in out
    shown = repr(RunOptions.of(**OPTIONS))
    assert "git+https://***@git.example/team/thing.git@v1" in shown
    assert SECRET not in out + shown


@pytest.mark.parametrize(
    "line",
    [
        f"--index-ulr {INDEX}",
        f"--index-url={INDEX} {INDEX}",
        f"-o a {INDEX}",
        f"--local={INDEX}",
        f"--x '{INDEX}",
    ],
)
def test_wrong_line_is_quoted_without(shell: Shell, line: str) -> None:
    """The error about a wrong option quotes no credential."""
    assert SECRET not in shell.shown_error(f"%%podtask {line}\n1")


def test_preview_and_cards_have_none() -> None:
    """The dry run, its copies and the card of a template have no credential; the template itself keeps it."""
    chosen = resolve_template(RunOptions.of(template=TEMPLATE, local=True, **OPTIONS))
    preview = Preview.from_options(chosen, {})
    shown = repr(preview) + preview._repr_html_() + preview.to_python() + preview.kubectl()
    shown += TEMPLATE._repr_html_() + repr(TEMPLATE)
    assert "http://***@proxy.example:3128" in shown
    assert "index_url" in shown
    assert SECRET not in shown
    assert PROXY in TEMPLATE.to_yaml()


def test_copy_has_none() -> None:
    """What the Copy menu of the form copies has no credential."""
    clipboard = pytest.importorskip("podtask_widgets.clipboard")
    shown = clipboard.copy_menu({"YAML": TEMPLATE.to_yaml(), "Python": TEMPLATE.to_python()})
    shown += repr(pytest.importorskip("podtask_widgets").TemplateBuilder(TEMPLATE))
    assert "http://***@proxy.example:3128" in shown
    assert SECRET not in shown


def test_errors_notes_and_details_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors, lines on a screen, events and the words of the pod's containers are shown without."""
    error = podtask.ClusterError(f"Cannot reach it: {PROXY} refused", f"Try {PROXY}.")
    shown = str(error) + repr(error) + "".join(error._render_traceback_())
    screen = Terminal()
    screen.show_line(f"Failed to pull image: {INDEX}")
    container = {"name": "a", "args": [f"--proxy={PROXY}"]}
    pod = pod_yaml({"metadata": {}, "spec": {"containers": [container]}})
    notebook = FakeNotebook()
    from podtask.backends.base import Phase, Snapshot
    from podtask.frontend import Notebook, Status
    from podtask.lifecycle.updates import PhaseSpan

    spans = [PhaseSpan(Phase("Pulling", f"from {INDEX}"), 0.0, 1.0)]
    html = details_html(Facts("t", "", spans, True, Snapshot(events=(f"Failed: {INDEX}",)), pod))
    Notebook(notebook).show_status(Status(f"Pulling: {INDEX}", advice=f"Look at {INDEX}", html=html))
    shown += repr(notebook.published)
    assert shown.count("http://***@proxy.example:3128") >= 3
    assert shown.count("https://***@index.example") >= 3
    assert SECRET not in shown + capsys.readouterr().err


def test_debug_log_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    """The debug log names no password of a proxy."""
    set_level("debug")
    try:
        logging.getLogger("podtask.test").debug("connecting through %s", PROXY)
    finally:
        set_level(None)
    assert "connecting through http://***@proxy.example:3128" in capsys.readouterr().err


class FakeNotebook:
    """Shell of a kernel that keeps what is published."""

    def __init__(self) -> None:
        self.published: list[Any] = []
        self.display_pub = self

    def publish(self, **message: Any) -> None:
        self.published.append(message)
