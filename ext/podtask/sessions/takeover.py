"""Go on with a session that another kernel of the user has started."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from ..backends.base import Termination
from ..backends.pod import Pod
from ..channel.session_channel import SessionChannel
from ..config.options import RunOptions
from ..lifecycle.interfaces import StartedRunner, TaskListener
from ..manage.session_pods import SessionPod, SessionPods, find_session_pods
from ..manifest.task_pod import TaskPod
from ..runner import protocol
from ..runner.durations import SECONDS_UP_TO, duration
from .listener import SessionListener

GOES_ON = (
    "Session {name} goes on here. Where it and the notebook have a variable, its own counts, unless the notebook sets it "
    "from now on; -i NAME sends the notebook's."
)
ChannelMaker = Callable[[Pod, str, str, TaskListener], SessionChannel]


async def find(name: str, options: RunOptions) -> SessionPods:
    """Return the pods of a session; with ``--replace``, delete the one in which it runs first.

    Args:
        name: Name of the session.
        options: Options of the cell.

    Raises:
        PodtaskError: The session runs, and this kernel cannot attach to it; or the cluster cannot be asked.
    """
    pods = await find_session_pods(name, options)
    if pods.running is not None and options.replace_session:
        await pods.running.delete()
        return dataclasses.replace(pods, running=None)
    return pods


async def describe_end(ended: SessionPod) -> str:
    """Delete the pod of a session that has ended; return how it has ended, without a full stop.

    Raises:
        ClusterError: It cannot be deleted.
    """
    backend = Pod.adopt(ended.namespace, ended.pod, SessionListener())
    try:
        termination = await backend.wait_until_ended()
    finally:
        backend.release()
    await ended.delete()
    record = ended.pod.session_record
    return end_in_words(termination, record.idle_seconds if record else 0.0)


def end_in_words(termination: Termination, idle_seconds: float) -> str:
    """Return how the pod of a session has ended, without a full stop.

    Args:
        termination: The end of its runner.
        idle_seconds: Seconds without a cell after which it ends.
    """
    if termination.code == protocol.EXIT_SESSION_ENDED:
        idle = f"{idle_seconds:g} s" if idle_seconds < SECONDS_UP_TO else duration(idle_seconds)
        return f"no cell ran in it for {idle} (--idle)"
    if termination.code == protocol.EXIT_SESSION_OLD:
        return "it had reached the greatest age of a session, 24 h"
    return termination.message.rstrip(".")


def kept_options(pod: TaskPod, options: RunOptions) -> RunOptions:
    """Return the options of a session in a pod, as far as the pod says what they were.

    Args:
        pod: The pod.
        options: Options of this kernel's first cell.
    """
    record = pod.session_record
    assert record is not None
    return dataclasses.replace(options, idle=record.idle_seconds)


async def attach(found: SessionPod, listener: TaskListener, channel_for: ChannelMaker) -> StartedRunner:
    """Attach to the runner of a session.

    Args:
        found: Its pod.
        listener: Receives phases and notes.
        channel_for: Returns the channel to a pod with a key and an owner's secret.

    Raises:
        TaskError: Another version of podtask has started it.
    """
    pod = found.pod
    pod.check_protocol()
    backend = Pod.adopt(found.namespace, pod, listener)
    channel = channel_for(backend, pod.key, found.secret, listener)
    return StartedRunner(backend, channel, f"pod {pod.name}, container {pod.primary}")
