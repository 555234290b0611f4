"""Faults while the log of a batch task is followed."""

from __future__ import annotations

import asyncio

from .scripts import Script


class FollowCut(Script):
    """The connection breaks in the middle of the tenth line, three times (faults 29, 33, 34)."""

    def __init__(self) -> None:
        super().__init__()
        self.told = 0  # lines since the last cut

    async def tell(self, name: str, line: bytes) -> bytes | None:
        self.told += 1
        if self.told == 10 and self.times < 3:
            self.told = 0
            self.times += 1
            return None
        return line


class FollowHangs(Script):
    """After the fifth line the first connection stays open and carries nothing (fault 30)."""

    def __init__(self) -> None:
        super().__init__()
        self.told = 0

    async def tell(self, name: str, line: bytes) -> bytes | None:
        self.told += 1
        if self.told == 6:
            self.times += 1
            await asyncio.Event().wait()
        return line


class FollowRotates(FollowHangs):
    """As "follow-hangs", because the log was rotated: its first half is gone (faults 31, 32)."""

    async def tell(self, name: str, line: bytes) -> bytes | None:
        if self.told == 5:
            self.pods.rotate(name, line)
        return await super().tell(name, line)


class FollowEnds(FollowHangs):
    """After the fifth line the pod and its log are gone (fault 41)."""

    async def tell(self, name: str, line: bytes) -> bytes | None:
        self.told += 1
        if self.told == 6:
            await self.pods.remove(name)
            return b""
        return line
