"""Names of objects in the cluster, read in the background, so that Tab and the form never wait."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait

from ..errors import PodtaskError
from ..event_loop import loop
from .credentials import context_names
from .namespace import Namespace, open_namespace

RESOURCES = {  # kind of object -> its resource
    "namespace": "namespaces",
    "claim": "persistentvolumeclaims",
    "secret": "secrets",
    "config map": "configmaps",
    "service account": "serviceaccounts",
    "pod template": "podtemplates",
    "priority class": "priorityclasses",
    "runtime class": "runtimeclasses",
    "queue": "localqueues",
}
CACHE_SECONDS = 20.0  # until they are read again
FIRST_WAIT_SECONDS = 0.1  # for the first answer
Read = Callable[[Namespace], Awaitable[list[str]]]
"""Reads the names of a kind that is not in RESOURCES, in a namespace."""
Key = tuple[str, str | None, str | None, str | None]  # kind, kubeconfig, context, namespace

_known: dict[Key, list[str]] = {}
_asked: dict[Key, tuple[float, Future[None]]] = {}


def known_names(kind: str, context: str | None, namespace: str | None, read: Read | None = None) -> list[str]:
    """Return the known names of a kind of objects, and read them again in the background.

    Args:
        kind: A key of RESOURCES, "context", or any kind if ``read`` is given.
        context: Name of the kubeconfig context; None for the current one.
        namespace: Name of the namespace; None for the context's.
        read: Reads the names of a kind that is not in RESOURCES.

    Returns:
        The names; empty if they may not be read, there is no cluster, or it has not answered yet.
    """
    key, request = _request(kind, context, namespace, read)
    if key not in _known:
        wait([request], FIRST_WAIT_SECONDS)
    return _known.get(key, [])


def read_names(kind: str, context: str | None, namespace: str | None) -> list[str]:
    """Return the names of a kind of objects after the API server has answered. Blocks.

    Args:
        kind: A key of RESOURCES, or "context".
        context: Name of the kubeconfig context; None for the current one.
        namespace: Name of the namespace; None for the context's.
    """
    key, request = _request(kind, context, namespace, None)
    request.result()
    return _known[key]


def _request(
    kind: str, context: str | None, namespace: str | None, read: Read | None
) -> tuple[Key, Future[None]]:
    key = (kind, os.environ.get("KUBECONFIG"), context, namespace)
    requested, request = _asked.get(key, (-CACHE_SECONDS, None))
    if request is None or (request.done() and time.monotonic() - requested >= CACHE_SECONDS):
        request = loop().start(_read(key, read))
        _asked[key] = time.monotonic(), request
    return key, request


async def _read(key: Key, read: Read | None) -> None:
    kind, _, context, namespace = key
    try:
        if kind == "context":
            _known[key] = await asyncio.to_thread(context_names)
            return
        ns = await open_namespace(context, namespace)
        _known[key] = await (ns.object_names(RESOURCES[kind]) if read is None else read(ns))
    except PodtaskError:
        _known[key] = []  # completion never fails
