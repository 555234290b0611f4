"""The cells of a session take turns in the order of submission."""

from __future__ import annotations

import asyncio

from podtask.channel.session_channel import Turn


async def _order_of(turns: dict[str, Turn]) -> list[str]:
    """Return the names in the order in which they get their turns; they begin to wait in the reverse order."""
    order: list[str] = []

    async def take_turn(name: str) -> None:
        await turns[name].wait()
        order.append(name)
        turns[name].leave()

    await asyncio.wait_for(asyncio.gather(*map(take_turn, reversed(turns))), 5)
    return order


def test_turns_come_in_the_order_of_submission() -> None:
    """A cell that begins to wait later than the cells after it has its turn before them."""
    first = Turn(None)
    second = Turn(first)
    turns = {"first": first, "second": second, "third": Turn(second)}
    assert asyncio.run(_order_of(turns)) == ["first", "second", "third"]


def test_cell_that_gives_up_its_turn_keeps_the_others_in_order() -> None:
    """The cell after a stopped one still waits for the cells before that."""
    first = Turn(None)
    stopped = Turn(first)
    third = Turn(stopped)
    stopped.leave()
    assert asyncio.run(_order_of({"first": first, "third": third})) == ["first", "third"]
