"""The slots for opening streams bound a crowd of tasks, and a pod that never answers blocks nobody."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from podtask.cluster import namespace
from podtask.cluster.namespace import MAX_OPENING_STREAMS, Namespace

WAITING = 3  # callers beyond the number of slots


def _namespace() -> Namespace:
    api: Any = SimpleNamespace(call_at_close=lambda close: None, access=SimpleNamespace(context="c"))
    return Namespace(api, "n")


async def _hold_slots(ns: Namespace, done: asyncio.Event, entered: list[int]) -> list[asyncio.Task[None]]:
    async def hold(number: int) -> None:
        async with ns.opening_slot():
            entered.append(number)
            await done.wait()

    holders = [asyncio.ensure_future(hold(number)) for number in range(MAX_OPENING_STREAMS + WAITING)]
    await _let_all_run()
    return holders


async def _let_all_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_streams_beyond_the_slots_wait_for_a_free_one_in_their_order() -> None:
    async def main() -> None:
        done, entered = asyncio.Event(), list[int]()
        ns = _namespace()
        assert ns.has_free_slot
        holders = await _hold_slots(ns, done, entered)
        assert not ns.has_free_slot
        assert entered == list(range(MAX_OPENING_STREAMS))
        holders[0].cancel()
        await _let_all_run()
        assert entered == list(range(MAX_OPENING_STREAMS + 1))
        done.set()
        await asyncio.gather(*holders[1:])
        assert entered == list(range(MAX_OPENING_STREAMS + WAITING))

    asyncio.run(main())


def test_streams_that_never_open_free_their_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "MAX_SLOT_SECONDS", 0.01)

    async def main() -> None:
        ns, never, entered = _namespace(), asyncio.Event(), list[int]()
        holders = await _hold_slots(ns, never, entered)
        async with ns.opening_slot():  # passes although all others still hold on
            assert len(entered) == MAX_OPENING_STREAMS + WAITING
        for each in holders:
            each.cancel()
        await asyncio.gather(*holders, return_exceptions=True)
        # Each slot was freed once, not twice: the bound holds again.
        entered.clear()
        monkeypatch.setattr(namespace, "MAX_SLOT_SECONDS", 60)
        holders = await _hold_slots(ns, never, entered)
        assert len(entered) == MAX_OPENING_STREAMS
        for each in holders:
            each.cancel()
        await asyncio.gather(*holders, return_exceptions=True)

    asyncio.run(main())
