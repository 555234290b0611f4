"""Detached cells that run without the notebook that submitted them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path
from typing import Any

import podtask
import pytest
from aiohttp import web
from podtask.errors import NoStream, PodtaskError, TaskError
from podtask.lifecycle import start
from podtask.manage import previous_kernels
from podtask.manifest import owner_secrets
from podtask.manifest.task_pod import TaskPod
from podtask.runner.protocol import EXIT_NO_CLIENT

from tests.pods.waiting import wait_for_input_request, wait_for_phase

from .scripts import Proceed, Script, refused
from .server import Server
from .user import SECONDS, Play, submit


class Queue(Script):
    """A pod waits without a node until the test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.admitted = asyncio.Event()

    async def live(self, name: str) -> None:
        await self.admitted.wait()
        if name in self.pods.found:  # it was not deleted meanwhile
            await super().live(name)


class NoSecrets(Queue):
    """Secrets are refused.

    Args:
        message: Message of the refusal.
        code: Code of the refusal.
    """

    def __init__(self, message: str, code: int = 403) -> None:
        super().__init__()
        self.message = message
        self.code = code

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "POST" and request.path.endswith("/secrets"):
            return refused(self.code, self.message, "Forbidden")
        return await proceed(request)


FORBIDDEN = (
    'secrets is forbidden: User "u" cannot create resource "secrets" in API group "" in the namespace "n"'
)
QUOTA = 'secrets "x" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=0'


KERNEL = """
import os, queue, random, signal, podtask
data = random.Random({size}).randbytes({size})
options = podtask.RunOptions.of(detach=True, **{options!r})
task = podtask.submit({source!r}, options=options)
print(task.name)
reader = task.update_log.reader()
while not reader.empty():
    update = reader.get()
    if update.kind == "note":
        print(update.text)
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""
SOURCE = "for n in range(3):\n    print('line', n)\nlen(data)"
LINES = "line 0\nline 1\nline 2\n"


def submit_in_killed_kernel(size: int, source: str = SOURCE, **options: Any) -> tuple[str, str]:
    """Submit a detached cell in a process that is killed when ``submit`` returns; return the pod's name and the notes."""
    program = "import sys" + KERNEL.format(size=size, options=options, source=source)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    name, _, noted = ran.stdout.partition("\n")
    return name, noted


def admit(server: Server) -> None:
    """Let the waiting pods start."""
    assert isinstance(server.script, Queue)
    server.loop.call_soon_threadsafe(server.script.admitted.set)


def secrets_of(server: Server, name: str) -> list[str]:
    """Return the names of the Secrets of a task, without the pod's name."""
    return sorted(each.removeprefix(name) for each in server.pods.secrets if each.startswith(name))


@pytest.mark.fault(111)
@pytest.mark.parametrize(("size", "shared"), [(1000, 0), (5_000_000, 6)])
def test_cell_runs_without_its_kernel(play: Play, size: int, shared: int) -> None:
    """A cell whose kernel is killed while its pod waits runs once the pod starts; another kernel gets lines and value."""
    server = play(Queue())
    name, noted = submit_in_killed_kernel(size)
    assert noted == ""
    assert secrets_of(server, name) == ["-0", "-owner"]
    assert len(server.pods.secrets) == 2 + shared
    admit(server)
    wait_for_line(server, name, b"line 2")
    task = podtask.attach(name)
    assert task.result(SECONDS) == size
    assert task.logs() == LINES
    task.delete()
    wait_until_gone(server, name)
    assert server.pods.secrets == {}


@pytest.mark.fault(111)
def test_cell_runs_without_its_kernel_and_without_secrets(play: Play) -> None:
    """Where Secrets are refused, an annotation brings a small cell, and a line says who can read it."""
    server = play(NoSecrets(FORBIDDEN))
    name, noted = submit_in_killed_kernel(1000)
    assert noted == (
        "Secrets cannot be created in scripted/n (verb create, resource secrets). The cell and its inputs are in an "
        "annotation of the pod: everyone who may get the pod can read them.\n"
    )
    admit(server)
    wait_for_line(server, name, b"line 2")
    task = podtask.attach(name)
    assert task.result(SECONDS) == 1000
    assert task.logs() == LINES
    task.delete()


