"""The rules of rendering: each row is compared as a whole pod."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import pytest
from podtask.config.options import RunOptions
from podtask.runner.bundle import boot_program
from podtask.template.template import PodTemplate

from tests.unit.manifest.test_render import OUR_ENV, rendered

BOOT = ["python3", "-I", "-c", boot_program()]
SHM = {"name": "podtask-shm", "mountPath": "/dev/shm"}
SIDE = {"name": "side", "image": "s", "resources": {"limits": {"memory": "1Mi"}}}
HELD = "start_timeout=1800 timeout=86400 linger=600 grace=10 keep=604800"  # with a device that others may wait for
PROBE = {"httpGet": {"port": 8080}}
SECURE = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
    "capabilities": {"drop": ["ALL"]},
}


@dataclass
class Rule:
    """One rule: the input, and how the pod differs from the pod of an empty template."""

    spec: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    primary: dict[str, Any] = field(default_factory=dict)  # None removes the field
    others: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    bounds: str = "start_timeout=1800 timeout=86400 linger=3600 grace=10 keep=604800"
    before: list[Any] = field(default_factory=list)
    notices: tuple[str, ...] = ()

    def pod(self) -> dict[str, Any]:
        """Return the whole pod."""
        primary = {
            "name": "primary",
            "image": "python:3.11-slim",
            "command": BOOT,
            "env": OUR_ENV,
            "terminationMessagePolicy": "FallbackToLogsOnError",
            **self.primary,
        }
        spec = {
            "containers": [*self.before, {k: v for k, v in primary.items() if v is not None}],
            "restartPolicy": "Never",
            "enableServiceLinks": False,
            "automountServiceAccountToken": False,
            "activeDeadlineSeconds": 93600,
            **self.others,
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "podtask-0a1b2c3d4e",
                "labels": {
                    "app.kubernetes.io/managed-by": "podtask",
                    "podtask/task": "podtask-0a1b2c3d4e",
                    "podtask/kernel": "k1",
                    "podtask/user": "ada",
                    **self.labels,
                },
                "annotations": {
                    "kubectl.kubernetes.io/default-container": "primary",
                    "podtask/bounds": self.bounds,
                    "podtask/protocol": "2",
                    **self.annotations,
                },
            },
            "spec": {name: value for name, value in spec.items() if value is not None},
        }


def one(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "primary", **fields}]}


def replaced(what: str, why: str = "the cell runs there") -> str:
    return f"{what} of container 'primary' is replaced: {why}"


ROWS = {
    "nothing given": Rule(),
    "container missing": Rule(
        {"containers": [SIDE]},
        before=[SIDE],
        notices=(
            "the cell runs in an added container, primary; beside it: side. To run in it: --primary side",
        ),
    ),
    "container of the call": Rule(
        one(image="t", resources=SIDE["resources"]),
        options={"primary": "cell"},
        before=[{"name": "primary", "image": "t", "resources": SIDE["resources"]}],
        primary={"name": "cell"},
        annotations={"kubectl.kubernetes.io/default-container": "cell"},
        notices=(
            "the cell runs in an added container, cell; beside it: primary. To run in it: --primary primary",
        ),
    ),
    "labels and annotations": Rule(
        metadata={"labels": {"a": "b"}, "annotations": {"c": "d"}},
        labels={"a": "b"},
        annotations={"c": "d"},
    ),
    "image of the template": Rule(one(image="t"), primary={"image": "t"}),
    "image of the call": Rule(
        one(image="t"),
        options={"image": "c"},
        primary={"image": "c"},
        notices=("image t of container 'primary' is replaced by c",),
    ),
    "command and args": Rule(
        one(command=["echo"], args=["hello"]), notices=(replaced("command"), replaced("args"))
    ),
    "entrypoint kept": Rule(
        one(args=["x"]),
        options={"entrypoint": "keep", "python": "/opt/py"},
        primary={"command": None, "args": ["/opt/py", *BOOT[1:]]},
        notices=(replaced("args"),),
    ),
    "python of the image": Rule(options={"python": "/opt/py"}, primary={"command": ["/opt/py", *BOOT[1:]]}),
    "env": Rule(
        one(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        primary={"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, *OUR_ENV]},
    ),
    "env of the call": Rule(options={"env": {"TOKEN": "t"}}),
    "env of both": Rule(
        one(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
        options={"env": {"TOKEN": "t", "B": "b"}},
        primary={"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, *OUR_ENV]},
        notices=("env B of container 'primary' is replaced in the cell by --env",),
    ),
    "cpu, memory": Rule(
        one(resources={"limits": {"cpu": "4"}, "requests": {"x/y": "1"}}),
        options={"cpu": 2, "memory": "8Gi"},
        primary={
            "resources": {
                "requests": {"x/y": "1", "cpu": "2", "memory": "8Gi"},
                "limits": {"cpu": "4", "memory": "8Gi"},
            }
        },
        others={"activeDeadlineSeconds": 90600},
        bounds=HELD,
    ),
    "gpu": Rule(
        options={"gpu": 2, "gpu_key": "amd.com/gpu"},
        primary={"resources": {"limits": {"amd.com/gpu": "2"}}, "volumeMounts": [SHM]},
        others={
            "tolerations": [{"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "volumes": [{"name": "podtask-shm", "emptyDir": {"medium": "Memory"}}],
            "activeDeadlineSeconds": 90600,
        },
        bounds=HELD,
    ),
    "shared memory": Rule(
        options={"shm": "2Gi"},
        primary={"volumeMounts": [SHM]},
        others={"volumes": [{"name": "podtask-shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}]},
    ),
    "rest of the primary": Rule(
        one(workingDir="/w", tty=True, newKnob={"a": 1}, terminationMessagePolicy="File"),
        primary={"workingDir": "/w", "tty": True, "newKnob": {"a": 1}, "terminationMessagePolicy": "File"},
    ),
    "restart policy": Rule(
        {"restartPolicy": "Always"}, notices=("restartPolicy Always becomes Never: a cell runs once",)
    ),
    "service links": Rule({"enableServiceLinks": True}, others={"enableServiceLinks": True}),
    "service account": Rule(
        {"serviceAccountName": "robot"},
        others={"serviceAccountName": "robot", "automountServiceAccountToken": None},
    ),
    "deadline": Rule(
        options={"timeout": "1h", "linger": "1m"},
        others={"activeDeadlineSeconds": 7260},
        bounds="start_timeout=1800 timeout=3600 linger=60 grace=10 keep=604800",
    ),
    "deadline with a long start": Rule(
        options={"start_timeout": "3h"},
        others={"activeDeadlineSeconds": 86400 + 3600 + 3 * 3600},
        bounds="start_timeout=10800 timeout=86400 linger=3600 grace=10 keep=604800",
    ),
    "pull timeout": Rule(
        options={"pull_timeout": "10m"},
        bounds="start_timeout=1800 timeout=86400 linger=3600 grace=10 keep=604800 pull_timeout=600",
    ),
    "bounds": Rule(
        {"terminationGracePeriodSeconds": 40},
        options={"start_timeout": "1m", "grace": "2s", "wait": "7s"},
        primary={"env": [*OUR_ENV[:3], {"name": "PODTASK_WAIT", "value": "7"}]},
        others={"terminationGracePeriodSeconds": 40},
        bounds="start_timeout=60 timeout=86400 linger=3600 grace=2 keep=604800 end=40",
    ),
    "plain results": Rule(options={"results": "plain"}, annotations={"podtask/results": "plain"}),
    "limits": Rule(
        one(resources={"limits": {"cpu": "4"}}),
        options={"limits": "cpu=2,memory=8Gi", "cpu": 1},
        primary={"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "8Gi"}}},
    ),
    "probes": Rule(
        one(livenessProbe=PROBE, readinessProbe=PROBE),
        notices=(
            "dropped: livenessProbe, readinessProbe of container 'primary', made for the command that the cell "
            "replaces (--keep-probes keeps probes)",
        ),
    ),
    "probes kept": Rule(
        one(livenessProbe=PROBE), options={"keep_probes": True}, primary={"livenessProbe": PROBE}
    ),
    "queue": Rule(options={"queue": "team"}, labels={"kueue.x-k8s.io/queue-name": "team"}),
    "restricted": Rule(
        one(securityContext={"privileged": True, "readOnlyRootFilesystem": True}),
        options={"restricted": True},
        primary={
            "securityContext": {**SECURE, "privileged": False, "readOnlyRootFilesystem": True},
            "env": [{"name": "HOME", "value": "/tmp"}, *OUR_ENV],
            "volumeMounts": [{"name": "podtask-tmp", "mountPath": "/tmp"}],
        },
        others={"volumes": [{"name": "podtask-tmp", "emptyDir": {}}]},
        notices=(replaced("securityContext privileged", "--restricted"),),
    ),
    "sidecar without limits": Rule(
        {"containers": [{"name": "side", "image": "s"}]},
        before=[{"name": "side", "image": "s"}],
        notices=(
            "the cell runs in an added container, primary; beside it: side. To run in it: --primary side",
            "no resource limits on side: a sidecar can starve the cell (set resources.limits)",
        ),
    ),
    "node, affinity, newer fields": Rule(
        {"nodeSelector": {"a": "b"}, "affinity": {"nodeAffinity": {}}, "fromTheFuture": [1]},
        others={"nodeSelector": {"a": "b"}, "affinity": {"nodeAffinity": {}}, "fromTheFuture": [1]},
    ),
}


@pytest.mark.feature("A03", "A04", "A09", "A40", "A45", "B02", "B03", "B04", "B06", "B18")
@pytest.mark.parametrize("name", ROWS)
def test_rule_changes_only_its_fields(name: str) -> None:
    """A rule changes only the fields of its row."""
    row = ROWS[name]
    found = rendered(
        PodTemplate(row.spec, labels=row.metadata.get("labels"), annotations=row.metadata.get("annotations")),
        **row.options,
    )
    assert found.pod == row.pod()
    assert found.notices == row.notices


def test_every_option_is_listed() -> None:
    """Every option has a row above, or is listed here because it does not change the pod."""
    rows = {name for row in ROWS.values() for name in row.options}
    elsewhere = {
        "template",
        "inputs",
        "outputs",
        "namespace",
        "context",
        "local",
        "dry_run",
        "detach",
        "notify",
        "keep",
        "name",
        "no_log_result",
        "max_input",
        "pip",
        "index_url",
        "extra_index_url",
        "pre",
        "constraint",
        "retries",
        "retry_on",
        "session",
        "theirs",
        "fresh",
        "idle",
        "replace_session",
        "mapped",
        "grid",
        "workers",
        "first_error",
        "trust",
        "results_in",
        "channel",
    }
    assert rows | elsewhere == {each.name for each in fields(RunOptions)}
