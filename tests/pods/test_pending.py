"""Every reason why a pod does not run is produced for real, and its sentence is checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.errors import wait_until
from tests.pods.waiting import IMAGE, failure, failure_within_seconds, submit, submitted, wait_for_phase

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
Apply = Callable[..., None]


def primary(**fields: Any) -> dict[str, Any]:
    """Return a pod spec with the given fields of the primary container."""
    return {"containers": [{"name": "primary", **fields}]}


def mounted(**volume: Any) -> dict[str, Any]:
    """Return a pod spec whose primary container mounts a volume."""
    mounts = [{"name": "data", "mountPath": "/data"}]
    return {**primary(volumeMounts=mounts), "volumes": [{"name": "data", **volume}]}


@pytest.fixture
def apply(cluster: Any, namespace: str) -> Apply:
    """Create objects in the test's namespace."""

    def create(*objects: dict[str, Any]) -> None:
        items = [{"apiVersion": "v1", **each} for each in objects]
        listed = {"apiVersion": "v1", "kind": "List", "items": items}
        cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(listed))

    return create


WAITING: dict[str, tuple[dict[str, Any], str, str]] = {
    # template, part of the cause, part of the hint
    "resources": (
        primary(resources={"limits": {"podtask.test/none": "1"}}),
        "no node of this cluster has podtask.test/none",
        "spec.containers[].resources.limits",
    ),
    "memory": (primary(resources={"requests": {"memory": "9Ti"}}), "too little free memory", "--memory"),
    "selector": (
        {"nodeSelector": {"disk": "none"}, "containers": []},
        "the node selector or node affinity does not match",
        "spec.nodeSelector",
    ),
    "affinity to nodes": (
        {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
                    }
                }
            },
            "containers": [],
        },
        "the node selector or node affinity does not match",
        "affinity.nodeAffinity",
    ),
    "affinity to pods": (
        {
            "affinity": {
                "podAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": [
                        {
                            "labelSelector": {"matchLabels": {"app": "none"}},
                            "topologyKey": "kubernetes.io/hostname",
                        }
                    ]
                }
            },
            "containers": [],
        },
        "the affinity to other pods",
        "spec.affinity.podAffinity",
    ),
    "topology": (
        {
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "podtask.test/none",
                    "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": "none"}},
                }
            ],
            "containers": [],
        },
        "the topology spread constraints",
        "spec.topologySpreadConstraints",
    ),
    "huge pages": (
        primary(resources={"limits": {"hugepages-2Mi": "4Mi", "memory": "64Mi"}}),
        "too little free hugepages-2Mi",
        "nodes that have huge pages of this size (spec.nodeSelector)",
    ),
    "scheduler": (
        {"schedulerName": "volcano", "containers": []},
        "scheduler 'volcano' has not reported",
        "spec.schedulerName",
    ),
    "init container": (
        {
            "initContainers": [{"name": "fetch", "image": "nopython:1", "command": ["sleep", "600"]}],
            "containers": [],
            "terminationGracePeriodSeconds": 1,
        },
        "init container 'fetch' (1 of 1) has been running since ",
        " fetch shows its output",
    ),
    "startup probe": (
        {
            "initContainers": [
                {
                    "name": "proxy",
                    "image": "nopython:1",
                    "command": ["sleep", "600"],
                    "restartPolicy": "Always",
                    "startupProbe": {
                        "exec": {"command": ["sh", "-c", "echo not yet; exit 1"]},
                        "periodSeconds": 1,
                        "failureThreshold": 600,
                    },
                }
            ],
            "containers": [],
            "terminationGracePeriodSeconds": 1,
        },
        "startup probe has not succeeded yet: not yet",
        "spec.initContainers[proxy].startupProbe",
    ),
    "gated": (
        {"schedulingGates": [{"name": "team/queue"}], "containers": []},
        "Gated: waits for team/queue",
        "waits for team/queue to admit it",
    ),
}