@pytest.mark.fault(111)
@pytest.mark.parametrize(
    ("size", "options", "message", "why"),
    [
        (
            5_000_000,
            {},
            QUOTA,
            "its cell and inputs (4 MiB) are too large to be kept in an annotation, and secrets",
        ),
        (1000, {"env": {"TOKEN": "hunter2"}}, FORBIDDEN, "and the values of --env may be kept nowhere else"),
    ],
)
def test_pod_goes_with_its_notebook(
    play: Play, size: int, options: dict[str, Any], message: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither Secrets nor an annotation can bring the cell, a line says so; the pod ends without its notebook."""
    server = play(NoSecrets(message))
    name, noted = submit_in_killed_kernel(size, wait="0.1s", **options)
    assert noted.startswith("This notebook must stay until the pod has started: ")
    assert why in noted
    assert ("count/secrets=1" in noted) == (message == QUOTA)
    assert "hunter2" not in noted + str(server.pods.history)
    admit(server)
    wait_for(server, lambda: TaskPod(server.pods.found[name]).exit_code == EXIT_NO_CLIENT)
    monkeypatch.setattr(previous_kernels, "_reported", set())
    assert submit().result(SECONDS) == 42
    wait_until_gone(server, name)


def wait_until_gone(server: Server, name: str) -> None:
    """Wait until a pod is deleted."""
    wait_for(server, lambda: name not in server.pods.found)


def wait_for_line(server: Server, name: str, line: bytes) -> None:
    """Wait until a pod has written a line to its log."""
    wait_for(server, lambda: line in server.pods.logs.get(name, b""))


def wait_for(server: Server, condition: Callable[[], bool]) -> None:
    """Wait until a condition of the cluster holds."""

    async def wait() -> None:
        async with server.pods.state_changed:
            await server.pods.state_changed.wait_for(condition)

    asyncio.run_coroutine_threadsafe(wait(), server.loop).result(SECONDS)


class BusyWithSecrets(Script):
    """The first requests to create a Secret are answered with 503."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "POST" and request.path.endswith("/secrets") and self.times < 3:
            self.times += 1
            return refused(503, "the server is busy", "ServiceUnavailable")
        return await proceed(request)


class LoginExpired(Script):
    """Requests to create a Secret are answered with 401."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "POST" and request.path.endswith("/secrets"):
            return refused(401, "Unauthorized", "Unauthorized")
        return await proceed(request)


@pytest.mark.fault(111)
def test_secrets_are_tried_again_while_the_server_is_away(play: Play) -> None:
    """If the API server is busy for a moment, the Secrets are created when it answers again."""
    server = play(BusyWithSecrets())
    task = submit(detach=True)
    assert task.result(SECONDS) == 42
    assert server.count("POST", "/secrets") == 5  # two Secrets, three refusals
    assert server.count("POST", "/pods") == 1


def test_login_that_expires_before_the_secrets_leaves_no_pod(play: Play) -> None:
    """If the credentials expire between the pod and its Secrets, the task fails with that reason and its pod is deleted."""
    server = play(LoginExpired())
    task = submit(detach=True)
    with pytest.raises(PodtaskError, match="have expired or are invalid"):
        task.result(SECONDS)
    wait_until_gone(server, task.name)


def test_values_of_env_are_in_the_secret_only(play: Play) -> None:
    """The values of ``--env`` are in no pod, and the Secrets that have them are deleted once they are read."""
    server = play(Script())
    task = submit("import os\nos.environ['TOKEN'][::-1]", detach=True, env={"TOKEN": "hunter2"})
    assert task.result(SECONDS) == "2retnuh"
    wait_for(server, lambda: server.count("DELETE", f"/secrets/{task.name}-0") == 1)
    assert "hunter2" not in str(server.pods.history)


@pytest.mark.parametrize("when", ["queued", "started", "ended"])
def test_task_is_attached_in_each_state(play: Play, when: str) -> None:
    """Another kernel attaches to a task whose pod waits, starts or has ended; then it is gone."""
    server = play(Queue())
    name, _ = submit_in_killed_kernel(1000, **({"linger": "0.1s"} if when == "ended" else {}))
    if when == "ended":
        admit(server)
        wait_for(server, lambda: TaskPod(server.pods.found[name]).is_finished)
    if when == "started":
        admit(server)
    task = podtask.attach(name)
    if when == "queued":
        wait_for_phase(task, "Pending")
        assert task.start_time_left > 600_000
        admit(server)
    assert task.result(SECONDS) == 1000
    assert task.logs() == LINES
    task.delete()
    wait_until_gone(server, name)
    with pytest.raises(PodtaskError, match=f"Task '{name}' not found"):
        podtask.attach(name).result(SECONDS)


class NoStreams(Script):
    """Streams to pods are forbidden."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith(("/portforward", "/exec")):
            return refused(403, "pods/portforward is forbidden", "Forbidden")
        return await proceed(request)


def test_cell_that_runs_is_not_run_again_in_batch_mode(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no stream to the pod is allowed, the cell that its pod has brought runs on; the error says where its result will be."""
    monkeypatch.setattr(start, "_batch_places", set())
    server = play(NoStreams())
    task = submit("print('only once')\n42", detach=True, linger="0.1s")
    with pytest.raises(NoStream, match="keeps running without this notebook") as found:
        task.result(SECONDS)
    assert f"%podtask attach {task.name}" in found.value.hint
    wait_for(server, lambda: TaskPod(server.pods.found[task.name]).is_finished)
    attached = podtask.attach(task.name)
    assert attached.result(SECONDS) == 42
    assert server.count("POST", "/pods") == 1
    attached.delete()


def test_other_machine_owns_the_task_if_it_trusts_it(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``--trust``, a machine without the file of the owner's secret reads it from the cluster, and interrupts the cell."""
    server = play(Queue())
    task = submit("print('up')\ninput()", detach=True)
    admit(server)
    wait_for_line(server, task.name, b"up")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(owner_secrets, "_secrets", {})
    owner = podtask.attach(task.name, trust=True)
    wait_for_input_request(owner)
    assert owner.is_own
    owner.interrupt()
    with pytest.raises(KeyboardInterrupt):
        owner.result(SECONDS)
    assert "was taken over by" in str(task.exception(SECONDS))
    owner.delete()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {},
            "wait 1 h for a notebook (--linger), and up to 6 MiB of them 7 d in the pod's log (--keep). --results-in",
        ),
        ({"no_log_result": True, "linger": "90s"}, "wait 90 s for a notebook (--linger); then they are lost"),
    ],
)
def test_line_says_what_is_kept_and_how_long(play: Play, options: dict[str, Any], said: str) -> None:
    """A detached cell with -o says at submission what is kept of its values."""
    play(Script())
    task = submit("x = 1", detach=True, outputs="x", **options)
    assert task.assign({}) == ["x"]
    reader = task.update_log.reader()
    texts = []
    while not reader.empty():
        texts.append(reader.get().text)
    assert any(said in text for text in texts)


