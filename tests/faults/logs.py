"""Serve the logs of scripted pods as a kubelet does: whole, the tail only, or followed line by line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from .pods import Pods

Tell = Callable[[bytes], Awaitable[bytes | None]]


def whole(request: web.Request, pods: Pods, name: str) -> web.Response:
    """Answer with the whole log so far, or with its last lines."""
    lines = pods.logs.get(name, b"").splitlines(keepends=True)
    tail = int(request.query.get("tailLines", len(lines)))
    return web.Response(body=b"".join(lines[len(lines) - tail :]), content_type="text/plain")


async def follow(request: web.Request, pods: Pods, name: str, tell: Tell) -> web.StreamResponse:
    """Answer with the lines from the first on, as they are written, until the container has ended.

    Args:
        request: of the client.
        pods: whose logs there are.
        name: of the pod.
        tell: returns what is sent in place of a line; nothing: the answer ends before it; None: the
            connection breaks half-way in it.
    """
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request)
    place = pods.rotated.get(name, 0)
    while True:
        place = max(place, pods.rotated.get(name, 0))  # what is rotated away is skipped, silently
        log, first = pods.logs.get(name, b""), pods.rotated.get(name, 0)
        end = log.find(b"\n", place - first)
        if end < 0:
            if pods.has_ended(name):
                return answer
            async with pods.state_changed:
                if pods.logs.get(name, b"") == log and not pods.has_ended(name):
                    await pods.state_changed.wait()
            continue
        line = log[place - first : end + 1]
        place += len(line)
        told = await tell(line)
        if told is None:
            await answer.write(line[: len(line) // 2])
            assert request.transport is not None
            request.transport.close()
            return answer
        if not told:
            return answer
        await answer.write(told)
