"""``%podtask doctor``: check everything that a cell needs, and say how to fix what is wrong."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..api.check import server_dry_run
from ..api.submit import preview, submit
from ..backends.base import refusal_text
from ..channel.enclosure import MAX_ANNOTATION_BYTES
from ..cluster.jobs import RESOURCE
from ..cluster.namespace import open_namespace
from ..cluster.refusals import RequestDenied
from ..config.options import BATCH, EXEC, FORWARD, RunOptions
from ..errors import ClusterError, PodtaskError
from ..event_loop import loop
from ..lifecycle.task import Task
from ..runner.bundle import MINOR
from ..runner.safe_text import safe_text

LIBRARIES = ("podtask", "ipython", "kubernetes", "aiohttp", "cloudpickle")
BROKEN_VERSIONS = {"kubernetes": "36.0.0"}  # this version does not send the token
# Resource -> verbs. A cell needs REQUIRED_VERBS, and the verbs of one channel. With OPTIONAL_VERBS,
# podtask can explain why a pod waits.
REQUIRED_VERBS: dict[str, tuple[str, ...]] = {"pods": ("create", "get", "list", "watch", "delete")}
VERBS_BY_CHANNEL: dict[str, dict[str, tuple[str, ...]]] = {
    FORWARD: {"pods/portforward": ("get", "create")},
    EXEC: {"pods/exec": ("get", "create")},
    BATCH: {"pods/log": ("get",)},
}
CHANNEL_NOTES = {
    EXEC: ", by exec instead of port-forward",
    BATCH: ", in batch mode (neither port-forward nor exec is allowed): inputs up to "
    f"{MAX_ANNOTATION_BYTES // 1000} kB, no input()",
}
OPTIONAL_VERBS: dict[str, tuple[str, ...]] = {"events": ("list", "watch"), "pods/log": ("get",)}
# Without them, some detached cells need their notebook until their pod has started (lifecycle/enclose.py).
DETACH_VERBS: dict[str, tuple[str, ...]] = {"secrets": ("create",)}
# Without them, only the notebook retries a detached cell (backends/job_pod.py).
RETRY_VERBS: dict[str, tuple[str, ...]] = {RESOURCE: ("create", "get", "list", "watch", "delete")}
POD_SECURITY_LABEL = "pod-security.kubernetes.io/enforce"
MAX_START_SECONDS = 120.0
PROBE_CELL = "import sys\nsys.version.split()[0]"


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Args:
        title: What was checked, in one word.
        message: What was found.
        hint: How to fix it; empty if nothing is wrong.
        failed: Whether cells cannot run until it is fixed.
    """

    title: str
    message: str
    hint: str = ""
    failed: bool = False

    def __str__(self) -> str:
        icon = "✗" if self.failed else "!" if self.hint else "✓"
        text = f"{icon} {self.title:<9} {self.message}"
        return safe_text(f"{text}\n  {'':<9} → {self.hint}" if self.hint else text)


def run_checks(options: RunOptions) -> Iterator[Check]:
    """Yield the result of each check; the last one runs a cell in a pod and deletes the pod.

    Args:
        options: Options of the cells that are to run; the template is resolved.
    """
    yield _check_versions()
    if options.local:
        yield Check("cluster", "not used: cells run on this machine (local in the settings)")
        return
    try:
        yield loop().run(_check_cluster(options))
    except PodtaskError as error:
        yield Check("cluster", error.message, error.hint, failed=True)
        return
    rights = loop().run(_check_rights(options))
    yield rights
    if rights.failed:
        return
    admission = _check_admission(options)
    yield admission
    if not admission.failed:
        yield from _check_image(options)


def role(namespace: str) -> dict[str, Any]:
    """Return the smallest Role that podtask needs, as a Kubernetes object.

    Args:
        namespace: Namespace of the Role.
    """
    rights = {
        **REQUIRED_VERBS,
        **VERBS_BY_CHANNEL[FORWARD],
        **OPTIONAL_VERBS,
        **DETACH_VERBS,
        **RETRY_VERBS,
    }
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "podtask", "namespace": namespace},
        "rules": role_rules(rights),
    }


