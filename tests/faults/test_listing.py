"""The list of tasks asks the API server for what it needs, and for nothing while nobody looks at it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import podtask
import pytest
from aiohttp import web
from podtask.event_loop import loop
from podtask.magics import commands
from podtask.manage import task_list
from podtask.maps.map_task import MapTask
from podtask.runner.protocol import RESULT_WAITS_PREFIX
from podtask_widgets import TaskList

from tests.pods.waiting import wait_for_input_request

from .pods import ended
from .scripts import Proceed, Script, refused
from .server import Server
from .tasks import in_server, put_task
from .user import SECONDS, Play

pytestmark = pytest.mark.fault(102)
FINISHED = ended("primary", 1)


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_list, "_final_lines", {})


def put_tasks(server: Server, count: int, last_line: str, **more: Any) -> list[str]:
    """Create tasks that have printed a line."""
    names = [put_task(server, "alice", **more) for _ in range(count)]
    server.pods.logs.update({name: f"first\n{last_line}\n".encode() for name in names})
    return names


def last_lines() -> dict[str, str]:
    """List the tasks; return the last line of each pod."""
    rows = loop().start(task_list.list_tasks(podtask.RunOptions())).result(SECONDS)
    return {row.pod.name: row.last_line for row in rows}


def test_log_of_a_finished_task_is_asked_for_once(play: Play) -> None:
    """The line stays in the list; a running task and one that has finished since are asked again."""
    server = play(Script())
    finished = put_tasks(server, 20, "the end", status=FINISHED)
    [running] = put_tasks(server, 1, "step 1")
    for number in range(3):
        server.pods.logs[running] = f"step {number}\n".encode()
        assert last_lines() == {running: f"step {number}", **dict.fromkeys(finished, "the end")}
    assert server.count("GET", "/log") == 20 + 3
    in_server(server, server.pods.set(running, **FINISHED))
    server.pods.logs[running] = b"done\n"
    assert [last_lines()[running] for _ in range(2)] == ["done", "done"]
    assert server.count("GET", "/log") == 20 + 3 + 1


def test_pod_that_waits_to_start_is_asked_for_no_log(play: Play) -> None:
    """It has none yet."""
    server = play(Script())
    put_tasks(server, 5, "", status={"phase": "Pending"})
    assert set(last_lines().values()) == {""}
    assert server.count("GET", "/log") == 0


def test_task_whose_result_waits_is_asked_once(play: Play) -> None:
    """Its cell has ended, and its runner prints no other line until the pod has finished."""
    server = play(Script())
    [name] = put_tasks(server, 1, f"{RESULT_WAITS_PREFIX}ok)")
    for _ in range(2):
        [row] = loop().start(task_list.list_tasks(podtask.RunOptions())).result(SECONDS)
        assert row.state == "ok, waits"
    assert server.count("GET", "/log") == 1
    in_server(server, server.pods.set(name, **FINISHED))
    last_lines()
    assert server.count("GET", "/log") == 2


def test_list_names_other_namespaces_with_tasks_of_this_notebook(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    """A template's own namespace puts a task elsewhere; the list says how to see it, while it runs."""
    play(Script())
    other = podtask.PodTemplate(namespace="team")
    task = podtask.submit("input()", template=other)
    wait_for_input_request(task)
    state = commands.ShellState({}, lambda task, guard: None)
    line = "This notebook has tasks in namespace team, too: %podtask list -n team\n"
    commands.run(state, "list")
    assert capsys.readouterr().out.endswith(line)
    commands.run(state, "list -n team")
    assert line not in capsys.readouterr().out
    task.reply({"eof": True})
    task.exception(SECONDS)
    commands.run(state, "list")
    assert line not in capsys.readouterr().out


@podtask.task(name="sweep")
def hold(x: int) -> int:
    """Return a number; wait for a signal in its place if it is 0."""
    if x == 0:
        import signal

        signal.pause()
    return x


@pytest.fixture
def healthy(play: Play) -> Server:
    """Return an API server without any fault."""
    return play(Script())


@pytest.fixture
def held_map(healthy: Server) -> MapTask:
    """Return a map with two workers that run, of which one has run an item."""
    found = hold.submit_map([1, 0, 0], workers=2)
    assert next(found.as_completed()) == (0, 1)
    return found


