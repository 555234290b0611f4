"""Every way in which a cell ends by its user's wish, in a notebook and in a terminal (rows U1, U5 and U16)."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from podtask.manifest.labels import NAME_LABEL

from tests.front_ends import FrontEnd, NotebookFrontEnd, TerminalFrontEnd

from .scripts import Script
from .server import Server

ENDLESS = "print('up', flush=True)\nimport signal\nsignal.pause()"
STUBBORN = """\
import signal
word = 'up'
while True:
    try:
        print(word, flush=True)
        signal.pause()
    except KeyboardInterrupt:
        word = 'not yet'"""
DETACHED = f"%%podtask -d --name train\n{ENDLESS}"
# Announces that a handle waits. An interrupt before that is one of the user's own line.
SETUP = """\
import podtask, signal, threading
from podtask_widgets import TaskList
from podtask.lifecycle import task as handles
class Announced(handles.WaitEvent):
    def wait(self, timeout=None):
        print("waits", flush=True)
        return super().wait(timeout)
handles.WaitEvent = Announced
class Slow:
    def __reduce__(self):
        print('packs', flush=True)
        signal.pause()
@podtask.task
def endless():
    print('up', flush=True)
    signal.pause()
def stop_once_submitted():
    create = handles.Task.__init__
    def create_and_stop(*args):
        handles.Task.__init__ = create
        create(*args)
        signal.raise_signal(signal.SIGINT)
    handles.Task.__init__ = create_and_stop
@podtask.task
def each(x):
    signal.pause()
def wait_for_output(task):
    while task.updates.get().kind != "frame":
        pass
listed = threading.Event()
class Listed(TaskList):
    def _build_rows(self):
        super()._build_rows()
        listed.set()
def click(label):
    row = tasks._rows.children[1 + list(tasks._rows_by_key).index(train.name)]
    next(each for each in row.children[-1].children if each.description == label).click()
