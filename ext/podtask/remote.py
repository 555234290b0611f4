"""What is asked of the API server outside a task: its pod templates, and its opinion of a pod."""

from __future__ import annotations

from typing import Any

from .cluster.api import Api, ApiError
from .errors import ClusterError, InputError
from .loop import loop
from .options import RunOptions
from .template import PodTemplate


def pod_template(name: str, options: RunOptions) -> PodTemplate:
    """Returns a core/v1 PodTemplate of the namespace.

    Raises:
        PodtaskError: it is not there, may not be read, or there is no cluster.
    """
    return loop().start(_pod_template(name, options)).result()


def dry_run(pod: dict[str, Any], options: RunOptions) -> dict[str, Any]:
    """Returns the pod as the API server would store it; nothing is created.

    Raises:
        InputError: the server refuses it; names the fields.
        ClusterError: there is no cluster, or it may not be asked.
    """
    return loop().start(_dry_run(pod, options)).result()


def dropped(asked: Any, stored: Any, path: str = "") -> list[str]:
    """Returns the paths of what was asked for and is not in the answer.

    A server drops fields of features that are off without a word.
    """
    if isinstance(asked, dict):
        if not isinstance(stored, dict):
            return [path] if asked else []
        return [lost for key, value in asked.items()
                for lost in dropped(value, stored.get(key), f"{path}.{key}" if path else key)]  # fmt: skip
    if isinstance(asked, list):
        found = stored if isinstance(stored, list) else []
        missing = [*found, *[None] * (len(asked) - len(found))]
        return [lost for place, value in enumerate(asked)
                for lost in dropped(value, missing[place], f"{path}[{place}]")]  # fmt: skip
    return [path] if stored is None and asked not in (None, False, "", 0) else []


async def _pod_template(name: str, options: RunOptions) -> PodTemplate:
    api, namespace = await _place(options)
    try:
        found = await api.request("GET", f"/api/v1/namespaces/{namespace}/podtemplates/{name}")
    except ApiError as error:
        where = f"{api.access.context}/{namespace}"
        if error.code == 404:
            raise InputError(f"There is no pod template {name!r} in {where}.",
                             f"`kubectl -n {namespace} get podtemplates` lists them.") from None  # fmt: skip
        raise _refused(
            error, f"read pod templates in {where} (verb get, resource podtemplates)"
        ) from None
    return PodTemplate.of(found)


async def _dry_run(pod: dict[str, Any], options: RunOptions) -> dict[str, Any]:
    api, namespace = await _place(options)
    try:
        return await api.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/pods",
            pod,
            fieldValidation="Strict",
            dryRun="All",
        )
    except ApiError as error:
        causes = error.details.get("causes") or []
        fields = [f"{cause.get('field', '')}: {cause.get('message', '')}" for cause in causes]
        if error.code in (401, 403) and "cannot create resource" in error.message:
            where = f"{api.access.context}/{namespace}"
            raise _refused(error, f"create pods in {where} (verb create, resource pods)") from None
        raise InputError("The API server would refuse this pod: " + ("; ".join(fields) or error.message),
                         "Change these fields of the template.") from None  # fmt: skip


def _refused(error: ApiError, act: str) -> ClusterError:
    if error.code == 401:
        return ClusterError("The credentials are expired or wrong.", "Log in again.")
    if error.code == 403:
        return ClusterError(f"You may not {act}.", "Ask for a Role with it.")
    return ClusterError(f"The API server answers {error.code}: {error.message}", "Try again later.")


async def _place(options: RunOptions) -> tuple[Api, str]:
    api = await Api.of(options.context)
    loop().at_exit(api.close)
    return api, options.namespace or api.access.namespace
