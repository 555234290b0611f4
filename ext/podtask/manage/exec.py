"""Run a command in a container of a task, alongside the cell."""

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
from ..manifest import owner_secrets
from ..manifest.task_pod import TaskPod
from ..runner.safe_text import escape_controls
from .lookup import look_up_task

SHELL_SCRIPT = "command -v bash >/dev/null && exec bash; exec sh"
END_OF_OUTPUT = ("", b"", False)


def run_command(name: str, container: str | None, command: Sequence[str], options: RunOptions) -> int:
    """Run a command without input, print its output as it comes, and return its exit code.

    Control characters are escaped, unless the command runs in the container of a cell of this user.

    Args:
        name: Name of the task or of its pod.
        container: Name of the container; None for the primary one.
        command: Program and arguments.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The task, container or program does not exist, the container is not running, or
            running commands in it is not allowed.
    """
    output: queue.SimpleQueue[tuple[str, bytes, bool]] = queue.SimpleQueue()
    loop().check_may_wait()
    exit_code = loop().start(_execute(name, container, command, options, lambda *piece: output.put(piece)))
    exit_code.add_done_callback(lambda _: output.put(END_OF_OUTPUT))
    decoders = {each: codecs.getincrementaldecoder("utf-8")("replace") for each in ("stdout", "stderr")}
    try:
        last_char = "\n"
        # Print in the caller's thread, so that the output belongs to the caller's cell.
        for stream, data, is_own in iter(output.get, END_OF_OUTPUT):
            text = decoders[stream].decode(data)
            text = text if is_own else escape_controls(text)
            getattr(sys, stream).write(text)
            last_char = text[-1:] or last_char
        if last_char != "\n":
            print()
    finally:
        exit_code.cancel()  # after an interrupt; otherwise it is done
    return exit_code.result()


async def kubectl_shell_command(name: str, container: str | None, options: RunOptions) -> str:
    """Return the kubectl command that opens a shell in a task's container.

    Args:
        name: Name of the task or of its pod.
        container: Name of the container; None for the primary one.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: The task or container does not exist, or the task has ended.
    """
    ns, pod = await _look_up_running_task(name, options)
    return ns.kubectl(
        "exec", "-it", pod.name, "-c", pod.container_name(container), "--", "sh", "-c", SHELL_SCRIPT
    )


async def _execute(
    name: str,
    container: str | None,
    command: Sequence[str],
    options: RunOptions,
    on_output: Callable[[str, bytes, bool], None],
) -> int:
    """Run a command and return its exit code; call ``on_output`` with stream, data and whether it is the user's own."""
    ns, pod = await _look_up_running_task(name, options)
    container_name = pod.container_name(container)
    try:
        process = await ns.exec(pod.name, container_name, list(command))
    except RequestDenied as error:
        if error.code != 403:
            raise
        raise ClusterError(
            f"You may not run commands in the pods of {ns.where} (verbs get and create, resource pods/exec).",
            "Ask for a Role with these rights, or choose another namespace with -n.",
        ) from None
    except OSError as error:
        raise InputError(
            f"Cannot run a command in container {container_name!r} of {pod.name}: {error}",
            f"It may not be running; `%podtask why {name}` shows the state.",
        ) from None
    # Only the image of the user's own cell may control the terminal.
    is_own = container_name == pod.primary and owner_secrets.load(pod.task, pod.key, pod.lock) is not None
    status = ""
    try:
        async for channel, data in process.output():
            if channel == STATUS:
                status = data.decode("utf-8", "replace")
            else:
                on_output("stderr" if channel == STDERR else "stdout", data, is_own)
    except OSError as error:
        raise ClusterError(
            f"The connection to {command[0]!r} in {pod.name} broke: {error}",
            "The command may still be running; check before you run it again.",
        ) from None
    finally:
        await process.close()
    if not status.isdecimal():  # an error message in place of an exit code
        raise InputError(
            f"{command[0]!r} was not run in container {container_name!r} of {pod.name}: {status}",
            "Check that the image has this program, or give its full path.",
        )
    return int(status)


async def _look_up_running_task(name: str, options: RunOptions) -> tuple[Namespace, TaskPod]:
    ns, pod = await look_up_task(name, options)
    if pod.is_finished:
        raise InputError(f"{pod.name} has ended: {pod.state}.", f"%podtask logs {name} shows its output.")
    return ns, pod
