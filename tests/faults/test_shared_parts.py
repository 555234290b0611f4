"""Detached cells with equal large inputs: their waiting pods share Secrets, up to a limit."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import re
from collections import defaultdict
from typing import Any

import podtask
import pytest
from aiohttp import web
from podtask.cluster.namespace import open_namespace
from podtask.event_loop import loop
from podtask.lifecycle import start
from podtask.manage import waiting_parts
from podtask.manage.operations import delete_task
from podtask.manifest.task_secrets import SHARED_NAME

from tests.pods.waiting import wait_for_input_request

from .scripts import Proceed, Script, refused
from .server import Server
from .test_enclosed import submit_in_killed_kernel, wait_for, wait_for_line, wait_until_gone
from .user import SECONDS, Play

pytestmark = pytest.mark.fault(111)
SIZE = 2_000_000
PARTS = 3  # of at most 900 kB
SHARED_PATH = re.compile(rf".*/secrets/{SHARED_NAME.pattern}")


class OneByOne(Script):
    """Each pod waits without a node until the test lets it go; it is new, so other kernels leave it alone."""

    def __init__(self) -> None:
        super().__init__()
        self.admitted: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def live(self, name: str) -> None:
        now = dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds")
        self.pods.found[name]["metadata"]["creationTimestamp"] = now
        await self.admitted[name].wait()
        if name in self.pods.found:  # it was not deleted meanwhile
            await super().live(name)


def equal_data(seed: int = SIZE) -> bytes:
    """Return the large input: the same bytes in each kernel."""
    return random.Random(seed).randbytes(SIZE)


def submit_waiting(data: bytes, **options: Any) -> podtask.Task:
    """Submit a detached cell that returns the size of its input."""
    return podtask.submit(len, data, options=podtask.RunOptions.of(detach=True, **options))


def admit(server: Server, name: str) -> None:
    """Let the pod of a task start."""
    assert isinstance(server.script, OneByOne)
    server.loop.call_soon_threadsafe(server.script.admitted[name].set)


def owners(server: Server) -> dict[str, list[str]]:
    """Return the names of the owners of each shared Secret."""
    return {
        name: sorted(each["name"] for each in secret["metadata"]["ownerReferences"])
        for name, secret in server.pods.secrets.items()
        if SHARED_NAME.fullmatch(name)
    }


def wait_until_owned_by(server: Server, *tasks: str) -> None:
    """Wait until exactly these tasks own all shared Secrets."""
    wait_for(server, lambda: list(owners(server).values()) == [sorted(tasks)] * PARTS)


def test_equal_inputs_of_waiting_tasks_are_kept_once(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tasks share the Secrets of a large input, and each reads them; the one that reads last deletes them."""
    monkeypatch.setattr(waiting_parts, "MAX_BYTES", 1.5 * SIZE)  # shared parts count once
    server = play(OneByOne())
    first, second = submit_waiting(equal_data()), submit_waiting(equal_data())
    wait_until_owned_by(server, first.name, second.name)
    assert server.count("POST", "/secrets") == 2 * 2 + PARTS
    admit(server, first.name)
    assert first.result(SECONDS) == SIZE
    wait_until_owned_by(server, second.name)
    admit(server, second.name)
    assert second.result(SECONDS) == SIZE
    wait_for(server, lambda: not server.pods.secrets)
    assert server.count("POST", "/pods") == 2


def test_cells_that_run_keep_no_shared_secret(play: Play) -> None:
    """The Secrets are deleted when each of two cells has read them, while both run: not before, and not at their end."""
    server = play(OneByOne())
    names = [submit_in_killed_kernel(SIZE, "print('up', len(data))\ninput()")[0] for _ in range(2)]
    wait_until_owned_by(server, *names)
    tasks = []
    for name in names:
        assert len(owners(server)) == PARTS
        admit(server, name)
        wait_for_line(server, name, b"up")
        tasks.append(podtask.attach(name))
        wait_for_input_request(tasks[-1])
    wait_for(server, lambda: not owners(server))
    assert {*names} == set(server.pods.found)
    for task in tasks:
        task.interrupt()
        assert isinstance(task.exception(SECONDS), KeyboardInterrupt)
    wait_for(server, lambda: not server.pods.secrets)


def test_equal_inputs_of_two_kernels_are_kept_once(play: Play) -> None:
    """A task of another kernel shares them, too, and has them when the first task is deleted while it waits."""
    server = play(OneByOne())
    names = [submit_in_killed_kernel(SIZE)[0] for _ in range(2)]
    wait_until_owned_by(server, *names)
    loop().run(delete_task(names[0], podtask.RunOptions(), finished=False))
    wait_until_gone(server, names[0])
    wait_until_owned_by(server, names[1])
    admit(server, names[1])
    wait_for_line(server, names[1], b"line 2")
    task = podtask.attach(names[1])
    assert task.result(SECONDS) == SIZE
    wait_for(server, lambda: not server.pods.secrets)


