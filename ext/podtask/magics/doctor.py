"""``%podtask doctor``: what a cell needs, looked at one after the other, each with its fix."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..api.submit import preview, submit
from ..cluster.client import ApiError
from ..cluster.namespace import dry_run, open_namespace
from ..cluster.refusals import denied
from ..config.options import BATCH, EXEC, FORWARD, RunOptions
from ..errors import ClusterError, PodtaskError
from ..event_loop import loop
from ..manifest.labels import MAX_CELL_BYTES
from ..runner.bundle import MINOR

LIBRARIES = ("podtask", "ipython", "kubernetes", "aiohttp", "cloudpickle")
BROKEN = {"kubernetes": "36.0.0"}  # sends no token
# Resource -> verbs. Without the first, and one of the ways, a cell does not run; the wished ones say
# more of why it does not.
NEEDED: dict[str, tuple[str, ...]] = {"pods": ("create", "get", "list", "watch", "delete")}
WAYS: dict[str, dict[str, tuple[str, ...]]] = {
    FORWARD: {"pods/portforward": ("get", "create")},
    EXEC: {"pods/exec": ("get", "create")},
    BATCH: {"pods/log": ("get",)},
}
INSTEAD = {
    EXEC: ", by exec in place of port-forward",
    BATCH: ", in batch mode (neither port-forward nor exec is allowed): inputs up to "
    f"{MAX_CELL_BYTES // 1000} kB, no input()",
}
WISHED = {"events": ("list", "watch"), "pods/log": ("get",)}
LEVEL = "pod-security.kubernetes.io/enforce"
START_SECONDS = 120.0
PROBE = "import sys\nsys.version.split()[0]"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        title: a word or two.
        message: what was found.
        hint: how to fix it; empty where all is well.
        bad: whether cells cannot run as it is.
    """

    title: str
    message: str
    hint: str = ""
    bad: bool = False

    def __str__(self) -> str:
        mark = "✗" if self.bad else "!" if self.hint else "✓"
        text = f"{mark} {self.title:<9} {self.message}"
        return f"{text}\n  {'':<9} → {self.hint}" if self.hint else text


def examine(options: RunOptions) -> Iterator[Check]:
    """Yields what is found, as it is; a pod is started at the end and deleted.

    Args:
        options: of the cells that are to run: template, image, namespace, context.
    """
    yield _versions()
    if options.local:
        yield Check("cluster", "none is used: cells run on this machine (local in the settings)")
        return
    try:
        yield loop().start(_cluster(options)).result()
    except PodtaskError as error:
        yield Check("cluster", error.message, error.hint, bad=True)
        return
    rights = loop().start(_rights(options)).result()
    yield rights
    if rights.bad:
        return
    admitted = _admitted(options)
    yield admitted
    if not admitted.bad:
        yield from _started(options)


def role(namespace: str) -> dict[str, Any]:
    """Returns the least Role with which all works, as a Kubernetes object."""
    rules = [
        {"apiGroups": [""], "resources": [resource], "verbs": list(verbs)}
        for resource, verbs in {**NEEDED, **WAYS[FORWARD], **WISHED}.items()
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "podtask", "namespace": namespace},
        "rules": rules,
    }


def _versions() -> Check:
    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    say = ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version}" for name, version in found.items())]
    )
    for name, version in BROKEN.items():
        if found[name] == version:
            return Check("versions", say, f"{name} {version} does not work: pip install -U {name}", bad=True)
    return Check("versions", say)


async def _cluster(options: RunOptions) -> Check:
    api, _, where = await open_namespace(options.context, options.namespace)
    start = time.monotonic()
    try:
        version = (await api.request("GET", "/version"))["gitVersion"]
    except ApiError as error:  # who may not ask may still run cells
        if error.code == 401:
            raise denied(401, error.message, "get", "/version", where) from None
        version = "of unknown version"
    milliseconds = (time.monotonic() - start) * 1000
    return Check("cluster", f"{where}, Kubernetes {version}, answers in {milliseconds:.0f} ms")


async def _rights(options: RunOptions) -> Check:
    api, namespace, where = await open_namespace(options.context, options.namespace)

    async def lacking(wanted: dict[str, tuple[str, ...]]) -> list[str]:
        return [
            f"{verb} {resource}"
            for resource, verbs in wanted.items()
            for verb in verbs
            if not await _may(api, namespace, verb, resource)
        ]

    try:
        missing, less = await lacking(NEEDED), await lacking(WISHED)
        closed = {way: await lacking(wanted) for way, wanted in WAYS.items()}
    except (ApiError, ClusterError) as error:
        return Check("rights", f"the API server does not tell: {error}", "Try a cell.")
    way = next((way for way in WAYS if not closed[way]), FORWARD)
    missing += closed[way]
    do = "Ask for a Role with that; `%podtask rbac` prints the least one."
    if missing:
        return Check("rights", f"you may not {', '.join(missing + less)} in {where}", do, bad=True)
    if less:
        return Check(
            "rights",
            f"cells run; why they do not start is said in part: you may not {', '.join(less)} in {where}",
            do,
        )
    return Check("rights", f"all that cells need in {where}{INSTEAD.get(way, '')}")


async def _may(api: Any, namespace: str, verb: str, resource: str) -> bool:
    kind, _, sub = resource.partition("/")
    asked = {"namespace": namespace, "verb": verb, "resource": kind, "subresource": sub}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return bool((await api.request("POST", path, review))["status"]["allowed"])


def _admitted(options: RunOptions) -> Check:
    """What the API server says of the pod: quotas, policies, Pod Security."""
    level = loop().start(_level(options)).result()
    try:
        dry_run(preview(options).pod, options.context, options.namespace)
    except PodtaskError as error:
        return Check("pod", f"{' '.join(error.message.split())}{level}", error.hint, bad=True)
    return Check("pod", f"the API server takes it{level}")


async def _level(options: RunOptions) -> str:
    """Returns the namespace's Pod Security level in words; nothing where it may not be read."""
    api, namespace, _ = await open_namespace(options.context, options.namespace)
    try:
        found = await api.request("GET", f"/api/v1/namespaces/{namespace}")
    except (ApiError, ClusterError):
        return ""
    level = found["metadata"].get("labels", {}).get(LEVEL)
    return f" (Pod Security of the namespace: {level or 'no level set'})"


def _started(options: RunOptions) -> Iterator[Check]:
    """Runs a cell: whether the image is to be had, and which Python it has."""
    limit = min(options.start_timeout, START_SECONDS)
    task = submit(PROBE, options=options.replace(start_timeout=limit))
    image = preview(options).image
    try:
        python = task.result()
    except PodtaskError as error:
        yield Check("image", error.message, error.hint, bad=True)
        return
    yield Check("image", f"{image}: a cell ran in it, {task.seconds:.1f} s from create to value")
    minor = ".".join(python.split(".")[:2])
    if minor == MINOR:
        yield Check("Python", f"{python} in the image, {platform.python_version()} here")
        return
    yield Check(
        "Python",
        f"{python} in the image, {platform.python_version()} here: functions travel as "
        "source, values as plain data",
        f"Take an image with Python {MINOR}: --image python:{MINOR}-slim.",
    )
