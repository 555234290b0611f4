"""Names of the cluster's objects, read in the background: who asks has what is known at once."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import Future, wait

from .cluster.api import ApiError
from .cluster.credentials import contexts
from .errors import PodtaskError
from .found import SELECTOR, Found
from .loop import loop
from .options import RunOptions
from .remote import place

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
TASKS = "task"  # which have a name beside the pod's
Key = tuple[str, str | None, str | None, str | None]  # kind, kubeconfig, context, namespace

_known: dict[Key, list[str]] = {}
_asked: dict[Key, tuple[float, Future[None]]] = {}


def names(kind: str, options: RunOptions) -> list[str]:
    """Returns the names that are known of a kind's objects; asks for newer ones beside it.

    Args:
        kind: one of PATHS, "context" or TASKS.
        options: say which cluster and namespace.

    Returns:
        None of them where they may not be read, there is no cluster, or it has not answered yet.
    """
    key, asking = _asking(kind, options)
    if key not in _known:
        wait([asking], PATIENCE)
    return _known.get(key, [])


def answered(kind: str, options: RunOptions) -> list[str]:
    """Returns the same when the server has answered; not from the thread that shows things."""
    key, asking = _asking(kind, options)
    asking.result()
    return _known[key]


def _asking(kind: str, options: RunOptions) -> tuple[Key, Future[None]]:
    key = (kind, os.environ.get("KUBECONFIG"), options.context, options.namespace)
    when, asking = _asked.get(key, (-OLD_SECONDS, None))
    if asking is None or (asking.done() and time.monotonic() - when >= OLD_SECONDS):
        asking = loop().start(_ask(key, options))
        _asked[key] = time.monotonic(), asking
    return key, asking


async def _ask(key: Key, options: RunOptions) -> None:
    kind = key[0]
    try:
        if kind == "context":
            _known[key] = await asyncio.to_thread(contexts)
            return
        api, namespace, _ = await place(options)
        if kind == TASKS:
            path = f"/api/v1/namespaces/{namespace}/pods"
            listed = await api.request("GET", path, labelSelector=SELECTOR)
            _known[key] = sorted({Found(pod).called for pod in listed["items"]})
            return
        _known[key] = await api.names(PATHS[kind].format(namespace))
    except (ApiError, PodtaskError):
        _known[key] = []  # completion is never in the way
