"""Serve the logs of scripted pods as a kubelet does: complete, only the tail, or followed line by line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from .pods import Pods

SendLine = Callable[[bytes], Awaitable[bytes | None]]


def whole(request: web.Request, pods: Pods, name: str) -> web.Response:
    """Respond with the complete log so far, or with its last lines."""
    lines = pods.logs.get(name, b"").splitlines(keepends=True)
    tail = int(request.query.get("tailLines", len(lines)))
    return web.Response(body=b"".join(lines[len(lines) - tail :]), content_type="text/plain")


async def follow(request: web.Request, pods: Pods, name: str, send_line: SendLine) -> web.StreamResponse:
    """Send the lines from the first one on, as they are written, until the container has ended.

    Args:
        request: Request of the client.
        pods: Pods whose logs are served.
        name: Name of the pod.
        send_line: Returns the bytes to send for a line. Empty bytes end the response before the line; None breaks the
            connection in the middle of the line.
    """
    answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await answer.prepare(request)
    place = pods.rotated.get(name, 0)
    while True:
        place = max(place, pods.rotated.get(name, 0))  # lines that were rotated away are skipped
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
        sent = await send_line(line)
        if sent is None:
            await answer.write(line[: len(line) // 2])
            assert request.transport is not None
            request.transport.close()
            return answer
        if not sent:
            return answer
        await answer.write(sent)
