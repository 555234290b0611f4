"""Tasks that are in a scripted cluster already, of this user and of others."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from collections.abc import Coroutine
from typing import Any, TypeVar

from podtask.config.options import RunOptions
from podtask.manifest.identity import Identity
from podtask.manifest.labels import PROTOCOL_ANNOTATION
from podtask.manifest.render import render

from .server import Server

T = TypeVar("T")


def in_server(server: Server, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in the thread of the server and return its result."""
    return asyncio.run_coroutine_threadsafe(coroutine, server.loop).result(30)


def put_task(
    server: Server,
    user: str,
    alias: str = "",
    *,
    age_seconds: float = 60.0,
    status: dict[str, Any] | None = None,
    first_version: bool = False,
    notebook: str = "",
    spec: dict[str, Any] | None = None,
    **options: Any,
) -> str:
    """Create the pod of a task of another kernel, without its process; return the name of the pod.

    Args:
        server: The scripted API server.
        user: Value of the user's label.
        alias: The user's name for the task.
        age_seconds: Seconds since the pod was created.
        status: Status of the pod; by default its primary container runs.
        first_version: Whether podtask 0.1.0 has created the pod.
        notebook: Value of the notebook's label.
        spec: More fields of the pod's spec.
        options: Options of the cell.
    """
    name = f"podtask-{secrets.token_hex(5)}"
    identity = Identity(name, "ab" * 32, "cd" * 32, 20_000, "another-kernel", user, alias, notebook)
    pod = render(None, RunOptions.of(**options)).stamped(identity).pod
    pod["spec"] |= spec or {}
    if first_version:
        del pod["metadata"]["annotations"][PROTOCOL_ANNOTATION]
    put_pod(server, pod, age_seconds, **(status or {"phase": "Running"}))
    return name


def put_pod(server: Server, pod: dict[str, Any], age_seconds: float = 60.0, **status: Any) -> None:
    """Create a pod without its process.

    Args:
        server: The scripted API server.
        pod: The pod as it is sent.
        age_seconds: Seconds since the pod was created.
        status: Status of the pod.
    """
    in_server(server, server.pods.add(pod))
    stored = server.pods.found[pod["metadata"]["name"]]
    stored["metadata"]["creationTimestamp"] = stamp(age_seconds)
    stored["status"] = status


def stamp(age_seconds: float) -> str:
    """Return the time that many seconds ago, as Kubernetes writes it."""
    time = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=age_seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
