"""Requests for the Secrets of one namespace."""

from __future__ import annotations

from typing import Any

from .client import Api
from .paths import resource_path
from .pods import explain_refusals
from .refusals import RequestDenied


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

    async def create(self, secret: dict[str, Any]) -> None:
        """Create a Secret; do nothing if an earlier request, whose reply was lost, has created it.

        Args:
            secret: The Secret, in wire form, with a name that nobody else can have chosen.
        """
        try:
            with explain_refusals("create", "secrets", self._where):
                await self._api.request("POST", resource_path("secrets", self._namespace), secret)
        except RequestDenied as error:
            if error.reason != "AlreadyExists":
                raise

    async def get(self, name: str) -> dict[str, Any]:
        """Return a Secret."""
        with explain_refusals("get", "secrets", self._where):
            return await self._api.request("GET", resource_path("secrets", self._namespace, name))

    async def delete(self, name: str) -> None:
        """Delete a Secret; do nothing if it is gone."""
        try:
            with explain_refusals("delete", "secrets", self._where):
                await self._api.request("DELETE", resource_path("secrets", self._namespace, name))
        except RequestDenied as error:
            if error.code != 404:
                raise

    @property
    def _where(self) -> str:
        return f"{self._api.access.context}/{self._namespace}"
