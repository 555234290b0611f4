"""Detached cells with retries: a Job runs them again, with and without a notebook."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import podtask
import pytest
from aiohttp import web
from podtask.errors import PodtaskError, TaskError
from podtask.lifecycle import start
from podtask.magics.doctor import run_checks
from podtask.magics.dry_run import Preview
from podtask.manage.operations import clean_up, delete_task, read_log
from podtask.manage.task_list import list_tasks
from podtask.manifest import owner_secrets

from tests.pods.waiting import wait_for_phase

from .scripts import Proceed, Script, refused
from .server import Server
from .tasks import in_server
from .test_enclosed import FORBIDDEN, LINES, NoSecrets, submit_in_killed_kernel, wait_for, wait_for_line
from .user import SECONDS, Play, submit

pytestmark = pytest.mark.feature("S09", "P12")
OPTIONS = podtask.RunOptions()
RERUN_NOTE = (
    "A Job runs the cell (--retries 1): if its pod is lost, the cell runs again from its start, also without this "
    "notebook."
)
MAY_NOT = 'jobs.batch is forbidden: User "u" cannot create resource "jobs" in API group "batch"'
QUOTA = 'jobs.batch "x" is forbidden: exceeded quota: few, requested: count/jobs.batch=1'
# Its first run waits until its pod is lost. It notes that it has begun before it prints, as the tests then end its pod.
CELL = """
import os, threading
try:
    open({seen!r}, 'x').close()
    is_first = True
except FileExistsError:
    is_first = False
print('line', 0)
if is_first:
    threading.Event().wait()
print('line', 1)
print('line', 2)
len(data)
"""


class NoJobs(Script):
    """Jobs are refused.

    Args:
        message: Message of the refusal.
    """

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "POST" and request.path.endswith("/jobs"):
            return refused(403, self.message, "Forbidden")
        return await proceed(request)


class Suspended(Script):
    """A queue suspends each new Job, and nothing admits it."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if "kueue" in request.path:
            return refused(404, "the server could not find the requested resource", "NotFound")
        if request.method == "POST" and request.path.endswith("/jobs"):
            job = await request.json()
            job["spec"]["suspend"] = True
            return web.json_response(await self.jobs.add(job), status=201)
        return await proceed(request)


def cell(tmp_path: Path) -> str:
    """Return the source of the cell."""
    return CELL.format(seen=str(tmp_path / "seen"))


def notes(task: podtask.Task) -> list[str]:
    """Return the lines below the cell so far."""
    reader, found = task.update_log.reader(), []
    while not reader.empty():
        update = reader.get()
        if update.kind == "note":
            found.append(update.text)
    return found


def evict_first_pod(server: Server, name: str) -> None:
    """Evict the first pod of a Job once its cell runs."""
    wait_for_line(server, f"{name}-pod1", b"line 0")
    in_server(server, server.pods.evict(f"{name}-pod1"))


def wait_until_nothing_is_left(server: Server) -> None:
    """Wait until neither Jobs, pods nor Secrets are left."""
    wait_for(server, lambda: not (server.jobs.found or server.pods.found or server.pods.secrets))


def test_cell_runs_again_after_its_pod_is_evicted(play: Play, tmp_path: Path) -> None:
    """A line says at submission that the cell may run again; the kernel follows the Job from pod to pod."""
    server = play(Script())
    task = submit(cell(tmp_path).replace("len(data)", "42"), detach=True, retries=1)
    evict_first_pod(server, task.name)
    assert task.result(SECONDS) == 42
    assert task.logs() == "line 0\n" + LINES
    lines = notes(task)
    assert lines[0] == RERUN_NOTE
    assert [line for line in lines if "retries left" in line] == [
        "The pod was lost: it was evicted: its node is being drained or scaled down. Its Job starts another one; retries left: 0."
    ]
    wait_until_nothing_is_left(server)


@pytest.mark.fault(111)
def test_job_runs_without_the_kernel(play: Play, tmp_path: Path) -> None:
    """The kernel is killed, then the pod is evicted: another kernel gets every line and the value of the second run."""
    server = play(Script())
    name, noted = submit_in_killed_kernel(1000, cell(tmp_path), retries=1)
    assert noted == f"{RERUN_NOTE}\n"
    evict_first_pod(server, name)
    wait_for_line(server, f"{name}-pod2", b"line 2")
    task = podtask.attach(name)
    assert task.result(SECONDS) == 1000
    assert task.logs() == LINES
    task.delete()
    wait_until_nothing_is_left(server)


@pytest.mark.fault(111)
def test_kernel_that_attaches_before_the_eviction_follows_the_job(play: Play, tmp_path: Path) -> None:
    """A kernel that attached to the first pod follows the Job to the second one, without Secrets, too."""
    script = NoSecrets(FORBIDDEN)
    script.admitted.set()
    server = play(script)
    name, noted = submit_in_killed_kernel(1000, cell(tmp_path), retries=1)
    assert noted.startswith(RERUN_NOTE)
    assert "annotation" in noted
    task = podtask.attach(name)
    wait_for_phase(task, "Running")
    evict_first_pod(server, name)
    assert task.result(SECONDS) == 1000
    assert task.logs().endswith(LINES)
    assert [line for line in notes(task) if "Its Job starts another one; retries left: 0." in line]
    task.delete()
    wait_until_nothing_is_left(server)


def test_error_of_the_cell_is_not_retried(play: Play) -> None:
    """A cell that raises an error, or whose process dies, ends its Job."""
    server = play(Script())
    for source, error in (("1/0", ZeroDivisionError), ("import os; os._exit(3)", TaskError)):
        task = submit(source, detach=True, retries=3)
        with pytest.raises(error):
            task.result(SECONDS)
        wait_until_nothing_is_left(server)
    assert {
        name.rpartition("-")[2] for _, kind, pod in server.pods.history if (name := pod["metadata"]["name"])
    } == {"pod1"}


