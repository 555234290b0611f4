"""Pods of tasks, and an API server that has them, without a connection."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

from podtask.cluster.namespace import Namespace
from podtask.cluster.refusals import ApiError
from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.render import render
from podtask.manifest.task_pod import TaskPod
from podtask.runner.protocol import EXIT_NO_CLIENT

NOTEBOOK = "0123456789abcdef"
OPTIONS = RunOptions()


def task_pod(name: str, user: str = "alice", alias: str = "", age: float = 60.0, **more: Any) -> TaskPod:
    """Return the pod of a task that another kernel has submitted.

    Args:
        name: Name of the pod.
        user: Value of the user's label.
        alias: The user's name for the task.
        age: Seconds since the pod was created.
        more: ``status`` of the pod, ``notebook``, ``terminating``, ``map_name``.
    """
    notebook = more.get("notebook", NOTEBOOK)
    identity = Identity(name, "ab" * 32, "cd" * 32, 20_000, "another-kernel", user, alias, notebook)
    manifest = render(None, OPTIONS)
    if more.get("map_name"):
        manifest = manifest.for_map(more["map_name"])
    pod = manifest.stamped(identity).pod
    pod["metadata"] |= {"uid": f"uid-of-{name}", "creationTimestamp": time_ago(age)}
    if more.get("terminating"):
        pod["metadata"]["deletionTimestamp"] = time_ago(0)
    return TaskPod({**pod, "status": more.get("status", {"phase": "Running"})})


def time_ago(seconds: float) -> str:
    """Return the time that many seconds ago, as Kubernetes writes it."""
    return f"{dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def ended(exit_code: int, message: str = "", ago: float = 0.0) -> dict[str, Any]:
    """Return the status of a pod whose primary container has ended."""
    terminated = {"exitCode": exit_code, "message": message, "finishedAt": time_ago(ago)}
    phase = "Failed" if exit_code else "Succeeded"
    return {"phase": phase, "containerStatuses": [{"name": "primary", "state": {"terminated": terminated}}]}


def fetched(status: str = "ok", ago: float = 0.0) -> dict[str, Any]:
    """Return the status of a pod whose result a notebook has fetched."""
    return ended(0, f'{{"status": "{status}"}}', ago)


def in_log(ago: float = 0.0) -> dict[str, Any]:
    """Return the status of a pod whose result is in its log."""
    return ended(EXIT_NO_CLIENT, '{"status": "ok"}', ago)


class FakeApi:
    """A session with an API server that has pods and logs.

    Args:
        pods: The existing pods.
        logs: Name of a pod -> its log, or the code with which reading it is refused.

    Attributes:
        requests: (method, path, body) of each request.
    """

    def __init__(self, *pods: TaskPod, logs: dict[str, str | int] | None = None) -> None:
        self.access = SimpleNamespace(context="test", namespace="n")
        self.requests: list[tuple[str, str, Any]] = []
        self._pods = {each.name: each.pod for each in pods}
        self._logs = logs or {}

    @property
    def namespace(self) -> Namespace:
        """The namespace of the pods."""
        api: Any = self
        return Namespace(api, "n")

    @property
    def deleted(self) -> list[str]:
        """Names of the pods whose deletion was requested."""
        return [path.rpartition("/")[2] for method, path, _ in self.requests if method == "DELETE"]

    def call_at_close(self, close: object) -> None:
        """Do nothing: the session is never closed."""

    async def request(self, method: str, path: str, body: Any = None, **params: str) -> dict[str, Any]:
        """Answer like an API server; list pods without kind, as it does."""
        self.requests.append((method, path, body))
        if path.endswith("/jobs"):
            return {"items": []}
        name = path.partition("/pods/")[2]
        if name and name not in self._pods:
            raise ApiError(404, {"message": f'pods "{name}" not found'})
        if name:
            return self._pods[name]
        wanted = dict(each.split("=") for each in params["labelSelector"].split(","))
        return {"items": [pod for pod in self._pods.values() if wanted.items() <= _labels(pod).items()]}

    async def content(self, path: str, **params: str) -> bytes:
        """Return a log, or refuse to."""
        self.requests.append(("GET", path, None))
        found = self._logs.get(path.split("/")[-2], "")
        if isinstance(found, int):
            raise ApiError(found, {"message": "no log"})
        return found.encode()


def _labels(pod: dict[str, Any]) -> dict[str, str]:
    labels: dict[str, str] = pod["metadata"]["labels"]
    return labels
