"""A clock that runs in the page, so that the kernel sends no requests while nobody looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w

from .page import styled

MAX_TICKS = 1_000_000  # then it starts again


class PageClock:
    """Calls a function when a page begins to show its widget, and then at an interval while the clock runs.

    The kernel cannot know whether a page is still open. So the page counts the time: once the page is closed or the
    output is cleared, nothing is called.

    Args:
        interval_seconds: Seconds between two calls.
        on_tick: Called in the thread that receives the messages of the page.

    Attributes:
        widget: The widget, which is not visible; its place is in the widget that changes at each tick.
    """

    def __init__(self, interval_seconds: float, on_tick: Callable[[], None]) -> None:
        self._on_tick = on_tick
        self._views = 0  # pages count their views, because the trait has a number
        play = w.Play(interval=int(interval_seconds * 1000), max=MAX_TICKS, repeat=True, _view_count=0)
        play.observe(lambda _: self._tick(), "value")
        play.observe(self._count_views, "_view_count")
        self.widget = styled(play, "pt-hidden")

    def set_running(self, runs: bool) -> None:
        """Start or stop the clock."""
        self.widget.playing = runs

    def _tick(self) -> None:
        if self._views:
            self._on_tick()

    def _count_views(self, change: Any) -> None:
        before, self._views = self._views, change.new or 0
        if self._views <= before:
            return
        self._on_tick()
        if self.widget.playing:  # a page lets the time run only if it sees the start
            self.widget.playing = False
            self.widget.playing = True
