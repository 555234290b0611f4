"""Commands find the user's own task by its name, and touch no other pod."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any

import podtask
import pytest
from aiohttp import web
from podtask.errors import InputError, TaskError
from podtask.event_loop import loop
from podtask.interrupts import InterruptGuard
from podtask.magics import commands
from podtask.manage import operations
from podtask.manage.task_list import list_tasks
from podtask.manifest import owner_secrets
from podtask.manifest.labels import RESULTS_ANNOTATION, USER_LABEL

from tests.pods.waiting import wait_for_input_request

from .pods import ended
from .scripts import Proceed, Script, refused
from .tasks import put_pod, put_task
from .user import SECONDS, Play, submit

pytestmark = [pytest.mark.fault(85), pytest.mark.feature("N28")]
PLAIN_POD: dict[str, Any] = {"metadata": {"name": "db-0"}, "spec": {"containers": [{"name": "db"}]}}
COMMANDS = ["attach", "cancel", "delete", "delete --force", "logs", "shell"]


@pytest.fixture(autouse=True)
def _cluster_names_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PODTASK_USER", "JUPYTERHUB_USER"):
        monkeypatch.delenv(variable, raising=False)


def command(line: str) -> None:
    """Run a command of %podtask; a task that it attaches to is followed to its end."""
    commands.run(commands.ShellState({}, lambda task, guard: task.result(SECONDS)), line)


def run_cell() -> str:
    """Run a cell until its pod is deleted; return the name of the pod."""
    task = submit()
    assert task.result(SECONDS) == 42
    task.delete()
    return task.name


def error_of(line: str) -> InputError:
    """Return the error of a command about its name."""
    with pytest.raises(InputError) as caught:
        command(line)
    return caught.value


def with_name(line: str, name: str) -> str:
    """Insert the name of a task after the command."""
    verb, _, flags = line.partition(" ")
    return f"{verb} {name} {flags}"


@pytest.mark.parametrize("line", COMMANDS)
def test_pod_of_something_else_is_refused(play: Play, line: str) -> None:
    """A pod that podtask has not created is not a task, whatever the command."""
    server = play(Script())
    put_pod(server, PLAIN_POD, phase="Running")
    error = error_of(with_name(line, "db-0"))
    assert error.message == "The pod db-0 in scripted/n does not run a podtask task."
    assert server.count("DELETE", "db-0") == 0
    assert server.count("GET", "/log") == 0


@pytest.mark.parametrize("line", COMMANDS)
def test_task_is_refused_by_a_name_that_several_have(play: Play, line: str) -> None:
    """The error lists the full names and the owners; nothing else happens."""
    server = play(Script())
    bob = put_task(server, "bob", "train", age_seconds=7200)
    carol = put_task(server, "carol", "train", age_seconds=300)
    error = error_of(with_name(line, "train"))
    assert error.message == (
        f"2 tasks are named 'train' in scripted/n: {carol} (carol, 5 min old), {bob} (bob, 2 h old)."
    )
    assert error.hint == "Give the full name of one of them."
    assert server.count("DELETE", "") == 0


def test_own_task_comes_before_a_newer_one_of_a_colleague(play: Play) -> None:
    """``cancel train`` deletes the user's task; the colleague's stays."""
    server = play(Script())
    own = put_task(server, "alice", "train", age_seconds=7200)
    other = put_task(server, "bob", "train", age_seconds=1)
    command("cancel train")
    assert server.count("DELETE", own) == 1
    assert server.count("DELETE", other) == 0


def test_two_own_tasks_of_a_name_need_the_full_name(play: Play) -> None:
    """One that is being deleted already is not meant."""
    server = play(Script())
    first, second = (put_task(server, "alice", "train") for _ in range(2))
    assert first in error_of("cancel train").message
    server.pods.found[first]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    command("cancel train")
    assert server.count("DELETE", second) == 1
    assert server.count("DELETE", first) == 0


@pytest.mark.parametrize("label", ["carol", "alice"], ids=["of a colleague", "that claims to be the user's"])
def test_full_name_is_never_the_name_of_another_task(play: Play, label: str) -> None:
    """A pod whose task is named like another pod does not get the commands for that pod, whatever its user label says."""
    server = play(Script())
    meant = put_task(server, "bob")
    named_alike = put_task(server, label, meant)
    command(f"delete {meant}")
    assert server.count("DELETE", meant) == 1
    assert server.count("DELETE", named_alike) == 0


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_task_of_a_colleague_is_deleted_by_its_full_name_only(play: Play, verb: str) -> None:
    """When the user's own task has gone, its name may still be a colleague's."""
    server = play(Script())
    name = put_task(server, "bob", "train")
    error = error_of(f"{verb} train")
    assert error.message == "'train' is a task of bob, not yours."
    assert error.hint.endswith(name)
    assert server.count("DELETE", name) == 0
    command(f"{verb} {name}")
    assert server.count("DELETE", name) == 1


def test_task_of_the_first_version_counts_by_its_old_label(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user of such a task was known by JupyterHub or by the operating system only."""
    server = play(Script())
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    old = put_task(server, "root", "train", first_version=True)
    put_task(server, "root", "train")
    command("cancel train")
    assert server.count("DELETE", old) == 1


