"""What is asked of the API server outside a task: its pod templates, and its opinion of a pod."""

from __future__ import annotations

from typing import Any

from ..event_loop import loop
from .client import Api, ApiError
from .refusals import denied, refusal


def dry_run(pod: dict[str, Any], context: str | None, namespace: str | None) -> dict[str, Any]:
    """Returns the pod as the API server would store it; nothing is created.

    Raises:
        PodtaskError: the server refuses it, and why; or there is no cluster, or no right to ask.
    """
    return loop().start(asked_dry_run(pod, context, namespace)).result()


async def open_namespace(context: str | None, namespace: str | None) -> tuple[Api, str, str]:
    """Returns the session, the namespace, and both in words; from the background loop.

    Raises:
        PodtaskError: there is no cluster, or its credentials cannot be had.
    """
    api = await Api.of(context)
    loop().at_exit(api.close)
    namespace = namespace or api.access.namespace
    return api, namespace, f"{api.access.context}/{namespace}"


async def delete_pod(api: Api, namespace: str, name: str, force: bool = False) -> None:
    """Deletes a pod with the grace that it has; gone already is fine.

    Args:
        api: the session.
        namespace: of the pod.
        name: of the pod.
        force: at once, without a word of its node: for one that is lost for good.

    Raises:
        ClusterError: it may not be deleted, or the API server is not reached.
    """
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0} if force else None
    try:
        await api.request("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", body)
    except ApiError as error:
        if error.code != 404:
            where = f"{api.access.context}/{namespace}"
            raise denied(error.code, error.message, "delete", "pods", where) from None


async def asked_dry_run(pod: dict[str, Any], context: str | None, namespace: str | None) -> dict[str, Any]:
    """Does what :func:`dry_run` does; from the background loop."""
    api, namespace, _ = await open_namespace(context, namespace)
    path = f"/api/v1/namespaces/{namespace}/pods"
    try:
        return await api.request("POST", path, pod, fieldValidation="Strict", dryRun="All")
    except ApiError as error:
        raise refusal(error.code, error.message, error.details, api.access.context, namespace) from None
