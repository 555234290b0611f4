"""The task list, with tasks of kernels that no longer exist."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from podtask_widgets import TaskList

from tests.notebook import Shell
from tests.pods.test_comeback import COUNTS, start_and_kill, wait_until_ended

pytestmark = pytest.mark.cluster


class Listed:
    """Task list and its user."""

    def __init__(self) -> None:
        self.tasks = TaskList()
        self._clock = self.tasks._clock.widget
        self._clock._view_count = 1

    def until(self, so: Callable[[], object]) -> None:
        """Be a page that shows the list, until the list meets a condition."""
        come = threading.Event()

        def look(*_: object) -> None:
            if so():
                come.set()

        def follow(*_: object) -> None:  # rows are created again when a task ends
            for cell in self._cells():
                cell.observe(look, "value")
            look()

        for widget in (self.tasks._title, self.tasks._message):
            widget.observe(look, "value")
        self.tasks._rows.observe(follow, "children")
        follow()
        for _ in range(300):
            if come.wait(0.2):
                return
            self._clock.value += 1
        raise AssertionError((self.said, self.shown))

    @property
    def log(self) -> str:
        """The log below the list."""
        return str(self.tasks._log_tabs.children[0].value)

    def _cells(self) -> list[Any]:
        return [cell for texts in self.tasks._cells_by_key.values() for cell in texts]

    @property
    def said(self) -> str:
        """The text above the list."""
        return str(self.tasks._message.value)

    @property
    def shown(self) -> str:
        """The text of the list."""
        return str(self.tasks._title.value) + " ".join(cell.value for cell in self._cells())

    def click(self, words: str) -> None:
        """Click the button with this tooltip."""
        for row in self.tasks._rows.children[1:]:
            for button in row.children[-1].children:
                if button.tooltip == words:
                    button.click()
                    return
        raise AssertionError(f"no button {words!r}")


@pytest.fixture
def listed(pods: Shell) -> Iterator[Callable[[], Listed]]:
    """Return a function that opens a task list."""
    made: list[Listed] = []

    def show() -> Listed:
        made.append(Listed())
        return made[-1]

    yield show
    for each in made:
        each.tasks.widget.close()


@pytest.mark.feature("N08", "N02")
def test_attach_to_a_task_of_another_kernel(listed: Callable[[], Listed], kubeconfig: Path) -> None:
    """U23: a click attaches to a task whose kernel is gone: its output is below, its value arrives, and it leaves the list."""
    start_and_kill(kubeconfig, COUNTS, name="night")
    shown = listed()
    shown.until(lambda: "1 task" in shown.shown)
    shown.click("Attach night")
    assert "Attached to night" in shown.said
    task = shown.tasks.attached["night"]
    assert task.result(60) == 999
    assert shown.tasks._log_tabs.titles[0] == "primary"
    shown.until(lambda: "line 399" in shown.log)
    shown.until(lambda: "night has ended: ok." in shown.said)
    task.delete()
    shown.tasks.refresh()
    shown.until(lambda: "No tasks" in shown.shown)


@pytest.mark.feature("N08")
@pytest.mark.parametrize(("linger", "state"), [("1s", "ok, in its log"), ("60s", "ok, waits")])
def test_unfetched_result_is_deleted_by_a_second_click(
    listed: Callable[[], Listed],
    kubeconfig: Path,
    cluster: Any,
    namespace: str,
    linger: str,
    state: str,
) -> None:
    """The first click shows what would be lost, in the pod or in its log; the second deletes."""
    name = start_and_kill(kubeconfig, COUNTS, name="night", linger=linger)
    if linger == "1s":
        wait_until_ended(cluster, namespace, name)
    shown = listed()
    shown.until(lambda: "1 task" in shown.shown)
    shown.until(lambda: state in shown.shown)
    shown.click("Delete night")
    assert "The result of night has not been fetched" in shown.said
    shown.click("Delete night")
    shown.until(lambda: "night was deleted." in shown.said)
    cluster.kubectl("wait", "--for=delete", f"pod/{name}", "-n", namespace, "--timeout=60s")
    shown.tasks.refresh()
    shown.until(lambda: "No tasks" in shown.shown)


@pytest.mark.feature("N08")
def test_cancel_a_task_of_another_kernel(
    listed: Callable[[], Listed], kubeconfig: Path, cluster: Any, namespace: str
) -> None:
    """U23: the first click asks, the second cancels a task that has no result yet."""
    name = start_and_kill(
        kubeconfig, "print('line 0', flush=True)\nimport time\ntime.sleep(600)", name="long"
    )
    shown = listed()
    shown.until(lambda: "1 task" in shown.shown)
    shown.click("Cancel long")
    assert "long has not ended. Click Cancel again" in shown.said
    shown.click("Cancel long")
    shown.until(lambda: "long was cancelled." in shown.said)
    cluster.kubectl("wait", "--for=delete", f"pod/{name}", "-n", namespace, "--timeout=60s")
