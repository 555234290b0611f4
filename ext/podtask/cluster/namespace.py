"""Requests for one namespace of a cluster, with errors that a user can understand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from ..event_loop import loop
from .capacity import Capacity
from .client import Api
from .credentials import IN_CLUSTER_CONTEXT
from .events import Events
from .exec import Exec
from .jobs import FollowedJob, JobPodWatch, Jobs, JobWatch
from .nodes import Nodes
from .object_watch import OnObject
from .paths import DISCOVERED_GROUPS, VERSION_PATH, resource_path
from .pods import Pods, explain_refusals
from .port_forward import PortForward
from .secrets import Secrets
from .watch import Watch
from .workloads import Workloads

# Hundreds of tasks that connect at the same moment would delay each other until every attempt times out.
MAX_OPENING_STREAMS = 32
MAX_SLOT_SECONDS = 3.0  # a stream that takes longer to open no longer counts: its pod may never answer


class Namespace:
    """A namespace, and the session with its API server.

    Its methods raise :class:`~podtask.cluster.refusals.RequestDenied` if the API server refuses, and
    ClusterError if it cannot be reached.

    Args:
        api: Session with the API server.
        name: Name of the namespace.

    Attributes:
        name: Name of the namespace.
        pods: Requests for its pods.
        pod_templates: Requests for its pod templates.
        jobs: Requests for its Jobs.
        secrets: Requests for its Secrets.
        events: Events about its pods, by one watch for all tasks.
        workloads: What holds its pods in queues of Kueue, by one watch for all tasks.
        nodes: The devices of the nodes, by one watch for all tasks.
        capacity: Requests for what is used in it and on the nodes.
    """

    def __init__(self, api: Api, name: str) -> None:
        self.name = name
        self.pods = Pods(api, name)
        self.pod_templates = PodTemplates(api, name)
        self.jobs = Jobs(api, name)
        self.secrets = Secrets(api, name)
        self.events = Events(api, name)
        self.workloads = Workloads(api, name)
        self.nodes = Nodes(api)
        self.capacity = Capacity(api, name)
        self._api = api
        self._watches: dict[str, Watch] = {}
        self._job_watches: dict[str, tuple[JobWatch, JobPodWatch]] = {}
        self._opening_slots = asyncio.Semaphore(MAX_OPENING_STREAMS)
        api.call_at_close(self._close)

    @property
    def context(self) -> str:
        """Name of the kubeconfig context."""
        return self._api.access.context

    @property
    def where(self) -> str:
        """Context and namespace, separated by a slash."""
        return f"{self.context}/{self.name}"

    @property
    def round_trip(self) -> float:
        """Duration of the fastest answer of the API server so far, in seconds."""
        return self._api.round_trip

    @property
    def was_reached(self) -> bool:
        """Whether the API server has ever answered in this session."""
        return self._api.was_reached

    @property
    def is_of_notebook(self) -> bool:
        """Whether the notebook itself runs in a pod of this namespace, as far as its settings tell."""
        return self.context == IN_CLUSTER_CONTEXT and self.name == self._api.access.namespace

    @property
    def has_free_slot(self) -> bool:
        """Whether a stream can be opened without waiting for others to open."""
        return not self._opening_slots.locked()

    def kubectl(self, *words: str) -> str:
        """Return a kubectl command for this namespace."""
        return self._api.access.kubectl(self.name, *words)

    def watch(self, selector: str) -> Watch:
        """Return the watch of the pods that a label selector matches; one for all callers."""
        if selector not in self._watches:
            self._watches[selector] = Watch(self.pods, selector)
        return self._watches[selector]

    def follow_job(
        self,
        job: tuple[str, str],
        selectors: tuple[str, str],
        on_pod: Callable[[dict[str, Any]], bool],
        on_job: OnObject,
    ) -> FollowedJob:
        """Follow a Job until it has a pod that the caller wants.

        Args:
            job: Name and UID of the Job.
            selectors: Label selectors of all Jobs of the caller, for the watch, and of the pods of this one.
            on_pod: Called with each pod; returns whether the caller wants no other one.
            on_job: Called with each state of the Job while it has no such pod; with None when it is gone.
        """
        of_all, of_pods = selectors
        if of_all not in self._job_watches:
            self._job_watches[of_all] = (
                JobWatch(self._api, self.name, of_all),
                JobPodWatch(self._api, self.name, of_all),
            )
        watches = self._job_watches[of_all]
        return FollowedJob(self.jobs, self.pods, watches, job, of_pods, on_pod, on_job)

    @contextlib.asynccontextmanager
    async def opening_slot(self) -> AsyncIterator[None]:
        """Wait for one of the slots for opening a stream, first come, first served.

        The slot is freed on exit, at the latest after ``MAX_SLOT_SECONDS``.
        """
        await self._opening_slots.acquire()
        held = True

        def free() -> None:
            nonlocal held
            if held:
                held = False
                self._opening_slots.release()

        timer = asyncio.get_running_loop().call_later(MAX_SLOT_SECONDS, free)
        try:
            yield
        finally:
            timer.cancel()
            free()

    async def forward(self, pod: str, port: int) -> PortForward:
        """Open a connection to a port of a pod.

        Raises:
            OSError: It cannot be opened, at least not yet.
            RequestDenied: It is not allowed.
        """
        with explain_refusals("create", "pods/portforward", self.where):
            return await self._api.forward(self.name, pod, port)

    async def exec(self, pod: str, container: str, command: list[str]) -> Exec:
        """Start a process in a container and return its standard streams.

        Raises:
            OSError: It cannot be started, at least not yet.
            RequestDenied: It is not allowed.
        """
        with explain_refusals("create", "pods/exec", self.where):
            return await self._api.exec(self.name, pod, container, command)

    async def dry_run(self, pod: dict[str, Any], primary: str) -> dict[str, Any]:
        """Return a pod as the API server would store it; nothing is created.

        Args:
            pod: The pod, in wire form.
            primary: Name of its primary container.

        Raises:
            PodRejected: The API server does not accept the pod.
            RequestDenied: Pods may not be created.
        """
        return await self.pods.create(pod, primary, dry_run=True)

    async def labels(self) -> dict[str, str]:
        """Return the labels of the namespace."""
        with explain_refusals("get", "namespaces", self.where):
            namespace = await self._api.request("GET", resource_path("namespaces", name=self.name))
        labels: dict[str, str] = namespace["metadata"].get("labels", {})
        return labels

    async def object_names(self, resource: str) -> list[str]:
        """Return the names of the objects of a resource, such as "secrets"; their contents are not read."""
        with explain_refusals("list", resource, self.where):
            group = DISCOVERED_GROUPS.get(resource, "")
            path = await self._api.group_path(group) if group else ""
            return await self._api.names(resource_path(resource, self.name, group=path))

    async def is_allowed(self, verb: str, resource: str) -> bool:
        """Return whether a verb is allowed on a resource, such as "pods/log" or "jobs.batch"."""
        kind, _, subresource = resource.partition("/")
        kind, _, group = kind.partition(".")
        attributes = {
            "namespace": self.name,
            "verb": verb,
            "group": group,
            "resource": kind,
            "subresource": subresource,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        with explain_refusals("create", "selfsubjectaccessreviews", self.where):
            answer = await self._api.request("POST", resource_path("selfsubjectaccessreviews"), review)
        return bool(answer["status"]["allowed"])

    async def user_info(self) -> dict[str, Any]:
        """Return what the API server knows about the user, such as ``username`` and ``groups``.

        It is asked once in a session. The answer is empty if the API server does not provide it.

        Raises:
            ClusterError: The API server cannot be reached, or is not ready to answer.
        """
        with explain_refusals("create", "selfsubjectreviews", self.where):
            return await self._api.user_info()

    async def server_version(self) -> str:
        """Return the version of Kubernetes that the API server reports."""
        with explain_refusals("get", VERSION_PATH, self.where):
            return str((await self._api.request("GET", VERSION_PATH))["gitVersion"])

    async def open_connections(self, count: int) -> None:
        """Open connections for the next requests; this saves time if round trips are long."""
        await self._api.open_connections(count)

    def _close(self) -> None:
        for watch in self._watches.values():
            watch.stop()
        self._watches.clear()


class PodTemplates:
    """The pod templates (core/v1 PodTemplate) of a namespace.

    Args:
        api: Session with the API server.
        namespace: Name of the namespace.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def get(self, name: str) -> dict[str, Any]:
        """Return a pod template.

        Raises:
            RequestDenied: It does not exist, or may not be read.
            ClusterError: The API server cannot be reached.
        """
        with explain_refusals("get", "podtemplates", f"{self._api.access.context}/{self._namespace}"):
            return await self._api.request("GET", resource_path("podtemplates", self._namespace, name))


_namespaces: dict[tuple[Api, str], Namespace] = {}


async def open_namespace(context: str | None, namespace: str | None) -> Namespace:
    """Return a namespace; the same object for all callers of one session. Runs in the background loop.

    Args:
        context: Name of the kubeconfig context; None for the current one.
        namespace: Name of the namespace; None for the context's.

    Raises:
        PodtaskError: No cluster is configured, or its credentials cannot be read.
    """
    api = await Api.for_context(context)
    loop().at_exit(api.close)
    key = api, namespace or api.access.namespace
    if key not in _namespaces:
        _namespaces[key] = Namespace(*key)
    return _namespaces[key]
