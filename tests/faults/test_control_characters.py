"""The cluster and other people write characters that control a terminal; the cell may do so itself."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import podtask
import pytest
from aiohttp import web
from podtask import RunOptions
from podtask.display.foreground import Foreground
from podtask.display.view import View
from podtask.errors import ClusterError, PodtaskError
from podtask.event_loop import loop
from podtask.frontend import Notebook, Status, Terminal
from podtask.log import set_level
from podtask.magics.doctor import Check
from podtask.manage.exec import run_command
from podtask.manage.operations import read_log
from podtask.manage.task_list import list_tasks
from podtask.manifest import owner_secrets
from podtask.manifest.identity import Identity
from podtask.pickling.plain_values import plain_error

from tests.local.test_shown_credentials import FakeNotebook
from tests.notebook import Shell
from tests.pods.waiting import wait_for_input_request

from .scripts import Proceed, Script, is_create, refused
from .tasks import put_task
from .user import SECONDS, Play, submit

pytestmark = pytest.mark.fault(91)
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\x9b1Afine"
SHOWN = r"\x1b[2J\x1b]0;owned\x07\u202e\x9b1Afine"


class Hostile(Script):
    """A scheduler says something that would clear a terminal, until it has been read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = asyncio.Event()

    async def live(self, name: str) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": HOSTILE}
        await self.pods.set(name, conditions=[condition])
        await self.read.wait()
        await self.pods.set(name, conditions=[])
        await super().live(name)


class Refuses(Script):
    """A policy refuses the pod with a message that would clear a terminal."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        return refused(403, HOSTILE, "Forbidden") if is_create(request) else await proceed(request)


def is_safe(text: str) -> bool:
    """Return whether a text has the message, and no character that controls a terminal."""
    return SHOWN in text and not set(HOSTILE) & {"\x1b", "\x07", "\u202e", "\x9b"} & set(text)


def test_phases_and_lists_escape_and_own_output_does_not(play: Play) -> None:
    """What the cluster says is escaped in phases, why() and lists. The output of the own cell is not."""
    server = play(script := Hostile())
    task = submit(f"print({HOSTILE!r}, end='')\ngiven = input()\n42")
    while "owned" not in (update := task.updates.get(timeout=SECONDS)).text:
        pass
    assert is_safe(update.text)
    assert is_safe(task.phase)
    assert is_safe(task.why())
    assert is_safe(next(phase for phase, _, _ in task.steps if "owned" in phase))
    server.loop.call_soon_threadsafe(script.read.set)
    while "owned" not in task.logs():
        task.updates.get(timeout=SECONDS)
    assert task.logs() == HOSTILE
    pod = task.name
    server.pods.logs[pod] = HOSTILE.encode()
    assert is_safe(task.logs("another"))
    tasks = loop().run(list_tasks(RunOptions()))
    assert is_safe(repr(tasks))
    assert is_safe(tasks._repr_html_())
    options = RunOptions()
    assert HOSTILE in loop().run(read_log(pod, None, options))
    owner_secrets.remove(pod)  # as if another user had submitted it
    assert is_safe(loop().run(read_log(pod, None, options)))
    task.reply({"eof": True})
    task.exception(SECONDS)


def test_errors_escape(play: Play) -> None:
    """The message of a refusal is escaped in the error."""
    play(Refuses())
    error = submit().exception(SECONDS)
    assert isinstance(error, PodtaskError)
    assert is_safe(str(error))
    assert is_safe("".join(error._render_traceback_()))
    assert is_safe(str(plain_error({"errors": [{"type": "E", "message": HOSTILE, "frames": []}]})))


def test_screens_escape(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines, status lines and details are escaped on a terminal and in a notebook; written output is not."""
    assert is_safe(str(Check("pod", HOSTILE, HOSTILE)))
    terminal, shell = Terminal(), FakeNotebook()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for show in (terminal.show_line, lambda text: terminal.show_status(Status(text, advice=text))):
        show(HOSTILE)
        assert is_safe(capsys.readouterr().err)
    set_level("debug")
    try:
        logging.getLogger("podtask.test").debug("%s", HOSTILE)
    finally:
        set_level(None)
    assert is_safe(capsys.readouterr().err)
    notebook = Notebook(shell)
    notebook.show_line(HOSTILE)
    notebook.show_status(Status(HOSTILE, advice=HOSTILE, html=HOSTILE))
    shown: list[Any] = [text for message in shell.published for text in message["data"].values()]
    assert len(shown) == 4
    assert all(map(is_safe, shown))
    terminal.write("stdout", HOSTILE)
    assert capsys.readouterr().out == HOSTILE