def role_rules(rights: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the rules of a Role.

    Args:
        rights: Resource, such as "pods/log" or "jobs.batch" -> verbs.
    """
    rules = []
    for resource, verbs in rights.items():
        kind, _, group = resource.partition(".")
        rules.append({"apiGroups": [group], "resources": [kind], "verbs": list(verbs)})
    return rules


def _check_versions() -> Check:
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    message = ", ".join(
        [f"Python {platform.python_version()}", *(f"{name} {version}" for name, version in versions.items())]
    )
    for name, version in BROKEN_VERSIONS.items():
        if versions[name] == version:
            hint = f"{name} {version} does not work: pip install -U {name}"
            return Check("versions", message, hint, failed=True)
    return Check("versions", message)


async def _check_cluster(options: RunOptions) -> Check:
    ns = await open_namespace(options.context, options.namespace)
    start = time.monotonic()
    try:
        version = await ns.server_version()
    except RequestDenied as error:  # a user who may not read the version may still run cells
        if error.code == 401:
            raise
        version = "(unknown version)"
    milliseconds = (time.monotonic() - start) * 1000
    return Check("cluster", f"{ns.where}, Kubernetes {version}, answers in {milliseconds:.0f} ms")


async def _check_rights(options: RunOptions) -> Check:
    ns = await open_namespace(options.context, options.namespace)

    async def missing_rights(wanted: dict[str, tuple[str, ...]]) -> list[str]:
        return [
            f"{verb} {resource}"
            for resource, verbs in wanted.items()
            for verb in verbs
            if not await ns.is_allowed(verb, resource)
        ]

    try:
        missing, missing_wished = await missing_rights(REQUIRED_VERBS), await missing_rights(OPTIONAL_VERBS)
        missing_detached = await missing_rights(DETACH_VERBS)
        missing_retried = await missing_rights(RETRY_VERBS)
        missing_by_way = {way: await missing_rights(wanted) for way, wanted in VERBS_BY_CHANNEL.items()}
    except ClusterError as error:
        return Check("rights", f"cannot ask the API server: {error}", "Run a cell to find out.")
    way = next((way for way in VERBS_BY_CHANNEL if not missing_by_way[way]), FORWARD)
    missing += missing_by_way[way]
    hint = "Ask for a Role with these rights; `%podtask rbac` prints the smallest one."
    if missing:
        return Check(
            "rights", f"you may not {', '.join(missing + missing_wished)} in {ns.where}", hint, failed=True
        )
    if missing_wished:
        return Check(
            "rights",
            f"cells run, but podtask cannot fully explain why a pod waits: "
            f"you may not {', '.join(missing_wished)} in {ns.where}",
            hint,
        )
    if missing_detached:
        return Check(
            "rights",
            f"cells run, but a large detached cell, or one with --env, needs its notebook until its pod has started: "
            f"you may not {', '.join(missing_detached)} in {ns.where}",
            hint,
        )
    if missing_retried:
        return Check(
            "rights",
            f"cells run, but a detached cell with --retries is retried only by its notebook, not by a Job: "
            f"you may not {', '.join(missing_retried)} in {ns.where}",
            hint,
        )
    return Check("rights", f"you have all rights that cells need in {ns.where}{CHANNEL_NOTES.get(way, '')}")


def _check_admission(options: RunOptions) -> Check:
    """Ask the API server whether it accepts the pod: quotas, policies, Pod Security."""
    level = loop().run(_pod_security_level(options))
    try:
        loop().run(server_dry_run(preview(options).pod, options))
    except PodtaskError as error:
        return Check("pod", f"{' '.join(error.message.split())}{level}", error.hint, failed=True)
    return Check("pod", f"the API server accepts it{level}")


async def _pod_security_level(options: RunOptions) -> str:
    """Return the Pod Security level of the namespace, in words; empty if it may not be read."""
    ns = await open_namespace(options.context, options.namespace)
    try:
        level = (await ns.labels()).get(POD_SECURITY_LABEL)
    except ClusterError:
        return ""
    return f" (Pod Security of the namespace: {level or 'no level set'})"


def _check_stream(task: Task) -> Check:
    """Return how the cell was reached, and which streams were refused."""
    if task.refused_streams:
        return Check(
            "stream",
            f"{refusal_text(task.refused_streams)}; the cell was reached by {task.channel}",
            "A proxy before the API server may not pass WebSockets: ask its administrator.",
        )
    if task.channel == BATCH:
        return Check("stream", "none: batch mode reads the pod's log")
    return Check("stream", f"{task.channel} opens streams to the pod")


def _check_image(options: RunOptions) -> Iterator[Check]:
    """Run a cell: check that the image can be pulled, and which Python it has."""
    start_timeout = min(options.start_seconds, MAX_START_SECONDS)
    task = submit(PROBE_CELL, options=options.replace(start_timeout=start_timeout))
    image = preview(options).image
    try:
        python = task.result()
    except PodtaskError as error:
        yield Check("image", error.message, error.hint, failed=True)
        return
    yield Check("image", f"{image}: a cell ran in it, {task.seconds:.1f} s from creation to result")
    yield _check_stream(task)
    minor = ".".join(python.split(".")[:2])
    if minor == MINOR:
        yield Check("Python", f"{python} in the image, {platform.python_version()} here")
        return
    yield Check(
        "Python",
        f"{python} in the image, {platform.python_version()} here: functions are sent as "
        "source, values as plain data",
        f"Use an image with Python {MINOR}: --image python:{MINOR}-slim.",
    )
