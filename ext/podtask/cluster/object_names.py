"""Names of the cluster's objects, read in the background: who asks has what is known at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait

from ..errors import PodtaskError
from ..event_loop import loop
from .client import Api, ApiError
from .credentials import contexts
from .namespace import open_namespace

PATHS = {
    "namespace": "/api/v1/namespaces",
    "claim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "secret": "/api/v1/namespaces/{}/secrets",
    "config map": "/api/v1/namespaces/{}/configmaps",
    "service account": "/api/v1/namespaces/{}/serviceaccounts",
    "pod template": "/api/v1/namespaces/{}/podtemplates",
    "priority class": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "runtime class": "/apis/node.k8s.io/v1/runtimeclasses",
    "queue": "/apis/kueue.x-k8s.io/v1beta1/namespaces/{}/localqueues",
}
OLD_SECONDS = 20.0  # until they are asked for again
PATIENCE = 0.1  # seconds that a first question may take
Read = Callable[[Api, str], Awaitable[list[str]]]
"""Reads the names of a kind that is not in PATHS, from a session and a namespace."""
Key = tuple[str, str | None, str | None, str | None]  # kind, kubeconfig, context, namespace

_known: dict[Key, list[str]] = {}
_asked: dict[Key, tuple[float, Future[None]]] = {}


def names(kind: str, context: str | None, namespace: str | None, read: Read | None = None) -> list[str]:
    """Return the names that are known of a kind's objects; ask for newer ones in the background.

    Args:
        kind: one of PATHS, "context", or one that ``read`` knows.
        context: of the kubeconfig; None for the current one.
        namespace: None for the context's.
        read: reads the names of a kind that is not in PATHS.

    Returns:
        None of them where they may not be read, there is no cluster, or it has not answered yet.
    """
    key, asking = _asking(kind, context, namespace, read)
    if key not in _known:
        wait([asking], PATIENCE)
    return _known.get(key, [])


def answered(kind: str, context: str | None, namespace: str | None) -> list[str]:
    """Returns the same when the server has answered; not from the thread that shows things."""
    key, asking = _asking(kind, context, namespace, None)
    asking.result()
    return _known[key]


def _asking(
    kind: str, context: str | None, namespace: str | None, read: Read | None
) -> tuple[Key, Future[None]]:
    key = (kind, os.environ.get("KUBECONFIG"), context, namespace)
    when, asking = _asked.get(key, (-OLD_SECONDS, None))
    if asking is None or (asking.done() and time.monotonic() - when >= OLD_SECONDS):
        asking = loop().start(_ask(key, read))
        _asked[key] = time.monotonic(), asking
    return key, asking


async def _ask(key: Key, read: Read | None) -> None:
    kind, _, context, namespace = key
    try:
        if kind == "context":
            _known[key] = await asyncio.to_thread(contexts)
            return
        api, namespace, _ = await open_namespace(context, namespace)
        if read is not None:
            _known[key] = await read(api, namespace)
            return
        _known[key] = await api.names(PATHS[kind].format(namespace))
    except (ApiError, PodtaskError):
        _known[key] = []  # completion is never in the way
