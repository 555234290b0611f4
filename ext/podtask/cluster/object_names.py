"""Names of the cluster's objects, read in the background: who asks has what is known at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait

from ..errors import PodtaskError
from ..event_loop import loop
from .credentials import contexts
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
OLD_SECONDS = 20.0  # until they are asked for again
PATIENCE = 0.1  # seconds that a first question may take
Read = Callable[[Namespace], Awaitable[list[str]]]
"""Reads the names of a kind that is not in RESOURCES, in a namespace."""
Key = tuple[str, str | None, str | None, str | None]  # kind, kubeconfig, context, namespace

_known: dict[Key, list[str]] = {}
_asked: dict[Key, tuple[float, Future[None]]] = {}


def names(kind: str, context: str | None, namespace: str | None, read: Read | None = None) -> list[str]:
    """Return the names that are known of a kind's objects; ask for newer ones in the background.

    Args:
        kind: one of RESOURCES, "context", or one that ``read`` knows.
        context: of the kubeconfig; None for the current one.
        namespace: None for the context's.
        read: reads the names of a kind that is not in RESOURCES.

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
        ns = await open_namespace(context, namespace)
        _known[key] = await (ns.object_names(RESOURCES[kind]) if read is None else read(ns))
    except PodtaskError:
        _known[key] = []  # completion is never in the way