@pytest.mark.feature("N10")
def test_map_is_one_row_and_is_cancelled_as_a_whole(
    held_map: MapTask, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its row says how far it is; to cancel it ends all its workers, and no others start. Ended workers are not listed."""
    state = commands.ShellState({}, lambda task, guard: None)
    commands.run(state, "list")
    [_, row] = capsys.readouterr().out.splitlines()
    assert re.split("  +", row)[0] == "sweep"
    assert re.split("  +", row)[3:] == ["2 pods", "1 of 3 done"]
    commands.run(state, "cancel sweep")
    assert held_map.wait(SECONDS)
    assert held_map.progress.stopped == 2
    commands.run(state, "list")
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"Cancelled: {held_map.name}"
    assert "ended in this notebook" not in " ".join(rest)


@pytest.mark.feature("N10", "N09")
def test_row_of_a_map_unfolds_to_its_workers(healthy: Server, held_map: MapTask) -> None:
    """In the widget, too: each worker has its log, and the map is cancelled with two clicks."""
    page = Page(healthy)
    assert page.shown == [("sweep", ["Workers", "Cancel"])]
    page.click("Workers sweep")
    assert page.shown == [("sweep", ["Fold", "Cancel"]), ("worker", ["Logs"]), ("worker", ["Logs"])]
    page.click("Fold sweep")
    assert page.shown == [("sweep", ["Workers", "Cancel"])]
    page.click("Cancel sweep")
    assert not held_map.done()
    page.click("Cancel sweep")
    assert held_map.wait(SECONDS)
    assert held_map.progress.stopped == 2
    page.tasks.widget.close()


class LogsRefused(Script):
    """Logs are refused with a status code."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self._code = code

    async def answer(self, request: web.Request, proceed: Proceed) -> web.StreamResponse:
        return refused(self._code, "no") if request.path.endswith("/log") else await proceed(request)


@pytest.mark.parametrize(("code", "times"), [(403, 1), (404, 1), (500, 2), (429, 2)])
def test_refused_log_is_asked_for_again_only_if_that_may_help(play: Play, code: int, times: int) -> None:
    """A missing right or log stays missing; an API server that is busy is asked once more."""
    server = play(LogsRefused(code))
    put_tasks(server, 1, "the end", status=FINISHED)
    for _ in range(2):
        assert set(last_lines().values()) == {""}
    assert server.count("GET", "/log") == times


def test_lines_of_deleted_tasks_are_forgotten(play: Play) -> None:
    """What the kernel keeps is bounded by what is listed."""
    server = play(Script())
    first, second = put_tasks(server, 2, "the end", status=FINISHED)
    last_lines()
    in_server(server, server.pods.remove(first))
    assert last_lines() == {second: "the end"}
    assert [len(lines) for lines in task_list._final_lines.values()] == [1]


class Page:
    """A page with a list of tasks: it counts its views, and the time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.tasks = TaskList()
        self._clock = self.tasks._clock.widget
        self.settle()

    def settle(self) -> None:
        """Wait until the list that was asked for has come and is shown."""
        assert self.tasks._request is not None
        self.tasks._request.result(SECONDS)
        loop().start(_nothing()).result(SECONDS)  # what follows a request in the loop has been done

    def show(self) -> None:
        """Show the list."""
        self._clock._view_count += 1
        self.settle()

    def hide(self) -> None:
        """Clear the output."""
        self._clock._view_count -= 1

    def pass_time(self) -> None:
        """Count the time if the clock runs."""
        if self._clock.playing:
            self._clock.value += 1
            self.settle()

    @property
    def shown(self) -> list[tuple[str, list[str]]]:
        """The name in each row, and the labels of its buttons."""
        rows = [row.children for row in self.tasks._rows.children[1:]]
        return [
            (re.sub("<.*?>", "", name.value), [button.description for button in buttons.children])
            for name, *_, buttons in rows
        ]

    def click(self, words: str) -> None:
        """Click the button with this tooltip."""
        buttons = [button for row in self.tasks._rows.children[1:] for button in row.children[-1].children]
        next(button for button in buttons if button.tooltip == words).click()

    @property
    def asked(self) -> int:
        """Number of lists that were requested."""
        return self._server.count("GET", "/pods")


async def _nothing() -> None:
    pass


@pytest.fixture
def page(play: Play) -> Iterator[Page]:
    """Return a page that does not show the list yet; one task runs."""
    server = play(Script())
    put_tasks(server, 1, "step 1")
    made = Page(server)
    yield made
    made.tasks.widget.close()


def test_list_that_is_not_shown_asks_nothing(page: Page) -> None:
    """It is read when it is made, whenever it appears, and then as long as a page counts the time."""
    assert page.asked == 1
    page.pass_time()
    assert page.asked == 1
    page.show()
    assert page.asked == 2
    page.pass_time()
    page.pass_time()
    assert page.asked == 4
    page.hide()
    page.pass_time()
    assert page.asked == 4
    page.show()
    assert page.asked == 5


def test_page_that_appears_later_starts_the_clock(page: Page) -> None:
    """A page counts the time only if it sees the clock start."""
    starts: list[bool] = []
    page.show()
    page._clock.observe(lambda change: starts.append(change.new), "playing")
    page.show()
    assert starts == [False, True]


def test_list_of_finished_tasks_stops_the_clock(page: Page) -> None:
    """Nothing of it changes; the next page that shows it asks once."""
    page.show()
    [name] = page._server.pods.found
    in_server(page._server, page._server.pods.set(name, **FINISHED))
    page.pass_time()
    asked = page.asked
    assert not page._clock.playing
    page.pass_time()
    assert page.asked == asked
    page.show()
    assert page.asked == asked + 1
