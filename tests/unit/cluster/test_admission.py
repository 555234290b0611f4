"""Hints for pods that admission rejects: what a quota requires, and what Pod Security forbids."""

from __future__ import annotations

import pytest
from podtask.cluster.admission import admission_hint
from podtask.cluster.refusals import ApiError, rejection_error

QUOTAS = {
    # what the quota requires, hint
    "limits": (
        "limits.cpu for: primary; limits.memory for: primary",
        "requires limits.cpu, limits.memory: use --limits cpu=2,memory=8Gi.",
    ),
    "all four": (
        "limits.cpu for: main; limits.memory for: main; requests.cpu for: main; requests.memory for: main",
        "limits.cpu, limits.memory, requests.cpu, requests.memory in the template: spec.containers[main].resources.",
    ),
    "requests": (
        "requests.cpu for: primary; requests.memory for: primary",
        "requires requests.cpu, requests.memory: use --cpu 2 --memory 8Gi.",
    ),
    "a cpu limit": ("limits.cpu for: primary", "requires limits.cpu: use --limits cpu=2."),
    "of a sidecar, too": (
        "limits.cpu for: primary,side; limits.memory for: side",
        "requires limits.cpu, limits.memory: use --limits cpu=2; "
        "set limits.cpu, limits.memory in the template: spec.containers[side].resources.",
    ),
    "of a sidecar only": (
        "memory for: proxy",
        "requires memory: set memory in the template: spec.containers[proxy].resources.",
    ),
    "old server": (
        "limits.cpu,limits.memory,requests.cpu",
        "requires limits.cpu, limits.memory, requests.cpu: use --limits cpu=2,memory=8Gi.",
    ),
    "storage": (
        "limits.ephemeral-storage for: primary",
        "requires limits.ephemeral-storage: use --limits ephemeral-storage=10Gi.",
    ),
}


@pytest.mark.pod("P12")
@pytest.mark.parametrize(("keys", "hint"), QUOTAS.values(), ids=QUOTAS)
def test_all_keys_that_a_quota_requires_are_named(keys: str, hint: str) -> None:
    """One hint names all missing keys and the flags that set them, or the container of the template."""
    text = f'pods "podtask-a" is forbidden: failed quota: team: must specify {keys}'
    found = admission_hint(text, "ml", "primary")
    assert found.startswith("Quota team of namespace 'ml' requires ")
    assert found.endswith(hint)


RANGES = {
    "most memory": (
        "maximum memory usage per Container is 64Mi, but limit is 128Mi",
        "use --limits memory=64Mi,",
    ),
    "no limit": (
        "[maximum cpu usage per Container is 2, but no limit is specified, "
        "maximum memory usage per Container is 4Gi, but no limit is specified]",
        "use --limits cpu=2,memory=4Gi,",
    ),
    "least": (
        "[minimum cpu usage per Container is 100m, but request is 10m, "
        "minimum memory usage per Container is 1Gi, but request is 1Mi]",
        "use --cpu 100m --memory 1Gi,",
    ),
}


@pytest.mark.pod("P12")
@pytest.mark.parametrize(("text", "hint"), RANGES.values(), ids=RANGES)
def test_bounds_of_a_limit_range_are_flags(text: str, hint: str) -> None:
    """The hint has the flags with the values that the LimitRange allows."""
    found = admission_hint(f'pods "podtask-a" is forbidden: {text}', "ml", "primary")
    assert found.startswith("A LimitRange of namespace 'ml' applies: ")
    assert hint in found


ESCALATION = "allowPrivilegeEscalation != false ({} must set securityContext.allowPrivilegeEscalation=false)"
CAPABILITIES = 'unrestricted capabilities ({} must set securityContext.capabilities.drop=["ALL"])'
NONROOT = "runAsNonRoot != true (pod or {} must set securityContext.runAsNonRoot=true)"
SECCOMP = 'seccompProfile (pod or {} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
CONTEXT = f"{ESCALATION}, {CAPABILITIES}, {NONROOT}, {SECCOMP}"
ONE, BOTH, SIDE = 'container "primary"', 'containers "side", "primary"', 'container "side"'
COVERED = "Use --restricted, which covers container 'primary'"
LEFT = "allowPrivilegeEscalation != false of side; unrestricted capabilities of side; runAsNonRoot != true of side; seccompProfile of side"
PRESET = " (podtask.presets.restricted() covers all containers)"
SECURITY = {
    "the cell's container": (CONTEXT.format(*4 * [ONE]), f"{COVERED}."),
    "with a sidecar": (
        CONTEXT.format(*4 * [BOTH]),
        f"{COVERED}, and change in the template: {LEFT}{PRESET}.",
    ),
    "a sidecar only": (
        CONTEXT.format(*4 * [SIDE]),
        f"Change in the template: {LEFT}{PRESET}. Or choose another namespace with -n.",
    ),
    "host path and privileges": (
        f'privileged ({ONE} must not set securityContext.privileged=true), hostPath volumes (volume "logs")',
        f'{COVERED}, and change in the template: hostPath volumes (volume "logs").',
    ),
    "host network": (
        'host namespaces (hostNetwork=true, hostPID=true), hostPort (container "primary" uses hostPort 80)',
        "Change in the template: host namespaces (hostNetwork=true, hostPID=true); "
        'hostPort (container "primary" uses hostPort 80). Or choose another namespace with -n.',
    ),
    "user of the pod": (
        "runAsUser=0 (pod must not set runAsUser=0)",
        "Change in the template: runAsUser=0 (pod must not set runAsUser=0). Or choose another namespace with -n.",
    ),
}


@pytest.mark.pod("P13")
@pytest.mark.parametrize(("violations", "hint"), SECURITY.values(), ids=SECURITY)
def test_hint_names_restricted_and_what_remains(violations: str, hint: str) -> None:
    """What --restricted changes is told apart from what the template has to change."""
    text = f'pods "podtask-a" is forbidden: violates PodSecurity "restricted:latest": {violations}'
    assert admission_hint(text, "ml", "primary") == hint


@pytest.mark.pod("P12", "P13")
def test_error_has_the_servers_message_and_the_hint() -> None:
    """The error of a rejected pod has the server's reason without the name of the pod, and the hint."""
    message = 'pods "podtask-a" is forbidden: failed quota: team: must specify limits.cpu for: primary'
    error = rejection_error(ApiError(403, {"message": message}), "ctx", "ml", "primary")
    assert error.message == (
        "The API server rejected the pod in ctx/ml: failed quota: team: must specify limits.cpu for: primary"
    )
    assert error.hint == "Quota team of namespace 'ml' requires limits.cpu: use --limits cpu=2."
