"""A process beside a task's cell, in one of its containers."""

from __future__ import annotations

import codecs
import queue
import sys
from collections.abc import Callable, Sequence

from ..cluster.exec import STATUS, STDERR
from ..cluster.namespace import Namespace
from ..cluster.refusals import RequestDenied
from ..config.options import RunOptions
from ..errors import ClusterError, InputError
from ..event_loop import loop
from ..manifest.task_pod import TaskPod
from .lookup import look_up

LOGIN = "command -v bash >/dev/null && exec bash; exec sh"
END_OF_OUTPUT = ("", b"")


def run(name: str, container: str | None, command: Sequence[str], options: RunOptions) -> int:
    """Run a command without input, prints what it writes as it comes; returns its exit code.

    Args:
        name: of the task, or of its pod.
        container: the primary one where none is named.
        command: its words.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: there is no such task, container or program, the container does not run, or
            commands may not be run in it.
    """
    told: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    done = loop().start(_execute(name, container, command, options, lambda *out: told.put(out)))
    done.add_done_callback(lambda _: told.put(END_OF_OUTPUT))
    texts = {each: codecs.getincrementaldecoder("utf-8")("replace") for each in ("stdout", "stderr")}
    try:
        last = "\n"
        # Printed by the caller's thread, so that it lands in its cell.
        for stream, data in iter(told.get, END_OF_OUTPUT):
            text = texts[stream].decode(data)
            getattr(sys, stream).write(text)
            last = text[-1:] or last
        if last != "\n":
            print()
    finally:
        done.cancel()  # where an interrupt came
    return done.result()


async def terminal(name: str, container: str | None, options: RunOptions) -> str:
    """Return the line of kubectl that opens a shell in a task's container, for a terminal.

    Raises:
        PodtaskError: there is no such task or container, or it has ended.
    """
    ns, found = await _running(name, options)
    return ns.kubectl(
        "exec",
        "-it",
        found.name,
        "-c",
        found.container_name(container),
        "--",
        "sh",
        "-c",
        LOGIN,
    )


async def _execute(
    name: str,
    container: str | None,
    command: Sequence[str],
    options: RunOptions,
    on_output: Callable[[str, bytes], None],
) -> int:
    ns, found = await _running(name, options)
    chosen = found.container_name(container)
    try:
        process = await ns.exec(found.name, chosen, list(command))
    except RequestDenied as error:
        if error.code != 403:
            raise
        raise ClusterError(
            f"You may not run commands in the pods of {ns.where} (verbs get and create, resource pods/exec).",
            "Ask for a Role with these rights, or choose another namespace with -n.",
        ) from None
    except OSError as error:
        raise InputError(
            f"Cannot run a command in container {chosen!r} of {found.name}: {error}",
            f"It may not be running; `%podtask why {name}` shows the state.",
        ) from None
    say = ""
    try:
        async for channel, data in process.output():
            if channel == STATUS:
                say = data.decode("utf-8", "replace")
            else:
                on_output("stderr" if channel == STDERR else "stdout", data)
    except OSError as error:
        raise ClusterError(
            f"The connection to {command[0]!r} in {found.name} broke: {error}",
            "The command may still be running; check before you run it again.",
        ) from None
    finally:
        await process.close()
    if not say.isdecimal():
        raise InputError(
            f"{command[0]!r} was not run in container {chosen!r} of {found.name}: {say}",
            "Check that the image has this program, or give its full path.",
        )
    return int(say)


async def _running(name: str, options: RunOptions) -> tuple[Namespace, TaskPod]:
    ns, found, _ = await look_up(name, options)
    if found.is_finished:
        raise InputError(f"{found.name} has ended: {found.state}.", f"%podtask logs {name} shows its output.")
    return ns, found
