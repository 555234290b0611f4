"""Faults at the end of a pod, and faults of the result that a runner writes to its log."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .pods import STAMP, ended, primary_of, running
from .scripts import Proceed, Script, refused
from .streams import CUT

MISSING = b"unable to retrieve container logs for containerd://5b3c"


class Idle(Script):
    """The connection is closed while the cell runs, when it prints "cut here" (fault 29)."""

    def on_data(self, data: bytes) -> None:
        if CUT in data and not self.times:
            self.times += 1
            self.closing = self.forwards.cut()


class Away(Idle):
    """After "cut here", every connection to the pod fails; the result is in the log."""

    reachable = False  # set by a test to accept connections again

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith(("/portforward", "/exec")) and self.times and not self.reachable:
            return refused(503, "error dialing backend")
        if request.path.endswith("/log"):
            return await self.log(request, proceed)
        return await proceed(request)

    async def log(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        """Respond to a request for the log."""
        return await proceed(request)


class LogRefused(Away):
    """Like "away", and the log is refused twice with status 500 (fault 28)."""

    async def log(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        self.times += 1
        if self.times <= 3:
            return refused(500, "Get https://node:10250/containerLogs: remote error: tls: internal error")
        return await proceed(request)


class LogAway(Away):
    """Like "away", and the first read of the log breaks because the server restarts."""

    async def log(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        self.times += 1
        if self.times <= 4:
            assert request.transport is not None
            request.transport.close()
        return await proceed(request)


class LogExcuse(Away):
    """Like "away", and the log first contains an error message with status 200 (fault 40)."""

    async def log(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        self.times += 1
        return web.Response(body=MISSING) if self.times <= 3 else await proceed(request)


class Rotated(Away):
    """Like "away", and the first half of the log was rotated away (fault 32)."""

    async def log(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        name = request.path.split("/")[-2]
        whole = self.pods.logs[name]
        return web.Response(body=whole[whole.index(b"50\n") :])


class EvictedAway(Away):
    """Like "away", and the first pod is evicted with its result in the log."""

    async def live(self, name: str) -> None:
        await self.pods.assign_node(name)
        code = await self.pods.run(name)
        status = ended(primary_of(self.pods.found[name])["name"], code)
        if len(self.pods.logs) == 1:
            status |= {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
        await self.pods.set(name, **status)


class ExecEarly(Script):
    """Exec is refused until the container runs, and the runner listens even later (fault 63)."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = asyncio.Event()

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/exec"):
            self.times += 1
            if self.times <= 2:
                return refused(500, 'unable to upgrade connection: container not found ("primary")')
            self._asked.set()
        return await proceed(request)

    async def live(self, name: str) -> None:
        await self.pods.assign_node(name)
        await self.pods.set(name, **running(primary_of(self.pods.found[name])["name"]))
        await self._asked.wait()
        await super().live(name)


class ExecLate(Script):
    """The runner is killed, and exec is tried before the status shows it (fault 63)."""

    def __init__(self) -> None:
        super().__init__()
        self._dead, self._asked = False, asyncio.Event()

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/exec") and self._dead:
            self.times += 1
            self._asked.set()
        return await proceed(request)

    async def live(self, name: str) -> None:
        await self.pods.assign_node(name)
        await self.pods.run(name)
        self._dead = True
        await self._asked.wait()
        await self.pods.set(name, **ended(primary_of(self.pods.found[name])["name"], 137))


class Dies(Script):
    """The process of the pod is killed at "cut here"; subclasses report it in different ways."""

    def on_data(self, data: bytes) -> None:
        if CUT in data:
            for name in self.pods.found:
                self.pods.kill(name)

    async def live(self, name: str) -> None:
        await self.pods.assign_node(name)
        await self.pods.run(name)
        await self.last(name, primary_of(self.pods.found[name])["name"])

    async def last(self, name: str, primary: str) -> None:
        """Set the final status of the pod."""
        await self.pods.set(name, **ended(primary, 137))


class LateReason(Dies):
    """The status shows exit code 137 at first, and OOMKilled a second later (fault 50)."""

    async def last(self, name: str, primary: str) -> None:
        await self.pods.set(name, **ended(primary, 137))
        await asyncio.sleep(1)
        await self.pods.set(name, **ended(primary, 137, "OOMKilled"))


class Evicted(Dies):
    """The status is Failed with reason Evicted and without container statuses (fault 51)."""

    async def last(self, name: str, primary: str) -> None:
        status = self.pods.found[name]["status"]
        status.pop("containerStatuses")
        message = "The node was low on resource: memory."
        await self.pods.set(name, phase="Failed", reason="Evicted", message=message)


class FalseSuccess(Dies):
    """The status is Succeeded with exit code 0, and there is no result (faults 52, 71)."""

    async def last(self, name: str, primary: str) -> None:
        await self.pods.set(name, **ended(primary, 0))


class NodeLost(Dies):
    """The node is lost: the pod stays Running and is then marked for deletion (fault 53)."""

    async def last(self, name: str, primary: str) -> None:
        ready = [
            {"type": "Ready", "status": "False"},
            {"type": "ContainersReady", "status": "True"},
        ]
        await self.pods.set(name, conditions=ready)
        taint = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
        self.pods.found[name]["metadata"]["deletionTimestamp"] = STAMP
        await self.pods.set(name, conditions=[*ready, taint])


class NodeSilent(Dies):
    """The node is silent but not yet lost: a deleted pod remains (fault 53)."""

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        if request.path.endswith("/portforward") and self.times:
            return refused(500, "error dialing backend: no route to host")
        return await proceed(request)

    async def last(self, name: str, primary: str) -> None:
        self.times += 1
        ready = [
            {"type": "Ready", "status": "False"},
            {"type": "ContainersReady", "status": "True"},
        ]
        await self.pods.set(name, conditions=ready)


class Rejected(Script):
    """The kubelet rejects the pod: Failed, OutOfmemory, without container statuses (fault 24)."""

    async def live(self, name: str) -> None:
        await self.pods.assign_node(name)
        message = "Pod was rejected: Node didn't have enough resource: memory"
        await self.pods.set(name, phase="Failed", reason="OutOfmemory", message=message)


class PhaseUnknown(Script):
    """The phase is Unknown for a moment while the cell runs (fault 26)."""

    async def live(self, name: str) -> None:
        unknown = asyncio.ensure_future(self._later(name))
        await super().live(name)
        await unknown

    async def _later(self, name: str) -> None:
        await asyncio.sleep(0.5)
        await self.pods.set(name, phase="Unknown")


class Hangs(Script):
    """After "cut here", the connection stays open but transfers no data (fault 30)."""

    def on_data(self, data: bytes) -> None:
        if CUT in data and not self.times:
            self.times += 1
            self.forwards.hold()


class Crawls(Hangs):
    """After "cut here", output is held until the cell has printed its last line (fault 42)."""

    def on_data(self, data: bytes) -> None:
        super().on_data(data)
        if CUT in data:
            self.waiting = asyncio.ensure_future(self._last_line())

    async def _last_line(self) -> None:
        async with self.pods.state_changed:
            await self.pods.state_changed.wait_for(
                lambda: any(b"the last\n" in log for log in self.pods.logs.values())
            )
        self.forwards.let_go()
