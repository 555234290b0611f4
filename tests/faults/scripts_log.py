"""Faults while the log of a batch task is followed."""

from __future__ import annotations

import asyncio

from .scripts import Script


class FollowCut(Script):
    """The connection breaks in the middle of the tenth line, three times (faults 29, 33, 34)."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0  # lines since the last cut

    async def log_line(self, name: str, line: bytes) -> bytes | None:
        self.sent += 1
        if self.sent == 10 and self.times < 3:
            self.sent = 0
            self.times += 1
            return None
        return line


class FollowHangs(Script):
    """After the fifth line, the first connection stays open but transfers no data (fault 30)."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    async def log_line(self, name: str, line: bytes) -> bytes | None:
        self.sent += 1
        if self.sent == 6:
            self.times += 1
            await asyncio.Event().wait()
        return line


class FollowRotates(FollowHangs):
    """Like "follow-hangs", because the log was rotated: its first half is missing (faults 31, 32)."""

    async def log_line(self, name: str, line: bytes) -> bytes | None:
        if self.sent == 5:
            self.pods.rotate(name, line)
        return await super().log_line(name, line)


class FollowEnds(FollowHangs):
    """After the fifth line, the pod and its log are deleted (fault 41)."""

    async def log_line(self, name: str, line: bytes) -> bytes | None:
        self.sent += 1
        if self.sent == 6:
            await self.pods.remove(name)
            return b""
        return line
