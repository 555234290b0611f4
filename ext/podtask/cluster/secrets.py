"""Requests for the Secrets of one namespace."""

from __future__ import annotations

import logging
from typing import Any

from .client import Api
from .paths import resource_path
from .pods import explain_refusals
from .refusals import RequestDenied

log = logging.getLogger(__name__)
RELEASED_PREFIX = "podtask/released-"  # of the annotation that an owner sets, with its UID
MAX_TRIES = 8  # to change a Secret that other tasks change at the same time


class SharingDenied(RequestDenied):
    """A Secret with this name exists, and this task cannot become an owner of it.

    Attributes:
        may_not: Whether no Secret may be changed.
    """

    may_not = False


class Secrets:
    """The Secrets of a namespace. No method lists them.

    Every method raises :class:`RequestDenied` if the API server refuses, and ClusterError if it cannot
    be reached.

    Args:
        api: Session with the API server.
        namespace: Name of the namespace.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._shared: dict[str, dict[str, Any]] = {}  # name -> metadata when this kernel has last changed it

    async def create(self, secret: dict[str, Any]) -> None:
        """Create a Secret; do nothing if an earlier request, whose reply was lost, has created it.

        Args:
            secret: The Secret, in wire form, with a name that nobody else can have chosen.
        """
        try:
            await self._create(secret)
        except RequestDenied as error:
            if error.reason != "AlreadyExists":
                raise

    async def share(self, secret: dict[str, Any]) -> None:
        """Create a Secret, or add its owner to the owners of the one that another task of the user has created.

        Args:
            secret: The Secret, in wire form, with one owner. Its name tells its content.

        Raises:
            SharingDenied: It exists, and its owners may not be changed, or it is not the user's.
        """
        name, labels, owners = (secret["metadata"][part] for part in ("name", "labels", "ownerReferences"))
        for _ in range(MAX_TRIES):
            try:
                if name not in self._shared:
                    self._shared[name] = await self._create(secret)
                    return
            except RequestDenied as error:
                if error.reason != "AlreadyExists":
                    raise
            try:
                found = await self._change(name, {"ownerReferences": owners})
            except RequestDenied as error:
                if error.code == 404:  # the last of its other owners has deleted it
                    self._shared.pop(name, None)
                    continue
                if error.code == 403:
                    raise _denied(error, may_not=True) from None
                raise
            is_alike = labels.items() <= found.get("labels", {}).items()
            if not is_alike or "deletionTimestamp" in found:
                raise _denied(RequestDenied(f"Secret {name} is being deleted, or is another user's."))
            self._shared[name] = found
            return
        raise _denied(RequestDenied(f"Secret {name} comes and goes."))

    async def release(self, name: str, owner_uid: str) -> None:
        """Note that an owner of a shared Secret needs it no longer; delete it if no other one does.

        The owners stay: without one, nothing would ever delete the Secret if this kernel could not.

        Args:
            name: Name of the Secret.
            owner_uid: UID of the owner. The Secrets of others are left alone.
        """
        found = self._shared.pop(name, None)
        for _ in range(MAX_TRIES):
            try:
                found = found or await self._change(name, {})  # this needs no right beside that to patch
                if owner_uid not in _owners(found):
                    return
                if _in_need(found) - {owner_uid}:
                    found = await self._change(name, {"annotations": {f"{RELEASED_PREFIX}{owner_uid}": ""}})
                    if _in_need(found):
                        return
                await self._delete(name, found["resourceVersion"])
                return
            except RequestDenied as error:
                if error.code == 404:
                    return
                if error.code != 409:
                    raise
                log.debug("%s has changed meanwhile", name)
            found = None

    async def get(self, name: str) -> dict[str, Any]:
        """Return a Secret."""
        with explain_refusals("get", "secrets", self._where):
            return await self._api.request("GET", self._path(name))

    async def delete(self, name: str) -> None:
        """Delete a Secret; do nothing if it is gone."""
        try:
            await self._delete(name)
        except RequestDenied as error:
            if error.code != 404:
                raise

    async def _create(self, secret: dict[str, Any]) -> dict[str, Any]:
        """Create a Secret and return its metadata."""
        with explain_refusals("create", "secrets", self._where):
            created = await self._api.request("POST", self._path(), secret)
        metadata: dict[str, Any] = created["metadata"]
        return metadata

    async def _change(self, name: str, metadata: dict[str, Any]) -> dict[str, Any]:
        """Change the metadata of a Secret and return all of it."""
        with explain_refusals("patch", "secrets", self._where):
            return await self._api.patch_metadata(self._path(name), metadata)

    async def _delete(self, name: str, version: str = "") -> None:
        """Delete a Secret, if it has a version."""
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "preconditions": {"resourceVersion": version},
        }
        with explain_refusals("delete", "secrets", self._where):
            await self._api.request("DELETE", self._path(name), body if version else None)

    @property
    def _where(self) -> str:
        return f"{self._api.access.context}/{self._namespace}"

    def _path(self, name: str = "") -> str:
        return resource_path("secrets", self._namespace, name)


def _owners(metadata: dict[str, Any]) -> set[str]:
    """Return the UIDs of the owners of a Secret."""
    return {str(each["uid"]) for each in metadata.get("ownerReferences", [])}


def _in_need(metadata: dict[str, Any]) -> set[str]:
    """Return the UIDs of the owners that have not released a Secret."""
    marks = metadata.get("annotations") or {}
    return {uid for uid in _owners(metadata) if f"{RELEASED_PREFIX}{uid}" not in marks}


def _denied(error: RequestDenied, *, may_not: bool = False) -> SharingDenied:
    denied = SharingDenied(error.message, error.hint)
    vars(denied).update({**vars(error), "may_not": may_not})
    return denied
