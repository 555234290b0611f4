"""The steps that Undo goes back: earlier states of a draft. Pure."""

from __future__ import annotations

from .draft import Draft, DraftState

MAX_STEPS = 100


class History:
    """The earlier states of a draft; consecutive changes by the same input are one step.

    Args:
        draft: The draft.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._steps: list[DraftState] = []
        self._current = draft.state()
        self._source: object = None  # of the last change

    def __bool__(self) -> bool:
        return bool(self._steps)

    def record(self, source: object = None) -> None:
        """Add a step if the draft has changed.

        Args:
            source: What has changed it, such as an input; None for a change that is a step of its own.
        """
        state = self._draft.state()
        if state == self._current:
            return
        if source is None or source is not self._source:
            self._steps = [*self._steps, self._current][-MAX_STEPS:]
        self._current, self._source = state, source

    def undo(self) -> None:
        """Go back by one step; without one, do nothing."""
        if self._steps:
            self._current, self._source = self._steps.pop(), None
            self._draft.restore(self._current)
