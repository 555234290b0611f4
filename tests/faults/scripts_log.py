"""What goes wrong while a log is followed, which is all that a batch task says."""

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
    """After its fifth line the first who follows gets no more, and nobody hangs up (fault 30)."""

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
    """So it is because the log was rotated, and its first half is nowhere any more (faults 31, 32)."""

    async def tell(self, name: str, line: bytes) -> bytes | None:
        if self.told == 5:
            self.pods.rotate(name, line)
        return await super().tell(name, line)


class FollowEnds(FollowHangs):
    """After its fifth line the pod is gone, and its log with it (fault 41)."""

    async def tell(self, name: str, line: bytes) -> bytes | None:
        self.told += 1
        if self.told == 6:
            await self.pods.remove(name)
            return b""
        return line
