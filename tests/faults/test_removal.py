"""Failed deletions are reported and do not hide results."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from podtask.backends import pod_delete

from tests.stderr_queue import QueueStderr, next_text_with

from .scripts import Proceed, Script, refused
from .user import SECONDS, Play, submit


class DeletionRefused(Script):
    """Deletions are refused with a status code (0: the connection breaks), at first or always."""

    def __init__(self, code: int, message: str, wanted: int) -> None:
        super().__init__()
        self._refusal, self._wanted = (code, message), wanted

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.method == "DELETE" and self.times < self._wanted:
            self.times += 1
            if not self._refusal[0]:
                assert request.transport is not None
                request.transport.close()
            return refused(*self._refusal)
        return await proceed(request)


class Stuck(Script):
    """A deleted pod remains because of a finalizer, a silent node or a slow sidecar (fault 79)."""

    def __init__(self, finalizers: tuple[str, ...] = (), **status: Any) -> None:
        super().__init__()
        self._finalizers = list(finalizers)
        self._status = status

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        pod = self.pods.found.get(request.path.rpartition("/")[2])
        if pod is not None and request.method == "GET":
            return web.json_response({**pod, "status": {**pod["status"], **self._status}})
        if pod is None or request.method != "DELETE":
            return await proceed(request)
        pod["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:05Z"}
        if self._finalizers:
            pod["metadata"]["finalizers"] = self._finalizers
        return web.json_response(pod)


class StopHookFails(Script):
    """The preStop hook of a sidecar fails when the pod is deleted."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        pod = self.pods.found.get(request.path.rpartition("/")[2])
        if pod is not None and request.method == "DELETE":
            meta = pod["metadata"]
            about = {"kind": "Pod", "uid": meta["uid"], "fieldPath": "spec.containers{db}"}
            await self.pods.report(
                meta["name"], "FailedPreStopHook", "PreStopHook failed", involvedObject=about
            )
        return await proceed(request)


@pytest.mark.fault(78)
def test_refused_deletion_is_reported(play: Play, queue_stderr: QueueStderr) -> None:
    """The result is returned and the remaining pod is named; a user with the right deletes it later."""
    messages = queue_stderr()
    server = play(DeletionRefused(403, "pods is forbidden", 1))
    task = submit()
    assert task.result(SECONDS) == 42
    told = next_text_with(messages, task.name)
    assert f"{task.name} could not be deleted: You may not delete pods in scripted/n" in told
    assert f"kubectl --context scripted -n n delete pod {task.name}" in told
    assert server.count("DELETE", task.name) == 1
    task.delete()
    assert server.count("DELETE", task.name) == 2


@pytest.mark.fault(10, 78)
def test_deletion_with_expired_credentials_is_tried_again(play: Play) -> None:
    """After a new login within a minute, the deletion succeeds."""
    server = play(DeletionRefused(401, "Unauthorized", 2))
    task = submit()
    assert task.result(SECONDS) == 42
    task.delete()
    assert server.script.times == 2
    assert server.count("DELETE", task.name) == 3


@pytest.mark.fault(116)
@pytest.mark.parametrize("code", [0, 429, 503])
def test_deletion_goes_on_while_the_server_is_away(
    play: Play, queue_stderr: QueueStderr, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """After a minute, a line says that the pod is not deleted yet; the deletion goes on and succeeds."""
    monkeypatch.setattr(pod_delete, "PAUSES_SECONDS", (0.01, 0.01))
    monkeypatch.setattr(pod_delete, "REPORT_SECONDS", 0)
    messages = queue_stderr()
    server = play(DeletionRefused(code, "away", 8))
    task = submit()
    assert task.result(SECONDS) == 42
    assert f"{task.name} is not deleted yet: " in next_text_with(messages, task.name)
    task.delete()
    assert server.count("DELETE", task.name) == 9
    assert not any(task.name in text for text in messages.queue)


@pytest.mark.pod("P3")
def test_stop_hook_that_fails_after_the_cell_is_told(play: Play, queue_stderr: QueueStderr) -> None:
    """The cell returns; once its pod is gone, a message names the preStop hook that has failed."""
    messages = queue_stderr()
    play(StopHookFails())
    hook = {"preStop": {"exec": {"command": ["save"]}}}
    task = submit(template={"containers": [{"name": "db", "image": "x", "lifecycle": hook}]})
    assert task.result(SECONDS) == 42
    told = next_text_with(messages, task.name)
    assert f"{task.name}: the preStop hook of container 'db' failed, after the cell had ended." in told
    assert "Change spec.containers[db].lifecycle.preStop." in told


SILENT = [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}]


@pytest.mark.pod("P1")
@pytest.mark.parametrize(
    ("running", "why"),
    [
        (["uploader"], "uploader still running."),
        (["uploader", "proxy"], "uploader, proxy still running."),
        ([], "volumes or network not removed yet."),
    ],
)
def test_pod_that_ends_slowly_is_not_blamed_on_its_node(
    play: Play, queue_stderr: QueueStderr, monkeypatch: pytest.MonkeyPatch, running: list[str], why: str
) -> None:
    """The message names what still runs; it suspects no node and does not suggest --force."""
    monkeypatch.setattr(pod_delete, "STUCK_SECONDS", -4.5)
    messages = queue_stderr()
    statuses = [{"name": name, "state": {"running": {}}} for name in running]
    play(Stuck(containerStatuses=[{"name": "primary", "state": {"terminated": {}}}, *statuses]))
    sidecars = [{"name": name, "image": "x"} for name in ("uploader", "proxy")]
    task = submit(template={"containers": sidecars, "terminationGracePeriodSeconds": 5})
    assert task.result(SECONDS) == 42
    told = next_text_with(messages, task.name)
    assert f"s ago and still exists: {why}" in told
    assert f"describe pod {task.name}" in told
    assert "--force" not in told
    assert "node node" not in told


@pytest.mark.fault(79)
@pytest.mark.parametrize(
    ("script", "why"),
    [
        (Stuck(("team/keep",)), "still exists: it is held by finalizer team/keep."),
        (
            Stuck(conditions=SILENT),
            "its node node has stopped reporting.\n  See kubectl describe node node. If the node is dead: "
            "%podtask delete ",
        ),
    ],
    ids=["finalizer", "node"],
)
def test_pod_that_is_not_removed_is_reported(
    play: Play, queue_stderr: QueueStderr, monkeypatch: pytest.MonkeyPatch, script: Script, why: str
) -> None:
    """The cell returns. Some time after the grace period, a message names the cause that keeps the pod."""
    monkeypatch.setattr(pod_delete, "STUCK_SECONDS", -4.5)
    messages = queue_stderr()
    play(script)
    task = submit()
    assert task.result(SECONDS) == 42
    told = next_text_with(messages, task.name)
    assert f"{task.name} was deleted " in told
    assert why in told