class Replaced(Script):
    """Before a pod is deleted, it goes, and another one gets its name."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "DELETE":
            name = request.path.rpartition("/")[2]
            pod = self.pods.found[name]
            await self.pods.remove(name)
            await self.pods.add(pod)
        return await proceed(request)


async def _delete_listed() -> None:
    options = podtask.RunOptions()
    [row] = await list_tasks(options)
    await operations.delete_task_pods([row.pod], options)


@pytest.mark.parametrize(
    "delete",
    [
        lambda: command("cancel train"),
        lambda: command("delete train"),
        lambda: command("delete train --force"),
        lambda: loop().start(_delete_listed()).result(SECONDS),
    ],
    ids=["cancel", "delete", "force", "task list"],
)
def test_pod_that_took_the_name_meanwhile_stays(play: Play, delete: Callable[[], None]) -> None:
    """A deletion is for the pod that was found: the API server refuses it for another one."""
    server = play(Replaced())
    name = put_task(server, "alice", "train")
    delete()
    assert server.count("DELETE", name) == 1
    assert "deletionTimestamp" not in server.pods.found[name]["metadata"]


def test_pod_that_took_the_name_meanwhile_outlives_gc(play: Play) -> None:
    """``gc`` too deletes the pods that it has found, and no others."""
    server = play(Replaced())
    name = put_task(server, "alice", status=ended("primary", 1))
    command("gc")
    assert server.count("DELETE", name) == 1
    assert "deletionTimestamp" not in server.pods.found[name]["metadata"]


def test_pod_that_took_the_name_of_an_ended_task_stays(play: Play) -> None:
    """The deletion of a followed task is for its own pod, too."""
    server = play(Replaced())
    name = run_cell()
    assert server.count("DELETE", name) == 1
    assert "deletionTimestamp" not in server.pods.found[name]["metadata"]


class Reviews(Script):
    """The API server does not answer who the user is as usual."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self._code = code

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/selfsubjectreviews"):
            self.times += 1
            if self._code >= 300:
                return refused(self._code, "no reviews here")
            return web.json_response({"gitVersion": "v1.27.0"}, status=self._code)
        return await proceed(request)


def test_api_server_is_asked_once_who_the_user_is(play: Play) -> None:
    """All tasks of a kernel have the name as their label, and so does the clean-up."""
    server = play(Script())
    for _ in range(3):
        run_cell()
    command("gc")
    assert server.count("POST", "/selfsubjectreviews") == 1
    labels = [
        pod["metadata"]["labels"][USER_LABEL] for _, kind, pod in server.pods.history if kind == "ADDED"
    ]
    assert labels == ["alice"] * 3


