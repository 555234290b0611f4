"""The runner of a session: one process executes cell after cell, until a time limit or a client ends it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from podtask.backends.local import LocalProcess
from podtask.channel.job import job_frames
from podtask.runner import protocol

from tests.local.test_channel import job
from tests.local.test_executions import Client, open_files, result_of, with_runner

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="reads /proc")


async def run_in(
    client: Client,
    name: str,
    source: str,
    values: dict[str, Any] | None = None,
    **session: float,
) -> None:
    """Send a cell of a session with the output ``value``, and ask for its values."""
    work = job(source, ["value"], values)
    work.meta.update(
        exec=name, session={"idle": 60, "number": 0, **session}, local=True, max_last_value=1 << 18
    )
    for frame in job_frames(work, 0):
        await client.send_parts(*frame)
    await client.send(protocol.FETCH, {"exec": name, "attempt": 1, "offset": 0})


async def result(client: Client, name: str) -> protocol.Frame:
    """Return the result of a cell, and acknowledge it."""
    frame = await client.receive(protocol.RESULT, exec=name)
    await client.send(protocol.ACK, {"exec": name})
    return frame


async def output(client: Client, name: str, source: str, values: dict[str, Any] | None = None) -> bytes:
    """Run a cell that prints a line; return the line."""
    await run_in(client, name, source, values)
    frame = await client.receive(protocol.STREAM, exec=name)
    assert (await result(client, name)).meta["status"] == "ok"
    return frame.data


async def release(client: Client) -> None:
    """End the session."""
    await client.send(protocol.ACK, {"exec": "", "release": True})
    await client.receive(protocol.CLOSE, reason=protocol.CLOSE_RELEASED)
    await client.close()


def test_cells_of_a_session_share_one_process() -> None:
    """Variables, functions, imports and open files stay; inputs are added to them; the results list the names."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(
            client, "1", "import os, math\nx = 1\npid = os.getpid()\ndef f(): return x + given", {"given": 5}
        )
        first = await result(client, "1")
        assert {"x", "pid", "f", "given", "os", "math"} <= set(first.meta["names"])
        assert (
            await output(client, "2", "x += 1\nprint(x, f(), math.floor(1.5), os.getpid() == pid)")
            == b"2 7 1 True\n"
        )
        assert await output(client, "3", "print(given, x)", {"given": 6}) == b"6 2\n"
        await run_in(client, "4", "x")
        assert "names" not in (await result(client, "4")).meta  # as before
        await release(client)

    assert with_runner(scene) == 0


def test_error_and_exit_of_a_cell_leave_the_session() -> None:
    """After an exception and after sys.exit, the next cell finds what was set before."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(client, "1", "x = 1\n1 / 0")
        assert result_of(await result(client, "1")) == ("1", "error")
        await run_in(client, "2", "x = 2\nimport sys\nsys.exit(3)")
        assert result_of(await result(client, "2")) == ("2", "error")
        assert await output(client, "3", "print(x)") == b"2\n"
        await release(client)

    assert with_runner(scene) == 0


def test_interrupt_stops_the_cell_and_not_the_session() -> None:
    """An interrupted cell ends with KeyboardInterrupt; one that comes after its end does not stop the next cell."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(client, "1", "x = 1\ninput()")
        await client.receive(protocol.INPUT_REQUEST, exec="1")
        await client.send(protocol.INTERRUPT, {"exec": "1", "n": 1})
        ended = await result(client, "1")
        assert ended.meta["error"]["errors"][-1]["type"] == "KeyboardInterrupt"
        [worker] = children(backend)
        os.kill(worker, signal.SIGINT)
        assert await output(client, "2", "print(x)") == b"1\n"
        await release(client)

    assert with_runner(scene) == 0