# Older servers do not have these fields.
WAITING_FOR_CLAIMS: dict[str, tuple[dict[str, Any], str, str]] = {
    "template of a claim": (
        {
            "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "absent"}],
            "containers": [{"name": "primary", "resources": {"claims": [{"name": "gpu"}]}}],
        },
        'resourceclaimtemplate.resource.k8s.io "absent" not found',
        "spec.resourceClaims[].resourceClaimTemplateName",
    ),
    "claim of a device": (
        {
            "resourceClaims": [{"name": "gpu", "resourceClaimName": "absent"}],
            "containers": [{"name": "primary", "resources": {"claims": [{"name": "gpu"}]}}],
        },
        "waits for the resource claims of the pod: absent",
        "spec.resourceClaims",
    ),
}


def check_waiting(template: dict[str, Any], theirs: str, ours: str) -> None:
    """Check that a waiting pod is shown in one line, with a message of the cluster and a hint."""
    with submitted(template) as task:
        line = wait_for_phase(task, theirs)
        assert ours in line
        assert "\n" not in line
        assert theirs in task.why()


@pytest.mark.server_versions
@pytest.mark.pod("P8", "P15")
@pytest.mark.feature("S03", "N04", "B16", "A41")
@pytest.mark.parametrize(("template", "theirs", "ours"), WAITING.values(), ids=WAITING)
@pytest.mark.fault(15)
def test_waiting_pod_says_why(template: dict[str, Any], theirs: str, ours: str) -> None:
    """A wait that may end is shown in one line: the cause and the field to change."""
    check_waiting(template, theirs, ours)


@pytest.mark.pod("P8")
@pytest.mark.parametrize(("template", "theirs", "ours"), WAITING_FOR_CLAIMS.values(), ids=WAITING_FOR_CLAIMS)
def test_pod_that_waits_for_a_resource_claim_says_so(
    template: dict[str, Any], theirs: str, ours: str
) -> None:
    """A missing resource claim and a missing template of one are named, although the scheduler reports nothing."""
    check_waiting(template, theirs, ours)


@pytest.mark.feature("S03", "N04")
@pytest.mark.fault(15)
def test_pods_that_exclude_each_other(cluster: Any, namespace: str) -> None:
    """The reason names the field for an occupied host port and for pod anti-affinity."""
    port = {"containerPort": 1, "hostPort": 45_671, "protocol": "UDP"}
    there = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "there", "labels": {"app": "there"}},
        "spec": {
            "containers": [
                {"name": "it", "image": "nopython:1", "command": ["sleep", "600"], "ports": [port]}
            ]
        },
    }
    cluster.kubectl("create", "-n", namespace, "--filename=-", input=json.dumps(there))
    cluster.kubectl("wait", "pod/there", "-n", namespace, "--for=condition=PodScheduled")
    apart = [
        {
            "labelSelector": {"matchLabels": {"app": "there"}},
            "topologyKey": "kubernetes.io/hostname",
        }
    ]
    rule = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}}
    for template, theirs, ours in (
        (primary(ports=[port]), "the host port is in use", "spec.containers[].ports[].hostPort"),
        (
            {"affinity": rule, "containers": []},
            "the anti-affinity to other pods",
            "spec.affinity.podAffinity",
        ),
    ):
        with submitted(template) as task:
            assert ours in wait_for_phase(task, theirs)


@pytest.mark.feature("N04")
@pytest.mark.fault(15)
def test_start_timeout_says_what_it_waited_for() -> None:
    """After --start-timeout, the error contains the reason too."""
    said = failure(submit({"nodeSelector": {"disk": "none"}, "containers": []}, start_timeout=4))
    assert said.startswith("StartError")
    assert "the node selector or node affinity does not match" in said
    assert "--start-timeout" in said


