"""Read the logs of one pod's containers."""

from __future__ import annotations

import asyncio
import logging

from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied
from ..errors import ClusterError, InputError
from ..runner.log_lines import cell_output

log = logging.getLogger(__name__)
MAX_TAIL_LINES = 5
MAX_TAIL_CHARS = 1000  # of each of these lines in a sentence
RETRY_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0)
UNAVAILABLE_CODES = (429, 502, 503, 504)  # of an API server; 500 may be the answer of a dead node
NO_LOG_MESSAGE = b"unable to retrieve container logs for "  # sent with status 200 if the runtime has no log


class PodLogs:
    """The logs of a pod's containers.

    Args:
        namespace: Namespace of the pod.
        name: Name of the pod.
        primary: Name of the primary container.
    """

    def __init__(self, namespace: Namespace, name: str, primary: str) -> None:
        self._pods = namespace.pods
        self._name = name
        self._primary = primary

    async def read(self, container: str | None) -> str:
        """Return a container's log, by default of the primary one, without the task's result.

        Raises:
            InputError: The container does not exist, or the pod is gone.
        """
        name = container or self._primary
        try:
            return cell_output(await self._pods.log(self._name, name))
        except RequestDenied as error:
            raise InputError(
                f"No log of container {name!r} of {self._name}: {error.server_message}",
                "A deleted pod has no logs, and a waiting container has none yet.",
            ) from None

    async def read_whole(self) -> bytes:
        """Return the primary container's log; empty if it is gone or may not be read.

        Raises:
            ClusterError: The API server cannot be reached, or is not available.
        """
        for pause in RETRY_PAUSES_SECONDS:  # the log may hold the only copy of the result
            try:
                content = await self._pods.log_bytes(self._name, self._primary)
            except RequestDenied as error:
                log.debug("%s: reading the log was refused: %s", self._name, error)
                if error.code in UNAVAILABLE_CODES:
                    raise
                if error.code < 500:
                    return b""
            else:
                if not content.startswith(NO_LOG_MESSAGE):
                    return content
            await asyncio.sleep(pause)
        return b""

    async def tail(self, container: str) -> str:
        """Return the last lines of a container's log; empty if it cannot be read."""
        try:
            text = await self._pods.log_part(self._name, container, tailLines=str(MAX_TAIL_LINES))
        except ClusterError as error:
            log.debug("%s: the log of %s cannot be read: %s", self._name, container, error)
            return ""
        return cell_output(text)

    async def tail_sentence(self, container: str) -> str:
        """Return the last lines of a container as the end of a sentence; empty if there are none."""
        lines = [line[-MAX_TAIL_CHARS:] for line in (await self.tail(container)).splitlines()]
        return f" Its last lines: {' | '.join(lines).strip(' |')}" if any(lines) else ""