@pytest.mark.parametrize("death", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_dead_process_is_replaced(death: str) -> None:
    """The result of the cell that killed it lists the lost names; the next cell runs in a new process.

    A cell that counts on the names of the dead one does not run.
    """

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(client, "1", "import os, signal\nx = 1")
        assert (await result(client, "1")).meta["session"] == 1
        await run_in(client, "2", death)
        ended = (await result(client, "2")).meta
        assert (ended["status"], sorted(ended["lost"])) == ("crashed", ["os", "signal", "x"])
        await run_in(client, "3", "value = 3", number=1)
        refused = (await client.receive(protocol.RESULT, exec="3")).meta
        assert "lost: os, signal, x" in refused["unrun"]
        assert await output(client, "4", "print('x' in globals())") == b"False\n"
        await release(client)

    assert with_runner(scene) == 0


def test_death_between_two_cells_is_reported_at_once() -> None:
    """A process that is killed while no cell runs: clients are told the lost names, also those that connect later."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(client, "1", "x = 1")
        await result(client, "1")
        [worker] = children(backend)
        os.kill(worker, signal.SIGKILL)
        told = (await client.receive(protocol.SESSION)).meta
        assert (told["number"], told["lost"]) == (
            2,
            {"number": 1, "names": ["x"], "why": "killed by SIGKILL"},
        )
        await client.close()
        client = await backend.connect(Client.attach)
        assert (await client.receive(protocol.SESSION)).meta["number"] == 2
        await run_in(client, "2", "value = 2", number=2)
        assert (await result(client, "2")).meta["session"] == 2
        await release(client)

    assert with_runner(scene) == 0


def test_session_without_cells_ends_itself(tmp_path: Path) -> None:
    """After its idle time the runner runs the exit handlers and exits, with a client that is connected."""
    marker = tmp_path / "marker"

    async def scene(backend: LocalProcess, client: Client) -> None:
        handler = f"import atexit, pathlib\natexit.register(pathlib.Path({str(marker)!r}).touch)"
        await run_in(client, "1", handler, idle=0.5)
        await result(client, "1")
        await client.receive(protocol.CLOSE, reason=protocol.CLOSE_IDLE)
        await client.close()

    assert with_runner(scene) == protocol.EXIT_SESSION_ENDED
    assert marker.exists()


def test_running_cell_is_not_idle(tmp_path: Path) -> None:
    """The idle time counts from the end of the last cell: a cell may take longer than it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    async def scene(backend: LocalProcess, client: Client) -> None:
        # The answer to a ping takes longer than this idle time.
        source = f"print('begun', flush=True)\nopen({str(pipe)!r}).read()\nprint('done')"
        await run_in(client, "1", source, idle=1e-4)
        assert (await client.receive(protocol.STREAM)).data == b"begun\n"
        await client.send(protocol.PING, {"t": 1})
        await client.receive(protocol.PONG)
        pipe.write_text("go on")
        assert (await client.receive(protocol.STREAM)).data == b"done\n"
        assert result_of(await result(client, "1")) == ("1", "ok")
        await client.receive(protocol.CLOSE, reason=protocol.CLOSE_IDLE)
        await client.close()

    assert with_runner(scene) == protocol.EXIT_SESSION_ENDED


def test_extended_session_outlives_its_idle_time() -> None:
    """A client moves the end; the greatest age ends the session all the same, also while a cell runs."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(client, "1", "x = 1", idle=0.3, max=2)
        await result(client, "1")
        await client.send(protocol.EXTEND, {"seconds": 100})
        assert (await client.receive(protocol.SESSION)).meta["idle_left"] > 90
        await run_in(client, "2", "input()")
        assert (await result(client, "2")).meta["status"] == "terminated"
        await client.receive(protocol.CLOSE, reason=protocol.CLOSE_OLD)
        await client.close()

    assert with_runner(scene) == protocol.EXIT_SESSION_OLD


@pytest.mark.fault(120)
def test_process_ends_with_its_supervisor() -> None:
    """When the supervisor is killed in the middle of a cell, the process of the session ends, too."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(client, "1", "while True: pass")
        await client.receive(protocol.STATE, exec="1")
        [worker] = children(backend)
        watch = os.pidfd_open(worker)
        os.kill(backend._process.pid, signal.SIGKILL)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(watch, ended.set)
        await asyncio.wait_for(ended.wait(), 5)
        loop.remove_reader(watch)
        os.close(watch)
        await client.close()

    assert with_runner(scene) == -signal.SIGKILL


@pytest.mark.fault(131)
def test_threads_and_tasks_of_a_cell_go_on(tmp_path: Path) -> None:
    """A thread and an asyncio task that a cell leaves run between two cells; the next cell shows their output."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = (
        "import asyncio, threading\n"
        "begin, done = threading.Event(), []\n"
        f"def work():\n    begin.wait()\n    print('from the thread', flush=True)\n    open({str(pipe)!r}, 'w').close()\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "async def later():\n    await asyncio.sleep(0)\n    done.append(1)\n    begin.set()\n"
        "task = asyncio.create_task(later())\n"
    )

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(client, "1", source)
        await result(client, "1")
        await asyncio.wait_for(asyncio.to_thread(pipe.read_bytes), 10)
        await run_in(client, "2", "print(done)\nvalue = await asyncio.sleep(0, 7)")
        shown = b""
        while b"[1]" not in shown:
            shown += (await client.receive(protocol.STREAM, exec="2")).data
        assert shown == b"from the thread\n[1]\n"
        assert result_of(await result(client, "2")) == ("2", "ok")
        await release(client)

    assert with_runner(scene) == 0


def test_last_value_over_the_limit_stays() -> None:
    """A last value of more than 256 KiB is not sent; a named value is, whatever its size."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(client, "1", "value = bytes(range(256)) * 8000\nbytes(300_000)")
        ended = (await result(client, "1")).meta
        assert [(item["role"], item["why"]) for item in ended["kept"]] == [("result", "over 256 KiB")]
        assert [item["name"] for item in ended["packed"]] == ["value"]
        blob = await client.receive(protocol.BLOB, exec="1")
        assert blob.meta["offset"] == 0
        await release(client)

    assert with_runner(scene) == 0


def test_long_job_and_large_inputs_arrive() -> None:
    """A source that no socket buffer takes at once, and inputs that are sent in pieces."""
    data = bytes(range(256)) * 8000

    async def scene(backend: LocalProcess, client: Client) -> None:
        padding = "# " + "x" * 400_000
        assert await output(client, "1", f"{padding}\nprint(len(data))", {"data": data}) == b"2048000\n"
        assert await output(client, "2", "print(data[255])") == b"255\n"
        await release(client)

    assert with_runner(scene) == 0


def test_many_cells_open_no_files() -> None:
    """The files and the spool of a cell are used again: 300 cells open no more files than 20."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        counts = []
        for number in range(300):
            await run_in(client, str(number), "print(1)\nvalue = bytes(300_000)", {"given": number})
            await result(client, str(number))
            if number in (20, 299):
                await client.send(protocol.PING, {"t": number})
                await client.receive(protocol.PONG, t=number)
                [worker] = children(backend)
                counts.append((open_files(backend), len(os.listdir(f"/proc/{worker}/fd"))))
        assert counts[0] == counts[1]
        await release(client)

    assert with_runner(scene) == 0


def test_names_are_described() -> None:
    """A cell that asks for the variables gets their types and sizes."""

    async def scene(backend: LocalProcess, client: Client) -> None:
        await run_in(
            client,
            "1",
            "import os\nb = bytes(1000)\n_hidden = 1\nclass Model:\n    device = 'cpu'\nm = Model()",
        )
        await result(client, "1")
        work = job("", [])
        work.meta.update(exec="2", session={"idle": 60}, asks_names=True)
        for frame in job_frames(work, 0):
            await client.send_parts(*frame)
        described = {name: rest for name, *rest in (await result(client, "2")).meta["described"]}
        assert sorted(described) == ["Model", "b", "m"]
        assert described["b"] == ["bytes", 1033, ""]
        await release(client)

    assert with_runner(scene) == 0


def children(backend: LocalProcess) -> list[int]:
    """Return the processes that a runner has started."""
    pid = backend._process.pid
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]
