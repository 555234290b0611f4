"""The items of a map as squares and as a bar: counts, shared squares, titles."""

from __future__ import annotations

import re

import pytest
from podtask.display.map_view import error_text, map_status
from podtask.display.squares import BAR_CHARS, MAX_SQUARES, bar_text, square_state, squares_html
from podtask.errors import Lost
from podtask.maps.progress import FailureGroup, ItemState, Progress

WAITING, RUNNING, SUCCEEDED, FAILED, LOST, STOPPED = map(int, ItemState)


def progress(states: bytes, *failures: FailureGroup) -> Progress:
    """Return a map whose items have these states."""
    return Progress(len(states), 0, 0, 0, 1, 0, None, 1.0, failures, states)


@pytest.mark.parametrize(
    "states",
    [
        bytes([SUCCEEDED]),
        bytes([SUCCEEDED] * 9_995 + [FAILED, LOST, RUNNING, STOPPED, WAITING]),
        bytes([WAITING] * 7 + [FAILED] * 7),
        bytes([SUCCEEDED, FAILED, LOST, RUNNING, STOPPED, WAITING] * 100),
    ],
)
def test_bar_has_one_length_and_shows_every_state(states: bytes) -> None:
    """The bar is as long for any map, and one failed item among thousands has its character."""
    bar, counts = bar_text(states).removeprefix("[").split("] ")
    assert len(bar) == BAR_CHARS
    assert len(set(bar)) == len(set(states))
    assert sum(int(number) for number in re.findall(r"\d+", counts)) == len(states)


@pytest.mark.parametrize(
    ("square", "state"),
    [
        ([SUCCEEDED, FAILED, LOST, RUNNING], FAILED),
        ([SUCCEEDED, LOST, RUNNING], LOST),
        ([SUCCEEDED, RUNNING, WAITING], RUNNING),
        ([SUCCEEDED, WAITING], RUNNING),
        ([SUCCEEDED, STOPPED], STOPPED),
        ([SUCCEEDED, SUCCEEDED], SUCCEEDED),
        ([WAITING, WAITING], WAITING),
    ],
)
def test_shared_square_shows_what_matters_most(square: list[int], state: int) -> None:
    """A failed item is seen whatever the others of its square do; a square is done once all of them are."""
    assert square_state(bytes(square)) == state


def test_many_items_share_squares() -> None:
    """10,000 items have 500 squares, the legend says how many share one, and a title counts those of its square."""
    states = bytearray([SUCCEEDED] * 10_000)
    states[345] = FAILED
    shown = squares_html(bytes(states), {345: "ValueError at line 5"})
    assert "a square is 20 items" in shown
    assert "<title>items 340 to 359: 19 succeeded, 1 failed</title>" in shown
    assert 'aria-label="10000 items: 9999 succeeded, 1 failed"' in shown
    done = re.search(r'data-state="succeeded"[^>]* d="([^"]+)"', shown)
    assert done is not None
    assert done[1].count("M") == 499


def test_few_items_have_a_square_each() -> None:
    """Up to 600 items have a square each; that of a failed item says why, and nothing of an error becomes HTML."""
    states = bytes([SUCCEEDED] * (MAX_SQUARES - 2) + [RUNNING, FAILED])
    shown = squares_html(states, {MAX_SQUARES - 1: "<b>Odd</b> at line 5"})
    assert "a square is" not in shown
    assert "<title>item 598: running</title>" in shown
    assert "<title>item 599: &lt;b&gt;Odd&lt;/b&gt; at line 5</title>" in shown


def test_group_unfolds_its_first_error() -> None:
    """Failures of one kind and line are one line with their indexes; at the end it unfolds the first error in full."""
    group = FailureGroup("ValueError", "line 5", tuple(range(3, 15)), "<empty> file")
    states = bytes([FAILED] * 15)
    while_running = map_status(progress(states, group))
    line = "ValueError: <empty> file · line 5 · 12 items: 3, 4, 5, 6, 7, 8, 9, 10, …"
    assert while_running.text.splitlines()[-1] == line
    assert "<details" not in while_running.html
    ended = map_status(progress(states, group), "key", lambda index: f"<error> of {index}\nin full")
    assert ended.text.splitlines()[-1] == line
    assert "&lt;error&gt; of 3\nin full</pre>" in ended.html
    assert "<empty>" not in ended.html


def test_map_without_items_has_no_squares() -> None:
    """A map of no items is its line alone."""
    status = map_status(progress(b""), "key", str)
    assert len(status.text.splitlines()) == 1
    assert "<svg" not in status.html


def test_line_is_replaced_only_if_an_item_or_a_worker_has_changed() -> None:
    """The version of the line does not depend on times."""
    before = Progress(2, 1, 0, 0, 1, 0, None, 1.0, (), bytes([SUCCEEDED, RUNNING]))
    later = Progress(2, 1, 0, 0, 1, 0, None, 9.0, (), bytes([SUCCEEDED, RUNNING]))
    other = Progress(2, 1, 0, 0, 1, 0, None, 9.0, (), bytes([SUCCEEDED, FAILED]))
    assert map_status(before).version == map_status(later).version != map_status(other).version


def test_errors_in_full() -> None:
    """An error of the code has its traceback, one of podtask its message and what to do."""
    try:
        raise ValueError("empty file")
    except ValueError as error:
        shown = error_text(error)
    assert shown.startswith("Traceback")
    assert shown.endswith("ValueError: empty file")
    lost = error_text(Lost("Item 9 was lost.", "Run it again."))
    assert lost.splitlines()[0] == "Lost: Item 9 was lost."
    assert "Run it again." in lost