@pytest.mark.feature("S09")
def test_start_timeout_excludes_the_time_in_a_queue(cluster: Any, namespace: str) -> None:
    """The time of a gated pod does not count towards --start-timeout; once admitted, it runs."""
    gate = {"schedulingGates": [{"name": "team/queue"}], "containers": []}
    task = submit(gate, "6 * 7", start_timeout=20)
    wait_for_phase(task, "Gated")
    assert not task.wait(21)
    admit = json.dumps([{"op": "remove", "path": "/spec/schedulingGates"}])
    cluster.kubectl("patch", "pod", task.name, "-n", namespace, "--type=json", "--patch", admit)
    assert task.result(60) == 42


SECRET = {"secretKeyRef": {"name": "there", "key": "absent"}}
FAILING: dict[str, tuple[dict[str, Any], list[str]]] = {
    "secret": (
        primary(env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "k"}}}]),
        ["secret 'absent' does not exist", "Create secret 'absent'", ".env"],
    ),
    "key of a secret": (
        primary(env=[{"name": "X", "valueFrom": SECRET}]),
        ["secret 'there' has no key 'absent'", "Create secret key 'absent'", ".env"],
    ),
    "config map in envFrom": (
        primary(envFrom=[{"configMapRef": {"name": "absent"}}]),
        ["configmap 'absent' does not exist", "Create configmap 'absent'", "envFrom"],
    ),
    "config map in env": (
        primary(env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "k"}}}]),
        ["configmap 'absent' does not exist", "Create configmap 'absent'", ".env"],
    ),
    "config map as a volume": (
        mounted(configMap={"name": "absent"}),
        ["configmap 'absent' does not exist", "Create configmap 'absent'", "spec.volumes[].configMap"],
    ),
    "key in a volume": (
        mounted(secret={"secretName": "there", "items": [{"key": "absent", "path": "x"}]}),
        ["secret key 'absent' does not exist", "spec.volumes[].items[].key"],
    ),
    "host path": (
        mounted(hostPath={"path": "/nowhere-at-all", "type": "Directory"}),
        ["hostPath type check failed", "spec.volumes[].hostPath"],
    ),
    "CSI driver": (
        mounted(csi={"driver": "absent.podtask.test"}),
        [
            "driver name absent.podtask.test not found",
            "CSI driver absent.podtask.test:",
            "spec.volumes[].csi",
        ],
    ),
    "sysctl": (
        {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}, "containers": []},
        ["its node does not allow the sysctl", "kernel.msgmax", "spec.securityContext.sysctls"],
    ),
    "invalid image name": (
        primary(image="team//app::7"),
        ["is not valid", "registry/name:tag"],
    ),
    "init": (
        {
            "initContainers": [
                {
                    "name": "fetch",
                    "image": "nopython:1",
                    "command": ["sh", "-c", "echo starting; echo no such bucket; exit 3"],
                }
            ],
            "containers": [],
        },
        [
            "init container 'fetch' failed with exit code 3",
            "starting | no such bucket",
            "spec.initContainers[fetch]",
        ],
    ),
    "native sidecar": (
        {
            "initContainers": [
                {
                    "name": "proxy",
                    "image": "nopython:1",
                    "restartPolicy": "Always",
                    "command": ["sh", "-c", "echo no certificate; exit 4"],
                    "startupProbe": {"tcpSocket": {"port": 9}},
                }
            ],
            "containers": [],
        },
        ["sidecar 'proxy' keeps exiting with code 4", "no certificate", "spec.initContainers[proxy]"],
    ),
    "native sidecar without its program": (
        {
            "initContainers": [
                {"name": "proxy", "image": "nopython:1", "restartPolicy": "Always", "command": ["python3"]}
            ],
            "containers": [],
        },
        ["image of sidecar 'proxy' has no program 'python3'", "spec.initContainers[proxy]"],
    ),
    "config map's key in env": (
        primary(
            env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "kube-root-ca.crt", "key": "k"}}}]
        ),
        [
            "configmap 'kube-root-ca.crt' has no key 'k' (container 'primary' needs it)",
            "Create configmap key 'k'",
            ".env",
        ],
    ),
    "secret in envFrom": (
        primary(envFrom=[{"secretRef": {"name": "absent"}}]),
        [
            "secret 'absent' does not exist (container 'primary' needs it)",
            "Create secret 'absent'",
            "envFrom",
        ],
    ),
    "secret as a volume": (
        mounted(secret={"secretName": "absent"}),
        ["secret 'absent' does not exist", "Create secret 'absent'", "spec.volumes[].secret"],
    ),
    "claim": (
        mounted(persistentVolumeClaim={"claimName": "absent"}),
        [
            "claim 'absent' does not exist",
            "Create claim 'absent'",
            "spec.volumes[].persistentVolumeClaim.claimName",
        ],
    ),
}