@pytest.mark.parametrize("trust", [False, True])
def test_output_of_another_user_is_escaped(
    play: Play, trust: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Following a task of another user shows its output escaped, unless the user trusts it."""
    play(Script())
    task = submit(f"print({HOSTILE!r})\ngiven = input()\n42")
    wait_for_input_request(task)
    owner_secrets.remove(task.name)
    other = podtask.attach(task.name, trust=trust)
    view = View(other, Terminal())
    while True:
        view.show_update(update := other.updates.get(timeout=SECONDS))
        if update.frame is not None and b"owned" in update.frame.data:
            break
    view.tick()
    out = capfd.readouterr().out
    assert HOSTILE in out if trust else is_safe(out)
    task.reply({"eof": True})
    task.exception(SECONDS)


class AskedScreen(Terminal):
    """A terminal that notes the prompt, and whose user sends an end of file."""

    prompt = ""

    def ask_for_input(self, prompt: str, password: bool) -> str:
        self.prompt = prompt
        raise EOFError


@pytest.mark.parametrize("trust", [False, True])
def test_prompt_of_another_user_is_escaped(play: Play, trust: bool) -> None:
    """A task of another user shows its question escaped, as its other output."""
    play(Script())
    task = submit(f"input({HOSTILE!r})")
    wait_for_input_request(task)
    owner_secrets.remove(task.name)  # as if another user had submitted it
    other = podtask.attach(task.name, trust=trust)
    view = Foreground(other, screen := AskedScreen())
    while not screen.prompt:
        view.show_update(other.updates.get(timeout=SECONDS))
    assert screen.prompt == HOSTILE if trust else is_safe(screen.prompt)
    task.reply({"eof": True})
    task.exception(SECONDS)


@pytest.mark.parametrize("own", [False, True])
def test_command_in_a_pod_of_another_user_is_escaped(
    play: Play, own: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a command prints in the container of another user's task does not control the terminal."""
    name = put_task(play(Script()), "bob")
    if own:
        owner_secrets.save(Identity(name, "ab" * 32, "cd" * 32, 20_000))
    program = f"import sys; sys.stdout.buffer.write({HOSTILE!r}.encode())"
    with pytest.raises(ClusterError, match="broke"):  # this server sends no exit code
        run_command(name, None, ["python3", "-c", program], RunOptions())
    owner_secrets.remove(name)
    out = capsys.readouterr().out
    assert HOSTILE in out if own else is_safe(out)


def test_commands_escape_the_names_of_folders(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project in a folder with such a name is named safely."""
    project = tmp_path / HOSTILE.replace("/", "")
    project.mkdir()
    (project / "pyproject.toml").write_text("[tool.podtask]\ncontext = 'x'\n")
    monkeypatch.chdir(project)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    shell.run("import podtask; t = podtask.PodTemplate()")
    assert is_safe("".join(shell.output("%podtask save t")))
    shell.run("del t")
    assert is_safe("".join(shell.output("%podtask use t")))
    assert is_safe("".join(shell.output("%podtask config")))
    assert is_safe("".join(shell.output("%podtask config --trust .")) + SHOWN)
    shell.output("%podtask use none")