def test_job_gives_up_after_its_last_retry(play: Play, tmp_path: Path) -> None:
    """When the last pod is lost, too, the task fails with that reason, and nothing is left."""
    server = play(Script())
    task = submit("print('line', 0)\nimport threading\nthreading.Event().wait()", detach=True, retries=1)
    for number in (1, 2):
        wait_for_line(server, f"{task.name}-pod{number}", b"line 0")
        in_server(server, server.pods.evict(f"{task.name}-pod{number}"))
    with pytest.raises(TaskError, match="evicted"):
        task.result(SECONDS)
    wait_until_nothing_is_left(server)


@pytest.mark.parametrize(
    ("message", "why"),
    [(MAY_NOT, "(verb create, resource jobs.batch)"), (QUOTA, f"({QUOTA})")],
)
def test_without_a_job_the_notebook_retries(
    play: Play, message: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Jobs are refused, a line names the right or the reason, and a pod without a Job runs the cell."""
    monkeypatch.setattr(start, "_places_without_jobs", {})
    server = play(NoJobs(message))
    task = submit(detach=True, retries=1)
    assert task.result(SECONDS) == 42
    assert notes(task)[-1] == (
        f"A Job cannot be created in scripted/n {why}. A pod without a Job runs the cell, and only this notebook "
        "retries it (--retries)."
    )
    submit(detach=True, retries=1).result(SECONDS)
    assert server.count("POST", "/jobs") == (1 if message == MAY_NOT else 2)


def test_commands_find_a_job_without_a_pod(play: Play) -> None:
    """A Job that a queue suspends is listed, followed and cancelled like a pod."""
    server = play(Suspended())
    name, _ = submit_in_killed_kernel(1000, retries=1, queue="team", name="night")
    loop = podtask.event_loop.loop()
    (row,) = loop.run(list_tasks(OPTIONS))
    assert (row.cells[0], row.state, row.pod.name) == ("night", "Queued", name)
    attached = podtask.attach("night")
    wait_for_phase(attached, "in queue 'team'")
    assert loop.run(delete_task("night", OPTIONS, finished=False)) == name
    with pytest.raises(PodtaskError, match="was deleted"):
        attached.result(SECONDS)
    wait_until_nothing_is_left(server)


def test_commands_find_the_pod_of_a_job(play: Play) -> None:
    """The log is found by the name of the task or of the Job; cancel deletes the Job, so that no other pod comes."""
    server = play(Script())
    name, _ = submit_in_killed_kernel(1000, "print('up')\ninput()", retries=1, name="night")
    wait_for_line(server, f"{name}-pod1", b"up")
    loop = podtask.event_loop.loop()
    for each in ("night", name, f"{name}-pod1"):
        assert "up" in loop.run(read_log(each, None, OPTIONS))
    assert loop.run(clean_up(OPTIONS)).deleted == []
    assert (owner_secrets.folder() / name).exists()
    assert loop.run(delete_task("night", OPTIONS, finished=False)) == name
    assert not (owner_secrets.folder() / name).exists()
    wait_until_nothing_is_left(server)


def options_of(**options: Any) -> podtask.RunOptions:
    """Return options of a cell in an empty template."""
    return podtask.RunOptions.of(template=podtask.PodTemplate(), **options)


def test_dry_run_shows_the_job(play: Play) -> None:
    """--dry-run shows the Job above its pod; a cell without -d or --retries has none."""
    play(Script())
    shown = Preview.from_options(options_of(detach=True, retries=3), {})
    assert "# A Job creates the pod:\n#   apiVersion: batch/v1\n" in repr(shown)
    assert "#     backoffLimit: 3\n" in repr(shown)
    assert "Job that creates the pod" in shown._repr_html_()
    for options in ({"detach": True}, {"retries": 3}):
        assert "Job" not in repr(Preview.from_options(options_of(**options), {}))


class NoRightToJobs(Script):
    """The API server answers that the user has all rights but those to Jobs."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/selfsubjectaccessreviews"):
            wanted = (await request.json())["spec"]["resourceAttributes"]
            is_job = (wanted["group"], wanted["resource"]) == ("batch", "jobs")
            return web.json_response({"status": {"allowed": not is_job}}, status=201)
        return await proceed(request)


def test_doctor_names_the_missing_rights(play: Play) -> None:
    """Without the rights to Jobs, the doctor says what does not work, and which rights are missing."""
    play(NoRightToJobs())
    *_, rights = itertools.islice(run_checks(OPTIONS), 3)
    assert not rights.failed
    assert rights.message == (
        "cells run, but a detached cell with --retries is retried only by its notebook, not by a Job: you may not "
        "create jobs.batch, get jobs.batch, list jobs.batch, watch jobs.batch, delete jobs.batch in scripted/n"
    )


def test_job_is_found_if_the_reply_was_lost(play: Play) -> None:
    """If the connection breaks after a Job was stored, the next request finds it: the cell runs once."""
    server = play(LostReply())
    assert submit(detach=True, retries=1).result(SECONDS) == 42
    assert server.count("POST", "/jobs") == 2
    assert len({pod["metadata"]["name"] for _, _, pod in server.pods.history}) == 1


class LostReply(Script):
    """The Job is stored, and the connection breaks before the response."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        answer = await proceed(request)
        if request.method == "POST" and request.path.endswith("/jobs") and not self.times:
            self.times += 1
            assert request.transport is not None
            request.transport.close()
        return answer