"""
DELETED = r"stopped; pod podtask-\w+ was deleted\."
NOT_CREATED = r"stopped; pod podtask-\w+ was not created\."
EITHER = f"{DELETED}|{NOT_CREATED}"
NOT_SENT = r"stopped; nothing was sent\."
WAITING_STOPPED = r"stopped waiting; train keeps running\."


class UserCluster(Script):
    """A pod named "waits" gets no node, and the notebook's data for a pod named "sends" is held back."""

    def __init__(self) -> None:
        super().__init__()
        self.sending = threading.Event()

    async def live(self, name: str) -> None:
        if self._alias(name) != "waits":
            await super().live(name)

    async def reach(self, name: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await super().reach(name, port)
        self._holds = self._alias(name) == "sends"
        return streams

    def on_data(self, data: bytes) -> None:
        if (
            self._holds and not self.sending.is_set()
        ):  # the runner has answered; now the notebook sends the cell
            self.forwards.hold()
            self.sending.set()

    def _alias(self, name: str) -> str:
        return str(self.pods.found[name]["metadata"]["labels"].get(NAME_LABEL))


@dataclass(frozen=True)
class Way:
    """A way to end a cell.

    Args:
        cells: The cells; the last one is ended.
        until: What it shows before the interrupt; empty for none.
        text: What its error says, as a pattern; empty if the last cell has no error.
        kind: Type of the error.
        presses: How often the user presses stop; before each further press, the cell says "not yet".
        own: A line of the user's own code that the traceback shows; empty if it shows one line only.
        has_line: Whether the status line says that the cell was stopped.
    """

    cells: tuple[str, ...]
    until: str = ""
    text: str = ""
    kind: str = "KeyboardInterrupt"
    presses: int = 1
    own: str = ""
    has_line: bool = False


STOPPED = r"(?m)^■ (\w+ · )?stopped after \d+\.\d s"
WAYS = {
    "stop before anything is sent": Way(("slow = Slow()", "%%podtask\nslow"), "packs\n", NOT_SENT),
    "stop a function before anything is sent": Way(("slow = Slow()", "each(slow)"), "packs\n", NOT_SENT),
    "stop once submitted": Way(
        ("stop_once_submitted()", f"%%podtask\n{ENDLESS}"), "", EITHER, presses=0, has_line=True
    ),
    "stop a detached cell once submitted": Way(
        ("stop_once_submitted()", DETACHED), "", r"stopped; train is cancelled\.", presses=0
    ),
    "stop a function once submitted": Way(
        ("stop_once_submitted()", "endless()"), "", EITHER, presses=0, has_line=True
    ),
    "stop a submission": Way(
        ("stop_once_submitted()", "endless.submit()"),
        "",
        r"stopped; podtask-\w+ is cancelled\.",
        presses=0,
    ),
    "stop while waiting": Way(("%%podtask --name waits\n1",), "waiting for a node", DELETED, has_line=True),
    "stop while sending": Way(("%%podtask --name sends\n1",), "", DELETED, has_line=True),
    "stop while running": Way((f"%%podtask\n{ENDLESS}",), "up\n", own="signal.pause()", has_line=True),
    "stop twice": Way((f"%%podtask\n{STUBBORN}",), "up\n", DELETED, presses=2, has_line=True),
    "stop a function": Way(("endless()",), "up\n", own="signal.pause()", has_line=True),
    "stop a map": Way(("each.map([1])",), "0 of 1 done · 1 worker", r"stopped; 0 of 1 calls had succeeded\."),
    "interrupt a wait": Way((DETACHED, "train.wait()"), "waits\n", WAITING_STOPPED),
    "interrupt a wait for the result": Way((DETACHED, "train.result()"), "waits\n", WAITING_STOPPED),
    "cancel by the handle": Way(
        (DETACHED, "train.cancel()", "train.result()"), "", EITHER, "CancelledError", 0
    ),
    "cancel by a command": Way(
        (DETACHED, "%podtask cancel train", "train.result()"), "", EITHER, "CancelledError", 0
    ),
    "cancel by the button of the list": Way(
        (
            DETACHED,
            "wait_for_output(train)\ntasks = Listed()\nlisted.wait()",
            "click('Cancel')\nclick('Cancel')",
            "train.result()",
        ),
        "",
        EITHER,
        "CancelledError",
        presses=0,
    ),
}


@pytest.fixture(scope="module")
def script() -> UserCluster:
    """Return the script of the cluster."""
    return UserCluster()


@pytest.fixture(scope="module", params=["notebook", "terminal"])
def front_end(
    request: pytest.FixtureRequest, script: UserCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FrontEnd]:
    """Yield a front end whose cells run in a scripted cluster."""
    folder: Path = tmp_path_factory.mktemp("front-end")
    with closing(Server(script, folder)) as server:
        env = {name: value for name, value in os.environ.items() if name != "PODTASK_BACKEND"}
        env["KUBECONFIG"] = str(server.kubeconfig)
        made: FrontEnd = (
            NotebookFrontEnd(env) if request.param == "notebook" else TerminalFrontEnd(env, folder)
        )
        with closing(made):
            for cell in ("%load_ext podtask", SETUP):
                made.start(cell)
                made.finish()
            yield made


@pytest.mark.parametrize("name", WAYS)
def test_cell_ended_by_its_user(front_end: FrontEnd, script: UserCluster, name: str) -> None:
    """U1, U5, U16: one line says what was stopped, and no frame of podtask is shown."""
    way = WAYS[name]
    script.sending.clear()
    *before, last = way.cells
    for cell in before:
        front_end.start(cell)
        assert "Error" not in front_end.finish()
    front_end.start(last)
    if way.until:
        front_end.until(way.until)
    elif way.presses:
        assert script.sending.wait(60)
    for number in range(way.presses):
        if number:
            front_end.until("stopping; press again to delete the pod")
            front_end.until("not yet\n")
        front_end.interrupt()
    shown = front_end.finish()
    assert "podtask/" not in shown
    assert "Traceback" not in shown or way.own
    lines = [each for each in shown.splitlines() if each.startswith(f"{way.kind}: ")]
    if way.own:
        assert way.own in shown
    else:
        assert len(lines) == 1, shown
        assert re.fullmatch(f"{way.kind}: ({way.text})(■.*)?", lines[0])  # a detached cell may end meanwhile
        assert "---" not in shown
    assert len(re.findall(STOPPED, shown)) == way.has_line
    if "train" in "".join(way.cells) or name == "stop a submission":
        front_end.start("[task.cancel() for task in handles.all_handles() if not task.done()];")
        front_end.finish()
