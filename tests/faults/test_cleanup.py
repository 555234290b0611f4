"""What the next kernel is told of and deletes, and what ``gc`` deletes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import podtask
import pytest
from podtask.event_loop import loop
from podtask.magics import commands
from podtask.manage import previous_kernels
from podtask.manifest.identity import KERNEL_ID
from podtask.manifest.labels import KERNEL_LABEL
from podtask.runner.protocol import EXIT_NO_CLIENT

from .pods import ended
from .scripts import Script
from .server import Server
from .tasks import put_task, stamp
from .user import SECONDS, Play

NOTEBOOK = "0123456789abcdef"
MINUTE, HOUR, DAY = 60, 3600, 86_400
PENDING = {"phase": "Pending"}


@pytest.fixture(autouse=True)
def _alice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODTASK_USER", "alice")
    monkeypatch.setattr(previous_kernels, "_reported", set())


def gc(flags: str = "") -> None:
    """Run ``%podtask gc``."""
    commands.run(commands.ShellState({}, lambda task, guard: None), f"gc {flags}")


def next_kernel(**options: Any) -> list[str]:
    """Do what the first cell of a kernel does with the tasks of earlier ones; return the lines that it shows."""
    lines: list[str] = []

    async def report() -> None:
        given = podtask.RunOptions.of(**options)
        await previous_kernels.report_previous_tasks(given, NOTEBOOK, lines.append)
        await asyncio.gather(*loop()._background)

    loop().start(report()).result(SECONDS)
    return lines


def waiting_result(age_seconds: float) -> dict[str, Any]:
    """Return the status of a pod that wrote its result to the log some time ago."""
    status = ended("primary", EXIT_NO_CLIENT)
    done = status["containerStatuses"][0]["state"]["terminated"]
    done |= {"message": '{"status": "ok"}', "finishedAt": stamp(age_seconds)}
    return status


def deleted(server: Server) -> set[str]:
    """Return the names of the pods whose deletion was requested."""
    return {path.rpartition("/")[2] for verb, path, _ in server.asked if verb == "DELETE"}


@pytest.mark.fault(86)
def test_next_kernel_is_told_of_its_own_users_tasks(play: Play) -> None:
    """Two users may have a notebook of the same path; each is told of the own tasks."""
    server = play(Script())
    for user in ("alice", "bob"):
        put_task(server, user, f"running-{user}", notebook=NOTEBOOK)
        put_task(server, user, f"done-{user}", notebook=NOTEBOOK, status=waiting_result(HOUR))
    put_task(server, "alice", "elsewhere", notebook="another")
    assert next_kernel() == [
        "1 task of this notebook is still running: running-alice (%podtask attach NAME, or cancel NAME)",
        "finished, result not fetched: done-alice (%podtask attach NAME)",
    ]
    assert deleted(server) == set()


@pytest.mark.fault(86)
def test_age_at_which_a_task_is_removed_is_its_own(play: Play) -> None:
    """The ``--keep`` of the next notebook does not count; a task that is removed is not reported."""
    server = play(Script())
    for alias, days, keep in (("month", 10, "30d"), ("week", 6, "7d")):
        age = days * DAY
        status = waiting_result(age)
        put_task(server, "alice", alias, age_seconds=age, status=status, notebook=NOTEBOOK, keep=keep)
    old = put_task(server, "alice", notebook=NOTEBOOK, status=waiting_result(8 * DAY))
    hour = put_task(server, "alice", status=waiting_result(2 * HOUR), keep="1h")
    put_task(server, "bob", status=waiting_result(8 * DAY))
    assert next_kernel(keep="1s") == ["finished, result not fetched: week, month (%podtask attach NAME)"]
    assert deleted(server) == {old, hour}


@pytest.mark.fault(86)
def test_gc_keeps_a_waiting_result_for_the_time_of_its_task(
    play: Play, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A setting of the next notebook does not count, either; ``gc --keep`` does, for own tasks."""
    monkeypatch.setenv("PODTASK_KEEP", "1s")
    server = play(Script())
    month = put_task(server, "alice", "month", status=waiting_result(10 * DAY), keep="30d")
    old = put_task(server, "alice", status=waiting_result(8 * DAY))
    failed = put_task(server, "alice", status=ended("primary", 1))
    put_task(server, "bob", status=ended("primary", 1))
    gc()
    assert deleted(server) == {old, failed}
    assert "Kept, because their results wait: month" in capsys.readouterr().out
    gc("--keep 1d")
    assert deleted(server) == {old, failed, month}


CASES = {
    "foreground": (31 * MINUTE, {}, {}, True),
    "foreground, still in time": (29 * MINUTE, {}, {}, False),
    "foreground, own time": (31 * MINUTE, {"start_timeout": "1h"}, {}, False),
    "detached": (8 * DAY, {"detach": True}, {}, True),
    "detached, still in time": (6 * DAY, {"detach": True}, {}, False),
    "detached, own time": (2 * HOUR, {"detach": True, "start_timeout": "1h"}, {}, True),
    "gated": (8 * DAY, {}, {"schedulingGates": [{"name": "team/later"}]}, True),
    "gated, still in time": (6 * DAY, {}, {"schedulingGates": [{"name": "team/later"}]}, False),
    "queue, still in time": (6 * DAY, {"queue": "team"}, {}, False),
}


@pytest.mark.fault(112)
@pytest.mark.parametrize("clean_up", [gc, next_kernel], ids=["gc", "next kernel"])
@pytest.mark.parametrize(("age", "options", "spec", "goes"), CASES.values(), ids=list(CASES))
def test_pod_that_never_started_is_removed_after_its_time(
    play: Play,
    clean_up: Callable[[], object],
    age: float,
    options: dict[str, Any],
    spec: dict[str, Any],
    goes: bool,
) -> None:
    """A living kernel deletes such a pod itself, so an overdue one has none; nothing else would ever delete it."""
    server = play(Script())
    name = put_task(server, "alice", age_seconds=age, status=PENDING, spec=spec, **options)
    clean_up()
    assert deleted(server) == ({name} if goes else set())


@pytest.mark.fault(112)
@pytest.mark.parametrize("clean_up", [gc, next_kernel], ids=["gc", "next kernel"])
def test_pod_that_may_still_start_stays(play: Play, clean_up: Callable[[], object]) -> None:
    """The pods of others, of this kernel, those that have just got a node, run, or are being deleted."""
    server = play(Script())
    put_task(server, "bob", age_seconds=HOUR, status=PENDING)
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(MINUTE)}
    put_task(server, "alice", age_seconds=HOUR, status={**PENDING, "conditions": [placed]})
    put_task(server, "alice", age_seconds=30 * DAY, status={"phase": "Running"})
    own = put_task(server, "alice", age_seconds=HOUR, status=PENDING)
    server.pods.found[own]["metadata"]["labels"][KERNEL_LABEL] = KERNEL_ID
    going = put_task(server, "alice", age_seconds=HOUR, status=PENDING)
    server.pods.found[going]["metadata"]["deletionTimestamp"] = stamp(0)
    clean_up()
    assert deleted(server) == set()


@pytest.mark.fault(112)
def test_detached_pod_may_take_a_week_to_start() -> None:
    """The default of ``--start-timeout`` is longer for a pod that nobody waits for; a given time counts for both."""
    assert podtask.RunOptions().start_seconds == 30 * MINUTE
    assert podtask.RunOptions(detach=True).start_seconds == 7 * DAY
    assert podtask.RunOptions.of(detach=True, start_timeout="1m").start_seconds == MINUTE