class SharedMeanwhile(OneByOne):
    """When a task deletes a shared Secret, another kernel has just become its owner."""

    other = {"apiVersion": "v1", "kind": "Pod", "name": "other", "uid": "of-other"}  # noqa: RUF012  # read only

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "DELETE" and SHARED_PATH.fullmatch(request.path) and self.times < PARTS:
            self.times += 1
            self.pods.change_secret(self.pods.secrets[request.path.rpartition("/")[2]], [self.other])
        return await proceed(request)


def test_secret_that_another_task_has_just_shared_is_kept(play: Play) -> None:
    """A task that has read a Secret does not delete it if another one has become its owner in the meantime."""
    server = play(SharedMeanwhile())
    task = submit_waiting(equal_data())
    admit(server, task.name)
    assert task.result(SECONDS) == SIZE
    wait_until_owned_by(server, "other")


class DeletedMeanwhile(OneByOne):
    """When a task becomes an owner of an existing Secret, the last other owner has just deleted it."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "PATCH" and self.times < PARTS:
            self.times += 1
            await self.pods.delete_secret(request.path.rpartition("/")[2])
        return await proceed(request)


def test_secret_that_was_just_deleted_is_created_again(play: Play) -> None:
    """A task creates the shared Secrets that another one has just deleted, and runs without its kernel."""
    server = play(DeletedMeanwhile())
    first = submit_waiting(equal_data())
    name, _ = submit_in_killed_kernel(SIZE)
    wait_until_owned_by(server, name)
    first.cancel()
    admit(server, name)
    wait_for_line(server, name, b"line 2")
    task = podtask.attach(name)
    assert task.result(SECONDS) == SIZE
    wait_for(server, lambda: not server.pods.secrets)


class NoPatch(OneByOne):
    """Changing Secrets is forbidden."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "PATCH" and "/secrets/" in request.path:
            return refused(
                403, 'secrets "x" is forbidden: User "u" cannot patch resource "secrets"', "Forbidden"
            )
        return await proceed(request)


def test_tasks_share_nothing_without_the_right_to(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the right to patch Secrets, a task whose inputs another one has gets Secrets of its own; so do all that follow."""
    monkeypatch.setattr(start, "_places_without_sharing", set())
    server = play(NoPatch())
    tasks = [submit_waiting(equal_data()) for _ in range(3)]
    assert server.count("POST", "/pods") == 4  # the second one had to be created again
    wait_until_owned_by(server, tasks[0].name)
    for task in tasks:
        admit(server, task.name)
        assert task.result(SECONDS) == SIZE
    wait_for(server, lambda: not server.pods.secrets)


def test_secrets_of_others_are_not_released(play: Play) -> None:
    """Whoever makes a pod name a shared Secret of another task does not get it deleted."""
    server = play(OneByOne())
    name, _ = submit_in_killed_kernel(SIZE)

    async def release() -> None:
        secrets = (await open_namespace(None, None)).secrets
        for shared in owners(server):
            await secrets.release(shared, "uid-of-another-pod")

    loop().run(release())
    wait_until_owned_by(server, name)
    assert server.count("DELETE", "") == 0


LIMIT = "Secrets of your waiting tasks in scripted/n have reached their limit (5 MB)"


def notes_of(task: podtask.Task) -> list[str]:
    """Return the lines that a task has shown."""
    reader, texts = task.update_log.reader(), []
    while not reader.empty():
        update = reader.get()
        if update.kind == "note":
            texts.append(update.text)
    return texts


def test_waiting_secrets_are_limited(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit, a cell is in an annotation or needs its notebook, and a line says why; once others have begun, not."""
    monkeypatch.setattr(waiting_parts, "MAX_BYTES", 5_000_000)
    server = play(OneByOne())
    tasks = [submit_waiting(equal_data(seed)) for seed in range(3)]
    small = podtask.submit("1", options=podtask.RunOptions.of(detach=True))
    assert [notes_of(task) for task in tasks[:2]] == [[], []]
    (note,) = notes_of(tasks[2])
    assert note == (
        "This notebook must stay until the pod has started: its cell and inputs (1 MiB) are too large to be kept in an "
        f"annotation, and the {LIMIT}."
    )
    assert notes_of(small) == []  # the program and a small cell still fit in
    assert len(owners(server)) == 2 * PARTS
    for task in (*tasks, small):
        admit(server, task.name)
    assert [task.result(SECONDS) for task in tasks] == [SIZE] * 3
    assert small.result(SECONDS) == 1
    last = submit_waiting(equal_data(4))
    assert notes_of(last) == []
    last.cancel()


def test_waiting_secrets_of_all_kernels_are_limited(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks that other kernels have left waiting count, too: their pods are listed while the pod is created."""
    server = play(OneByOne())
    names = [submit_in_killed_kernel(SIZE)[0], submit_in_killed_kernel(SIZE + 1)[0]]
    monkeypatch.setattr(waiting_parts, "MAX_BYTES", 5_000_000)
    task = submit_waiting(equal_data(2))
    assert any(LIMIT in note for note in notes_of(task))
    assert len(owners(server)) == 2 * PARTS
    wait_for(server, lambda: sorted(server.pods.found) == sorted([*names, task.name]))
    admit(server, task.name)
    assert task.result(SECONDS) == SIZE
