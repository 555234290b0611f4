"""The pod of a session: one for all cells, found again after a cut, deleted at the end, lost with its node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import podtask
import pytest
from kubernetes.client import V1Container, V1PodSpec
from podtask import PodTemplate, RunOptions
from podtask.api.session_list import ANOTHER_KERNEL, list_sessions
from podtask.event_loop import loop
from podtask.manifest.labels import KERNEL_LABEL
from podtask.runner.protocol import STREAM
from podtask.sessions import registry
from podtask.sessions.session import Session
from podtask.sessions.visit import read_state

from .scripts import Script
from .user import Play

ENDLESS = "print('up', flush=True)\nimport signal\nsignal.pause()"
pytestmark = pytest.mark.usefixtures("forgotten_sessions")


@pytest.fixture
def forgotten_sessions() -> Iterator[None]:
    """Forget the sessions of a test, whose server is gone."""
    yield
    registry._sessions.clear()


def test_cells_share_one_pod(play: Play) -> None:
    """Three calls create one pod; it has no owner, and is deleted with the session."""
    server = play(Script())
    with podtask.session("s") as session:
        pids = [session.run("import os\nos.getpid()") for _ in range(3)]
        assert len(set(pids)) == 1
        [pod] = server.pods.found.values()
        assert "ownerReferences" not in pod["metadata"]
    assert server.count("POST", "/pods") == 1
    assert server.count("DELETE", f"/pods/{pod['metadata']['name']}") == 1


@pytest.mark.fault(117)
def test_cut_connection_loses_nothing(play: Play) -> None:
    """After the connection broke between two cells, the next cell runs in the same process."""
    play(Script())
    with podtask.session("s") as session:
        session.run("x = 1")
        loop().run(cut(registry.find_session("s")))
        assert session.run("x") == 1
        task = session.submit(ENDLESS)
        wait_for_output(task)
        loop().run(cut(registry.find_session("s")))
        task.interrupt()
        with pytest.raises(KeyboardInterrupt):
            task.result(60)
        assert session.run("x") == 1


@pytest.mark.fault(122)
def test_lost_pod_ends_the_session_and_the_next_cell_begins_another(play: Play) -> None:
    """A pod that is deleted from outside: the running cell says what is lost, and the next cell gets a new pod."""
    server = play(Script())
    session = podtask.session("s")
    session.run("x = 1")
    task = session.submit(ENDLESS)
    wait_for_output(task)
    [name] = server.pods.found
    asyncio.run_coroutine_threadsafe(server.pods.delete(name, 0), server.loop).result(30)
    error = task.exception(60)
    assert isinstance(error, podtask.TaskError)
    assert "Session s has ended" in str(error)
    assert "Lost: x" in str(error)
    again = podtask.session("s")
    assert again.run("'x' in globals()") is False
    again.end()
    assert server.count("POST", "/pods") == 2


@pytest.mark.fault(119)
def test_loser_of_a_race_attaches(play: Play) -> None:
    """Another kernel has just created the pod: this one attaches to it, and its cell finds what the session has."""
    server = play(Script())
    first = podtask.session("s")
    first.run("x = 1")
    earlier = registry._sessions.pop("s")  # of another kernel, which has not seen the pod when it looked
    late = Session("s", RunOptions.of(session="s", image="python:3.11-slim"))
    [pod] = server.pods.found.values()
    pod["metadata"]["labels"][KERNEL_LABEL] = "another"
    registry._sessions["s"] = late
    again = podtask.session("s")
    assert again.run("x") == 1
    assert late.is_race_lost
    assert "was taken over by" in earlier.ended
    assert len(server.pods.found) == 1
    again.end()


def test_taken_over_between_two_cells_is_told_at_once(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    """While no cell runs, one line tells of the takeover; the next cell takes the session back, with its variables."""
    play(Script())
    first = podtask.session("s")
    first.run("x = 1")
    older = registry._sessions.pop("s")
    second = podtask.session("s")
    assert second.run("x") == 1
    loop().run(wait_until_failed(older))
    told = capsys.readouterr().err
    assert "podtask: Session s (podtask-" in told
    assert "%%podtask --session s takes it over again." in told
    second.end()


@pytest.mark.fault(134)
def test_another_template_names_the_fields_that_differ(play: Play) -> None:
    """The template of another kernel's session: the error has both values; the same template is accepted."""
    play(Script())
    one, other = (
        PodTemplate(V1PodSpec(containers=[V1Container(name="primary", image=image)]))
        for image in ("a:1", "a:2")
    )
    with podtask.session("s", one) as session:
        session.run("x = 1")
        registry._sessions.pop("s")
        with pytest.raises(podtask.InputError) as refused:
            podtask.session("s", other)
        assert "the template differs (spec.containers[primary].image: a:1 there, a:2 here)" in str(
            refused.value
        )
        again = podtask.session("s", one)
        assert again.run("x") == 1
        again.end()


def test_visit_leaves_the_session_with_its_kernel(play: Play) -> None:
    """The list asks a session of another kernel for its state; that kernel goes on without a new connection."""
    play(Script())
    with podtask.session("s") as session:
        session.run("x = 1")
        own = registry._sessions.pop("s")
        [row] = loop().run(list_sessions(RunOptions()))
        assert (row.name, row.state, row.names, row.kernel) == ("s", "idle", ("x",), ANOTHER_KERNEL)
        assert row.python.startswith("3.")
        found = registry.find_other_session("s", RunOptions())
        assert found is not None
        extended = loop().run(read_state(found, 7200))
        assert extended is not None
        assert extended.idle_left > 7000
        registry._sessions["s"] = own
        assert session.run("x") == 1
        assert own._runner is not None
        assert own._runner.channel.reconnects == 0
        assert own.idle_seconds_left is not None


async def wait_until_failed(session: Session) -> None:
    """Wait until a session has been told that nothing can be run in it any more."""
    assert session._runner is not None
    following = session._runner.channel._following
    assert following is not None
    await asyncio.wait({following})


def wait_for_output(task: podtask.Task) -> None:
    """Wait until a cell has printed something."""
    while (frame := task.updates.get(timeout=60).frame) is None or frame.kind != STREAM:
        pass


async def cut(session: Session) -> None:
    """Break the connection of a session."""
    assert session._runner is not None
    link = session._runner.channel._link
    assert link is not None
    await link.stream.close()