def test_two_handles_follow_one_waiting_task(play: Play) -> None:
    """Two handles of one kernel are both told when the waiting pod starts: the one that connects later takes the task over."""
    server = play(Queue())
    first = submit("import threading\nthreading.Event().wait()", detach=True)
    second = podtask.attach(first.name)
    wait_for_phase(second, "Pending")
    admit(server)
    wait([first, second], SECONDS, FIRST_COMPLETED)
    owner, ended = (first, second) if second.done() else (second, first)
    with pytest.raises(TaskError, match="was taken over by"):
        ended.result(0)
    owner.interrupt()
    with pytest.raises(KeyboardInterrupt):
        owner.result(SECONDS)


def submit_to_volume(server: Server, folder: Path) -> str:
    """Run a detached cell without its kernel that writes its values to a volume and not to the log; return its pod's name."""
    spec = {
        "containers": [{"name": "primary", "volumeMounts": [{"name": "data", "mountPath": str(folder)}]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    options = {"outputs": "n", "results_in": f"{folder}/night", "linger": "0.1s", "no_log_result": True}
    name, noted = submit_in_killed_kernel(1000, SOURCE, template=spec, **options)
    assert f"and stay in {folder}/night." in noted
    admit(server)
    wait_for(server, lambda: TaskPod(server.pods.found[name]).is_finished)
    return name


def test_values_in_a_file_are_read_through_a_pod(play: Play, tmp_path: Path) -> None:
    """Values that the log of an ended pod does not have are read from the volume, through a pod that is deleted again."""
    server = play(Queue())
    name = submit_to_volume(server, tmp_path)
    task = podtask.attach(name, namespace="other")
    assert task.result(SECONDS) == 1000
    assert task.values == {"n": 2}
    assert task.logs() == LINES
    assert server.count("POST", "/namespaces/other/pods") == 1
    wait_for(server, lambda: not server.pods.found)


def test_replaced_file_is_not_unpickled(play: Play, tmp_path: Path) -> None:
    """A file that another process has changed is not unpickled; the error says what it is."""
    server = play(Queue())
    name = submit_to_volume(server, tmp_path)
    changed = bytearray((tmp_path / "night").read_bytes())
    changed[-1] ^= 1
    (tmp_path / "night").write_bytes(changed)
    task = podtask.attach(name)
    with pytest.raises(TaskError, match=f"was not returned: .*, in {tmp_path}/night"):
        task.result(SECONDS)
    assert task.values == {}
    assert any("it is not the file that the task has written" in note for note in task.outcome().notes)
