"""Fields of a template that suit a service and not a cell: probes, restarts, the path of the message."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.manifest.test_render import primary_of, rendered, spec_of

EXEC = {"exec": {"command": ["cat", "/tmp/healthy"]}}
RULE = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
ALL_CONTAINERS = {**RULE, "action": "RestartAllContainers"}
HOOKS = {"postStart": EXEC, "preStop": {"sleep": {"seconds": 3}}}


def notices_of(fields: dict[str, Any], **options: Any) -> tuple[str, ...]:
    return rendered({"containers": [{"name": "primary", **fields}]}, **options).notices


@pytest.mark.pod("P3")
@pytest.mark.parametrize(
    "probes",
    [
        {"livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 3}},
        {"readinessProbe": {"tcpSocket": {"port": 5432}}},
        {"startupProbe": {"grpc": {"port": 50051}}, "livenessProbe": EXEC, "readinessProbe": EXEC},
    ],
)
def test_probes_of_the_primary_are_dropped(probes: dict[str, Any]) -> None:
    """Probes check the command that the cell replaces: a notice names them, and --keep-probes keeps them."""
    found = primary_of({**probes, "lifecycle": HOOKS})
    assert not found.keys() & probes.keys()
    assert found["lifecycle"] == HOOKS
    (notice,) = notices_of(probes)
    assert all(probe in notice for probe in probes)
    assert "--keep-probes" in notice
    kept = primary_of(probes, keep_probes=True)
    assert {name: kept[name] for name in probes} == probes
    assert notices_of(probes, keep_probes=True) == ()


@pytest.mark.pod("P3")
def test_probes_of_sidecars_are_kept() -> None:
    """The command of a sidecar runs, so its probes have an answer."""
    side = {"name": "side", "image": "s", "livenessProbe": EXEC, "startupProbe": EXEC, "lifecycle": HOOKS}
    assert spec_of({"containers": [side]})["containers"][0] == side


@pytest.mark.pod("P9")
@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ({"restartPolicy": "Always"}, "restartPolicy"),
        ({"restartPolicy": "OnFailure"}, "restartPolicy"),
        (
            {"restartPolicy": "Always", "restartPolicyRules": [RULE]},
            "restartPolicy, restartPolicyRules",
        ),
        (
            {"restartPolicy": "Never", "restartPolicyRules": [RULE]},
            "restartPolicyRules",
        ),
    ],
)
def test_container_of_the_cell_never_restarts(fields: dict[str, Any], dropped: str) -> None:
    """Policy and rules by which Kubernetes would restart the cell's container are dropped with a notice."""
    found = primary_of(fields)
    assert "restartPolicyRules" not in found
    assert found.get("restartPolicy", "Never") == "Never"
    assert notices_of(fields) == (f"dropped: {dropped} of container 'primary', because a cell runs once",)


@pytest.mark.pod("P9")
def test_policy_that_restarts_nothing_is_kept() -> None:
    """A container that never restarts needs no notice."""
    assert primary_of({"restartPolicy": "Never"})["restartPolicy"] == "Never"
    assert notices_of({"restartPolicy": "Never"}) == ()


@pytest.mark.pod("P9")
def test_sidecar_cannot_restart_the_whole_pod() -> None:
    """The rules of a sidecar stay, except the one that would start the cell's container again, too."""
    limits = {"limits": {"memory": "1Mi"}}
    side = {"name": "side", "image": "s", "resources": limits, "restartPolicy": "OnFailure"}
    template = {"containers": [{**side, "restartPolicyRules": [RULE, ALL_CONTAINERS]}, {"name": "primary"}]}
    before = copy.deepcopy(template)
    found = rendered(template)
    assert found.pod["spec"]["containers"][0] == {**side, "restartPolicyRules": [RULE]}
    assert found.notices == (
        "dropped: restartPolicyRules with RestartAllContainers of container 'side', because a cell runs once",
    )
    assert template == before
    only = rendered({"containers": [{**side, "restartPolicyRules": [ALL_CONTAINERS]}]})
    assert only.pod["spec"]["containers"][0] == side


@pytest.mark.pod("P16")
@pytest.mark.parametrize("path", ["/dev/foo", "/tmp/why", "/dev/termination-log"])
def test_path_of_the_message_is_the_one_that_the_runner_writes(path: str) -> None:
    """Another path is reset with a notice: the kubelet would read another file than the runner writes."""
    fields = {"terminationMessagePath": path}
    assert "terminationMessagePath" not in primary_of(fields)
    is_same = path == "/dev/termination-log"
    expected = f"terminationMessagePath {path} of container 'primary' becomes /dev/termination-log: "
    assert notices_of(fields) == (() if is_same else (f"{expected}podtask writes there how the cell ended",))


CLAIM = {"name": "gpu", "resourceClaimTemplateName": "one-gpu"}
GPU = {"limits": {"nvidia.com/gpu": "1"}}


@pytest.mark.pod("P21")
@pytest.mark.parametrize(
    ("spec", "linger"),
    [
        (
            {
                "resourceClaims": [CLAIM],
                "containers": [{"name": "primary", "resources": {"claims": [{"name": "gpu"}]}}],
            },
            600,
        ),
        ({"resourceClaims": [{"name": "nic", "resourceClaimName": "shared"}], "containers": []}, 600),
        ({"containers": [{"name": "server", "image": "s", "resources": GPU}]}, 600),
        ({"containers": [{"name": "server", "image": "s", "resources": {"limits": {"cpu": 1}}}]}, 3600),
    ],
)
def test_pod_that_holds_devices_waits_for_ten_minutes(spec: dict[str, Any], linger: int) -> None:
    """Devices by claim, or of a sidecar, are held as long as GPUs of the cell's container."""
    assert rendered(spec).linger_seconds == linger
