"""The logs of containers, as text."""

from __future__ import annotations

import asyncio

from .client import Api, ApiError

STARTING = ("waiting to start: ContainerCreating", "waiting to start: PodInitializing")
LAGS = (0.2, 0.4, 0.6, 0.8)  # seconds; a kubelet looks at its containers once a second


async def log(api: Api, path: str, container: str) -> str:
    """Returns the log of a container; of one that may run already, when the kubelet knows of it.

    Args:
        api: the session.
        path: of the pod.
        container: its name.

    Raises:
        ApiError: there is none (400, 404), or it may not be read.
        ClusterError: the API server is not reached.
    """
    for lag in LAGS:
        try:
            return await api.text(f"{path}/log", container=container)
        except ApiError as error:
            if not error.message.endswith(STARTING):
                raise
        await asyncio.sleep(lag)
    return await api.text(f"{path}/log", container=container)
