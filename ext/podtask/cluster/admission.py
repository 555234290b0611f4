"""Hints for pods that admission rejects: quotas, limit ranges, Pod Security, policies. Pure.

Source: plugin/pkg/admission/*, staging/src/k8s.io/apiserver/pkg/admission and
staging/src/k8s.io/pod-security-admission of Kubernetes 1.35.
"""

from __future__ import annotations

import re

FAILED_WEBHOOK = "failed calling webhook"  # in the message of a 500 that another try may not change
# Part of the message -> hint. The message itself says what is wrong.
ADMISSION_HINTS = (
    (
        r"exceeded quota: (?P<what>[^,]+),",
        "Quota {what} of namespace {namespace} is used up: delete other pods, request less (resources in "
        "the template, --cpu, --memory, --limits, --gpu), or choose another namespace with -n.",
    ),
    (
        r"(max|maximum) limit to request ratio",
        "A LimitRange of namespace {namespace} applies: change resources in the template, or --cpu, --memory and --limits.",
    ),
    (
        r'serviceaccount "(?P<what>[^"]+)" not found',
        "Create service account {what!r} in namespace {namespace}, or change spec.serviceAccountName in the template.",
    ),
    (
        r"no PriorityClass with name (?P<what>\S+)",
        "Change spec.priorityClassName in the template; `kubectl get priorityclasses` lists the classes.",
    ),
    (
        r"RuntimeClass|runtimeclass",
        "Change spec.runtimeClassName in the template; `kubectl get runtimeclasses` lists the classes.",
    ),
    (
        rf'{FAILED_WEBHOOK} "(?P<what>[^"]+)"',
        "Webhook {what!r} did not answer: try again, or ask the cluster's administrator.",
    ),
    (
        r'admission webhook "(?P<what>[^"]+)" denied|ValidatingAdmissionPolicy \'(?P<policy>[^\']+)\'',
        "A policy of the cluster applies: change the fields that it names in the template, or ask the cluster's administrator.",
    ),
)
MISSING_KEYS = re.compile(r"failed quota: (?P<quota>[^:]+): must specify (?P<keys>.+)")
EXAMPLES = {"cpu": "2", "memory": "8Gi", "ephemeral-storage": "10Gi"}
REQUEST_FLAGS = {"cpu": "--cpu", "memory": "--memory"}
LIMIT_RANGE = re.compile(
    r"(?P<bound>maximum|minimum) (?P<resource>\S+) usage per \w+ is (?P<quantity>[^\s,]+)"
)
POD_SECURITY = re.compile(r'violates PodSecurity "[^"]*": (?P<violations>.+)')
VIOLATION = re.compile(r"(?P<kind>[^(),][^()]*) \((?P<details>(?:[^()]|\([^()]*\))*)\)")
CONTAINER_NAMES = re.compile(r'containers? (?P<names>"[^"]+"(?:, "[^"]+")*)')
# Violations of a container that --restricted changes.
RESTRICTED_KINDS = (
    "allowPrivilegeEscalation",
    "unrestricted capabilities",
    "non-default capabilities",
    "runAsNonRoot",
    "runAsUser",
    "seccompProfile",
    "privileged",
)


def admission_hint(text: str, namespace: str, primary: str) -> str:
    """Return what to change in a pod that was rejected; empty if the message is not known.

    Args:
        text: Message of the API server, in one line.
        namespace: Namespace of the pod.
        primary: Name of the pod's primary container.
    """
    missing = MISSING_KEYS.search(text)
    if missing:
        return _quota_hint(missing["quota"], missing["keys"], namespace, primary)
    security = POD_SECURITY.search(text)
    if security:
        return _pod_security_hint(security["violations"], primary)
    ranges = list(LIMIT_RANGE.finditer(text))
    if ranges:
        return _limit_range_hint(ranges, namespace)
    for pattern, hint in ADMISSION_HINTS:
        match = re.search(pattern, text)
        if match:
            return hint.format(namespace=repr(namespace), **match.groupdict())
    return ""


def _quota_hint(quota: str, listed: str, namespace: str, primary: str) -> str:
    """Return the hint for a quota that requires resources.

    Args:
        quota: Name of the quota.
        listed: What it requires: ``limits.cpu for: primary,side; limits.memory for: side``. Servers before 1.26 do not
            name the containers: ``limits.cpu,limits.memory``.
        namespace: Namespace of the pod.
        primary: Name of the pod's primary container.
    """
    keys_by_container: dict[str, list[str]] = {}
    for part in listed.split(";"):
        keys, _, names = part.partition(" for: ")
        for name in names.split(",") if names else [primary]:
            keys_by_container.setdefault(name.strip(), []).extend(key.strip() for key in keys.split(","))
    every_key = dict.fromkeys(key for keys in keys_by_container.values() for key in keys)
    advice = []
    if primary in keys_by_container:
        advice.append(f"use {_resource_flags(keys_by_container.pop(primary))}")
    advice += [
        f"set {', '.join(keys)} in the template: spec.containers[{name}].resources"
        for name, keys in keys_by_container.items()
    ]
    return f"Quota {quota} of namespace {namespace!r} requires {', '.join(every_key)}: {'; '.join(advice)}."


def _resource_flags(keys: list[str]) -> str:
    """Return the flags that set what a quota requires. A limit counts as the request, too, if there is none."""
    resources = dict.fromkeys(key.removeprefix("requests.").removeprefix("limits.") for key in keys)
    if all(not key.startswith("limits.") for key in keys) and resources.keys() <= REQUEST_FLAGS.keys():
        return " ".join(f"{REQUEST_FLAGS[name]} {EXAMPLES[name]}" for name in resources)
    return f"--limits {','.join(f'{name}={EXAMPLES.get(name, 1)}' for name in resources)}"


def _limit_range_hint(ranges: list[re.Match[str]], namespace: str) -> str:
    maxima = {each["resource"]: each["quantity"] for each in ranges if each["bound"] == "maximum"}
    minima = {each["resource"]: each["quantity"] for each in ranges if each["bound"] == "minimum"}
    flags = [f"--limits {','.join(f'{name}={most}' for name, most in maxima.items())}"] if maxima else []
    flags += [
        f"{REQUEST_FLAGS[name]} {least}" if name in REQUEST_FLAGS else f"--limits {name}={least}"
        for name, least in minima.items()
        if name not in maxima
    ]
    return f"A LimitRange of namespace {namespace!r} applies: use {' '.join(flags)}, or change resources in the template."


def _pod_security_hint(violations: str, primary: str) -> str:
    """Return which violations --restricted removes, and which fields of the template remain to be changed."""
    remaining, is_helpful, has_sidecars = [], False, False
    for violation in VIOLATION.finditer(violations):
        kind, details = violation["kind"].strip(), violation["details"]
        found = CONTAINER_NAMES.search(details)
        names = re.findall(r'"([^"]+)"', found["names"]) if found else []
        if not kind.startswith(RESTRICTED_KINDS) or not names:
            remaining.append(f"{kind} ({details})")
            continue
        is_helpful = is_helpful or primary in names
        others = [name for name in names if name != primary]
        if others:
            has_sidecars = True
            remaining.append(f"{kind} of {', '.join(others)}")
    everywhere = " (podtask.presets.restricted() covers all containers)" if has_sidecars else ""
    change = f"change in the template: {'; '.join(remaining)}{everywhere}" if remaining else ""
    if is_helpful:
        return f"Use --restricted, which covers container {primary!r}{f', and {change}' if change else ''}."
    return f"C{change[1:]}. Or choose another namespace with -n." if change else ""
