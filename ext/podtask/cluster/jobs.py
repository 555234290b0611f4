"""Requests for the Jobs of one namespace, and the watches that tell what becomes of them and which pods they create."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ..errors import ClusterError
from .client import Api
from .object_watch import RETRY_SECONDS, ObjectWatch, OnObject
from .paths import resource_path
from .pods import FOREIGN_ANSWER, Pods, explain_refusals
from .refusals import RequestDenied

log = logging.getLogger(__name__)
RESOURCE = "jobs.batch"  # as in a Role
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"  # of each pod of a Job


class Jobs:
    """The Jobs of a namespace: creates, reads and deletes them.

    Every method raises :class:`RequestDenied` if the API server refuses, and ClusterError if it cannot
    be reached.

    Args:
        api: Session with the API server.
        namespace: Name of the namespace.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._where = f"{api.access.context}/{namespace}"

    async def create(self, job: dict[str, Any]) -> dict[str, Any]:
        """Create a Job and return it as the API server stores it."""
        with explain_refusals("create", RESOURCE, self._where):
            return await self._api.request("POST", self._path(), job, fieldValidation="Strict")

    async def get(self, name: str) -> dict[str, Any]:
        """Return a Job."""
        with explain_refusals("get", RESOURCE, self._where):
            return await self._api.request("GET", self._path(name))

    async def list_metadata(self, selector: str) -> list[dict[str, Any]]:
        """Return the metadata of the Jobs that a label selector matches, from the API server's cache."""
        with explain_refusals("list", RESOURCE, self._where):
            return await self._api.metadata_list(self._path(), resourceVersion="0", labelSelector=selector)

    async def list(self, selector: str) -> dict[str, Any]:
        """Return the JobList of the Jobs that a label selector matches."""
        with explain_refusals("list", RESOURCE, self._where):
            return await self._api.request("GET", self._path(), labelSelector=selector)

    async def delete(self, name: str, uid: str) -> None:
        """Delete a Job, and then its pods and Secrets in the background; do nothing if it is gone.

        Args:
            name: Name of the Job.
            uid: UID of the Job; the API server deletes no other Job.
        """
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        try:
            with explain_refusals("delete", RESOURCE, self._where):
                await self._api.request("DELETE", self._path(name), body)
        except RequestDenied as error:
            if not error.is_gone:
                raise

    def _path(self, name: str = "") -> str:
        return resource_path("jobs", self._namespace, name)


class JobWatch(ObjectWatch):
    """A watch of Jobs, for all that are subscribed by their UIDs.

    Args:
        api: Session with the API server.
        namespace: Name of the namespace.
        selector: Label selector of the Jobs.
    """

    def __init__(self, api: Api, namespace: str, selector: str) -> None:
        super().__init__(api, labelSelector=selector)
        self._path = resource_path("jobs", namespace)

    async def _find_path(self) -> str:
        return self._path

    def _owner_uid(self, found: dict[str, Any]) -> str:
        return str(found["metadata"]["uid"])

    def _on_refusal(self, verb: str, code: int) -> None:
        self._notify()  # each Job is read once more

    def _on_deletion(self, on_object: OnObject) -> None:
        on_object(None)


class JobPodWatch(ObjectWatch):
    """A watch of the pods that Jobs create, for all Jobs that are subscribed by their UIDs.

    Args:
        api: Session with the API server.
        namespace: Name of the namespace.
        selector: Label selector of the pods.
    """

    def __init__(self, api: Api, namespace: str, selector: str) -> None:
        super().__init__(api, labelSelector=f"{selector},{JOB_NAME_LABEL}")
        self._path = resource_path("pods", namespace)

    async def _find_path(self) -> str:
        return self._path

    def _owner_uid(self, found: dict[str, Any]) -> str:
        owners = found["metadata"].get("ownerReferences", [])
        return next((str(each["uid"]) for each in owners if each.get("controller")), "")

    def _on_refusal(self, verb: str, code: int) -> None:
        """Do nothing: the pods that exist were listed."""

    def _on_deletion(self, on_object: OnObject) -> None:
        """Do nothing: the Job creates another pod, or ends."""


class FollowedJob:
    """One Job, followed until it has a pod that the caller wants.

    Args:
        jobs: Requests for the Jobs of its namespace.
        pods: Requests for the pods of its namespace.
        watches: The watch of the Jobs there, and that of their pods.
        job: Name and UID of the Job.
        selector: Label selector of its pods.
        on_pod: Called with each pod; returns whether the caller wants no other one.
        on_job: Called with each state of the Job while it has no such pod; with None when it is gone.
    """

    def __init__(
        self,
        jobs: Jobs,
        pods: Pods,
        watches: tuple[JobWatch, JobPodWatch],
        job: tuple[str, str],
        selector: str,
        on_pod: Callable[[dict[str, Any]], bool],
        on_job: OnObject,
    ) -> None:
        self._jobs = jobs
        self._pods = pods
        self._watches = watches
        self._name, self._uid = job
        self._selector = selector
        self._on_pod = on_pod
        self._on_job = on_job
        self._reader: asyncio.Task[None] | None = None
        of_jobs, of_pods = watches
        of_jobs.subscribe(self._uid, self._on_change)
        of_pods.subscribe(self._uid, self._on_change)

    def stop(self) -> None:
        """Stop following."""
        for watch in self._watches:
            watch.unsubscribe(self._uid, self._on_change)
        if self._reader is not None:
            self._reader.cancel()

    def _on_change(self, found: dict[str, Any] | None) -> None:
        if self._reader is not None:
            self._reader.cancel()  # its answer may be older
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        """Read the pods of the Job, the newest first, and then the Job: it may have ended with a pod that was not seen."""
        while True:
            try:
                listed = await self._pods.list(self._selector)
                newest = sorted(
                    listed["items"], key=lambda pod: str(pod["metadata"]["creationTimestamp"]), reverse=True
                )
                if not any(map(self._on_pod, newest)):
                    self._on_job(await self._jobs.get(self._name))
                return
            except RequestDenied as error:
                if error.code == 404:
                    self._on_job(None)
                    return
                if error.code == 403:
                    log.debug("%s: the Job or its pods may not be read: %s", self._name, error)
                    return
            except (ClusterError, *FOREIGN_ANSWER) as error:
                log.debug("%s: reading the Job failed, retrying: %s", self._name, error)
            await asyncio.sleep(RETRY_SECONDS)