@pytest.mark.parametrize("code", [200, 403, 404, 500])
def test_cell_runs_where_the_api_server_does_not_tell(
    play: Play, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The user of the operating system takes the place of the API server's."""
    monkeypatch.setattr("getpass.getuser", lambda: "alice.os")
    server = play(Reviews(code))
    run_cell()
    assert server.script.times >= 1
    [(_, _, pod)] = [each for each in server.pods.history if each[1] == "ADDED"]
    assert pod["metadata"]["labels"][USER_LABEL] == "alice.os"


def test_variable_saves_the_question(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PODTASK_USER the API server is not asked."""
    monkeypatch.setenv("PODTASK_USER", "Alice B")
    server = play(Script())
    run_cell()
    assert server.count("POST", "/selfsubjectreviews") == 0
    assert server.pods.history[0][2]["metadata"]["labels"][USER_LABEL] == "Alice-B"


PICKLED = "import fractions\nprint('up')\ninput()\nfractions.Fraction(1, 3)"


def test_values_of_a_stranger_are_not_unpickled_by_name(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``attach NAME`` finds a stranger's task and unpickles nothing of it."""
    play(Script())
    task = submit(PICKLED, name="nightly")
    wait_for_input_request(task)
    with monkeypatch.context() as other_user:
        other_user.setenv("XDG_DATA_HOME", str(tmp_path))
        other_user.setattr(owner_secrets, "_secrets", {})
        follower = podtask.attach("nightly")
        while "up" not in follower.logs():
            follower.updates.get(timeout=SECONDS)
    task.reply({"value": ""})
    with pytest.raises(TaskError, match="it was sent as a pickle, which is not loaded"):
        follower.result(SECONDS)
    assert task.result(SECONDS).denominator == 3
    task.delete()


@pytest.mark.parametrize("flags", ["--results plain", "--trust --results plain"])
def test_attach_unpickles_nothing_with_results_plain(play: Play, flags: str) -> None:
    """The flag of ``%podtask attach`` counts for the user's own task as well."""
    play(Script())
    task = submit(PICKLED, name="nightly")
    wait_for_input_request(task)

    def follow(attached: podtask.Task, guard: InterruptGuard) -> None:
        wait_for_input_request(attached)
        attached.reply({"value": ""})
        with pytest.raises(TaskError, match="it was sent as a pickle, which is not loaded"):
            attached.result(SECONDS)
        attached.delete()

    commands.run(commands.ShellState({}, follow), f"attach nightly {flags}")
    assert "was taken over by" in str(task.exception(SECONDS))


def test_plain_task_stays_plain_although_its_pod_was_changed(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may change pods removes the annotation; the owner's next kernel unpickles nothing all the same."""
    server = play(Script())
    task = submit(PICKLED, name="nightly", results="plain")
    wait_for_input_request(task)
    del server.pods.found[task.name]["metadata"]["annotations"][RESULTS_ANNOTATION]
    monkeypatch.setattr(owner_secrets, "_secrets", {})  # another kernel of the user
    attached = podtask.attach("nightly", trust=True)
    wait_for_input_request(attached)
    assert attached.plain
    attached.reply({"value": ""})
    attached.exception(SECONDS)
    attached.delete()
    assert "was taken over by" in str(task.exception(SECONDS))


@pytest.mark.parametrize("trust", [False, True])
def test_stranger_plants_no_source_lines(
    play: Play, trust: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source of a stranger's cell is not cached under the file name that its pod sends, unless it is trusted."""
    play(Script())
    task = submit(PICKLED, name="nightly")
    wait_for_input_request(task)
    monkeypatch.setattr(linecache, "cache", {})
    with monkeypatch.context() as other_user:
        other_user.setenv("XDG_DATA_HOME", str(tmp_path))
        other_user.setattr(owner_secrets, "_secrets", {})
        follower = podtask.attach("nightly", trust=trust)
        while "up" not in follower.logs():
            follower.updates.get(timeout=SECONDS)
    cached = [entry for entry in linecache.cache.values() if PICKLED.splitlines(keepends=True) in entry]
    assert len(cached) == trust
    task.reply({"value": ""})
    task.exception(SECONDS)
    follower.exception(SECONDS)
    task.delete()