@pytest.mark.server_versions
@pytest.mark.pod("P15")
@pytest.mark.feature("S03", "N04", "A43", "N09")
@pytest.mark.fault(18, 19, 20, 22, 60)
def test_hopeless_pods_fail_within_seconds(apply: Apply) -> None:
    """If waiting cannot help, an error contains the cause and the field to change."""
    apply({"kind": "Secret", "metadata": {"name": "there"}, "stringData": {"k": "hidden-value"}})
    # All run in parallel, because each takes seconds.
    tasks = [
        submit(template, image=None if "image" in str(template["containers"]) else IMAGE)
        for template, _ in FAILING.values()
    ]
    for task, (name, (_, said)) in zip(tasks, FAILING.items(), strict=True):
        shown = failure_within_seconds(task)
        assert shown.startswith("StartError"), name
        for part in said:
            assert part in shown, name
        assert len(shown.splitlines()) <= 3, name
        assert "hidden-value" not in shown, name


NOT_ON_OUR_NODE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "AppArmor": (
        primary(securityContext={"appArmorProfile": {"type": "Localhost", "localhostProfile": "absent"}}),
        ["AppArmor", "appArmorProfile"],
    ),
    "user namespace": ({"hostUsers": False, "containers": []}, ["user namespace", "spec.hostUsers"]),
}


@pytest.mark.pod("P15")
def test_feature_that_the_node_lacks_ends_the_task(cluster: Any) -> None:
    """A node without AppArmor or user namespaces ends the task within seconds, with the field to change."""
    if not cluster.own:
        pytest.skip("the nodes of another cluster may have these features")
    tasks = [submit(template) for template, _ in NOT_ON_OUR_NODE.values()]
    for task, (_, said) in zip(tasks, NOT_ON_OUR_NODE.values(), strict=True):
        shown = failure_within_seconds(task)
        for part in said:
            assert part in shown


@pytest.mark.fault(82)
def test_events_are_the_pods_own(apply: Apply, namespace: str) -> None:
    """Events of an older pod with the same name are ignored; events with only an eventTime are used."""
    with submitted({"nodeSelector": {"disk": "none"}, "containers": []}) as task:
        wait_for_phase(task, "node affinity")
        # The scheduler writes its event after the condition of the pod.
        wait_until(lambda: bool(task.events()), "the scheduler's event", seconds=30)
        (own,) = task.events()
        pod = own["involvedObject"]
        common = {
            "kind": "Event",
            "type": "Warning",
            "action": "Try",
            "reportingComponent": "test.io/x",
            "reportingInstance": "x",
            "eventTime": "2126-01-01T00:00:00.000000Z",
        }
        apply(
            {
                **common,
                "metadata": {"name": "older"},
                "reason": "Older",
                "message": "old",
                "involvedObject": {**pod, "uid": "00000000-0000-0000-0000-000000000000"},
            },
            {
                **common,
                "metadata": {"name": "newer"},
                "reason": "Newer",
                "message": "new",
                "involvedObject": pod,
            },
        )
        assert [event["reason"] for event in task.events()] == ["FailedScheduling", "Newer"]
