"""Find the pod of a session, whichever kernel of the user has started it."""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import dataclass

from ..cluster.namespace import Namespace, open_namespace
from ..cluster.refusals import RequestDenied
from ..config.options import RunOptions
from ..errors import ClusterError, InputError
from ..manifest import owner_secrets
from ..manifest.identity import lock_of
from ..manifest.labels import SESSION_LABEL, USER_LABEL
from ..manifest.session_pod import session_pod_name
from ..manifest.task_pod import SELECTOR, TaskPod
from ..manifest.task_secrets import OWNER_KEY, session_owner_name
from .task_list import delete_pod
from .user import User, current_user

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SessionPod:
    """The pod of a session, which this user owns.

    Args:
        namespace: Its namespace.
        pod: The pod, as it was read.
        secret: The owner's secret.
    """

    namespace: Namespace
    pod: TaskPod
    secret: str

    async def delete(self) -> None:
        """Delete the pod.

        Raises:
            ClusterError: Deleting is not allowed, or the API server cannot be reached.
        """
        await delete_pod(self.namespace, self.pod)


@dataclass(frozen=True)
class SessionPods:
    """The pods of one session: at most one in which it runs.

    Args:
        running: The pod in which it runs; None if there is none.
        ended: The newest pod of it that has ended, and was not deleted yet; None if there is none.
        newest_uid: UID of the newest of all its pods; empty if there is none.
    """

    running: SessionPod | None = None
    ended: SessionPod | None = None
    newest_uid: str = ""


async def find_session_pods(session: str, options: RunOptions) -> SessionPods:
    """Return the pods of a session of this user.

    Args:
        session: Name of the session.
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        InputError: The session runs, and this kernel does not have what attaches to it.
        PodtaskError: No cluster is configured, or the API server does not answer.
    """
    ns = await open_namespace(options.context, options.namespace)
    user = await current_user(ns)
    try:
        listed = await ns.pods.list(f"{SELECTOR},{SESSION_LABEL}={session},{USER_LABEL}={user.name}")
    except RequestDenied as error:
        if error.code != 403:
            raise
        log.debug("The pods of session %s may not be listed: %s", session, error)
        return SessionPods()  # if it runs, its name is taken
    return await choose_session_pods(ns, user, [TaskPod(each) for each in listed["items"]], options)


async def list_session_pods(options: RunOptions) -> list[SessionPod]:
    """Return the pods in which sessions of this user run, the newest first; without those of other home folders.

    Args:
        options: Options with the kubeconfig context and the namespace to use.

    Raises:
        PodtaskError: No cluster is configured, or listing pods is not allowed.
    """
    ns = await open_namespace(options.context, options.namespace)
    listed, user = await asyncio.gather(ns.pods.list(f"{SELECTOR},{SESSION_LABEL}"), current_user(ns))
    found = []
    for pod in sorted((TaskPod(each) for each in listed["items"]), key=_created, reverse=True):
        if pod.session and user.owns(pod) and not pod.is_terminating and not pod.is_finished:
            secret = await asyncio.to_thread(owner_secrets.load, pod.task, pod.shown_key, pod.lock)
            if secret is not None:
                found.append(SessionPod(ns, pod, secret))
    return found


async def read_session_pod(
    ns: Namespace, name: str, session: str, user: User, options: RunOptions
) -> SessionPods:
    """Return what the pod with a name says of a session: another kernel has just created it.

    Raises:
        InputError: It is not the pod of this session, or this kernel does not have what attaches to it.
        ClusterError: It cannot be read.
    """
    pod = TaskPod(await ns.pods.get(name))
    if pod.session != session or not user.owns(pod):
        raise InputError(
            f"The pod {name} in {ns.where} has the name of the pod of session {session}, and is not yours.",
            "Give the session another name.",
        )
    return await choose_session_pods(ns, user, [pod], options)


async def choose_session_pods(
    ns: Namespace, user: User, pods: list[TaskPod], options: RunOptions
) -> SessionPods:
    """Return which of the pods with a session's name is the one in which it runs.

    Whoever creates a pod chooses its name and its labels, so a pod counts only if this user has its secret.

    Raises:
        InputError: One runs, and this kernel does not have what attaches to it.
    """
    pods = sorted((pod for pod in pods if pod.session and user.owns(pod)), key=_created, reverse=True)
    newest = pods[0].uid if pods else ""
    ended: SessionPod | None = None
    unproven: list[TaskPod] = []
    for pod in pods:
        if pod.is_terminating:
            continue
        secret = await asyncio.to_thread(owner_secrets.load, pod.task, pod.shown_key, pod.lock)
        if secret is None and pod.is_finished:
            continue
        if secret is None:
            unproven.append(pod)
        elif pod.is_finished:
            ended = ended or SessionPod(ns, pod, secret)
        else:
            return SessionPods(SessionPod(ns, pod, secret), ended, newest)
    for pod in [] if options.replace_session else unproven:
        return SessionPods(
            SessionPod(ns, pod, await _secret_in_cluster(ns, pod, options.trust)), None, newest
        )
    return SessionPods(None, ended, newest)


def pod_name(ns: Namespace, user: User, session: str, newest_uid: str) -> str:
    """Return the name of the next pod of a session.

    Args:
        ns: Its namespace.
        user: Its user.
        session: Name of the session.
        newest_uid: UID of its newest pod, which has ended or is not the user's; empty if there is none.
    """
    return session_pod_name(user.name, ns.name, session, newest_uid)


async def _secret_in_cluster(ns: Namespace, pod: TaskPod, trust: bool) -> str:
    """Return the owner's secret of a session that a kernel with another home folder has started.

    Whoever may create pods and Secrets may write one, so it proves no more than the user's trust.

    Raises:
        InputError: The user has not said that the pod is to be trusted, or its Secret cannot be used.
    """
    session = pod.session
    where = f"Session {session} runs in {ns.where}/{pod.name}, which a kernel with another home folder has started."
    name = session_owner_name(pod.name, pod.shown_key)
    ways_out = f"--replace begins a new session; {ns.kubectl('delete', 'pod', pod.name)} ends the other one."
    try:
        found = await ns.secrets.get(name)
        secret = base64.b64decode(found["data"][OWNER_KEY]).decode()
    except RequestDenied as error:
        why = "was deleted" if error.code == 404 else f"cannot be read: {error.message.rstrip('.')}"
        raise InputError(f"{where} Its Secret {name} {why}. Nothing has run.", ways_out) from None
    except ClusterError:
        raise
    except (LookupError, TypeError, ValueError):
        secret = ""
    if lock_of(secret) != pod.lock:
        raise InputError(f"{where} Its Secret {name} belongs to another pod. Nothing has run.", ways_out)
    if not trust:
        raise InputError(
            f"{where} Whoever may create pods and Secrets there could have made it. Nothing has run.",
            f"If you have started it, add --trust. {ways_out}",
        )
    return secret


def _created(pod: TaskPod) -> str:
    return str(pod.pod["metadata"]["creationTimestamp"])
