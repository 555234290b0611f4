"""Presets: each adds exactly its fields to an empty template, and they combine in any order."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from podtask import PodTemplate, presets
from podtask.errors import InputError
from podtask.presets import Preset

from tests.unit import document_templates
from tests.unit.manifest.test_render import rendered

DISK = {"claimName": "data"}


def mounted(source: dict[str, Any], name: str = "data", **mount: Any) -> dict[str, Any]:
    """Return a spec with one volume, mounted at /data."""
    mounts = [{"name": name, "mountPath": "/data", **mount}]
    return {
        "containers": [{"name": "primary", "volumeMounts": mounts}],
        "volumes": [{"name": name, **source}],
    }


def primary(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "primary", **fields}]}


CASES: dict[str, tuple[Preset, dict[str, Any]]] = {
    "pvc": (presets.pvc("data", "/data"), mounted({"persistentVolumeClaim": DISK})),
    "pvc read only": (
        presets.pvc("data", "/data", read_only=True, sub_path="a"),
        mounted({"persistentVolumeClaim": {**DISK, "readOnly": True}}, readOnly=True, subPath="a"),
    ),
    "s3 by claim": (
        presets.s3("bucket", "/data", claim="data"),
        mounted({"persistentVolumeClaim": DISK}),
    ),
    "s3 by driver": (
        presets.s3("data", "/data", driver="d", region="eu"),
        mounted({"csi": {"driver": "d", "volumeAttributes": {"bucketName": "data", "region": "eu"}}}),
    ),
    "empty directory": (presets.empty_dir("/data"), mounted({"emptyDir": {}})),
    "memory": (
        presets.empty_dir("/data", memory=True, size="1Gi", name="fast"),
        mounted({"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}, "fast"),
    ),
    "host path": (
        presets.host_path("/mnt/a", "/data", kind="Directory"),
        mounted({"hostPath": {"path": "/mnt/a", "type": "Directory"}}, "host-mnt-a", readOnly=True),
    ),
    "config map": (
        presets.config_map("data", "/data", items={"k": "f"}, mode=0o400, optional=True),
        mounted(
            {
                "configMap": {
                    "name": "data",
                    "items": [{"key": "k", "path": "f"}],
                    "defaultMode": 256,
                    "optional": True,
                }
            }
        ),
    ),
    "secret": (presets.secret("data", "/data"), mounted({"secret": {"secretName": "data"}})),
    "all of a secret": (
        presets.env_from_secret("s"),
        primary(envFrom=[{"secretRef": {"name": "s"}}]),
    ),
    "a key of a secret": (
        presets.env_from_secret("s", TOKEN="key"),
        primary(env=[{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}]),
    ),
    "all of a config map": (
        presets.env_from_config_map("c", optional=True),
        primary(envFrom=[{"configMapRef": {"name": "c", "optional": True}}]),
    ),
    "sidecar": (
        presets.sidecar(
            "db",
            "redis:7",
            args=["x"],
            env={"A": 1},
            mounts={"v": "/v"},
            ports=[6379, {"containerPort": 6380, "name": "more"}],
            memory="1Gi",
            workingDir="/w",
        ),
        {
            "containers": [
                {"name": "primary"},
                {
                    "name": "db",
                    "image": "redis:7",
                    "args": ["x"],
                    "workingDir": "/w",
                    "env": [{"name": "A", "value": "1"}],
                    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                    "ports": [{"containerPort": 6379}, {"containerPort": 6380, "name": "more"}],
                    "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}},
                },
            ]
        },
    ),
    "native sidecar": (
        presets.native_sidecar("db", "redis:7"),
        {**primary(), "initContainers": [{"name": "db", "image": "redis:7", "restartPolicy": "Always"}]},
    ),
    "init": (
        presets.init("get", "git", command=["git"]),
        {**primary(), "initContainers": [{"name": "get", "image": "git", "command": ["git"]}]},
    ),
    "gpu": (
        presets.gpu(2),
        {
            "containers": [
                {
                    "name": "primary",
                    "resources": {"limits": {"nvidia.com/gpu": "2"}},
                    "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
                }
            ],
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}],
        },
    ),
    "spot with a taint": (
        presets.spot("gke"),
        {
            **primary(),
            "nodeSelector": {"cloud.google.com/gke-spot": "true"},
            "tolerations": [
                {
                    "key": "cloud.google.com/gke-spot",
                    "operator": "Equal",
                    "value": "true",
                    "effect": "NoSchedule",
                }
            ],
        },
    ),
    "spot": (presets.spot("eks"), {**primary(), "nodeSelector": {"eks.amazonaws.com/capacityType": "SPOT"}}),
    "pull secret": (presets.image_pull_secret("r"), {**primary(), "imagePullSecrets": [{"name": "r"}]}),
    "account": (presets.service_account("robot"), {**primary(), "serviceAccountName": "robot"}),
}


@pytest.mark.feature("A15")
@pytest.mark.parametrize("name", CASES)
def test_preset_makes_exactly_this(name: str) -> None:
    """A preset returns a copy with exactly these fields, and leaves its template unchanged."""
    preset, spec = CASES[name]
    empty = PodTemplate()
    assert empty.with_(preset).pod_spec == spec
    assert empty == PodTemplate()


@pytest.mark.feature("B22")
def test_request_of_the_template_follows_its_gpus() -> None:
    """A request for GPUs gets the new number too: Kubernetes requires that it equals the limit."""
    resources = {"requests": {"nvidia.com/gpu": "4", "cpu": "1"}, "limits": {"nvidia.com/gpu": "4"}}
    given = PodTemplate({"containers": [{"name": "primary", "resources": resources}]})
    (primary,) = given.with_(presets.gpu(8)).pod_spec["containers"]
    assert primary["resources"] == {
        "requests": {"nvidia.com/gpu": "8", "cpu": "1"},
        "limits": {"nvidia.com/gpu": "8"},
    }


@pytest.mark.feature("A14")
def test_bucket_of_the_documents_is_the_preset() -> None:
    """gcs_fuse adds both the volume and the annotations of GKE's example."""
    found = PodTemplate().with_(presets.gcs_fuse("my-bucket", "/mnt/gcs", cpu_limit="2", memory_limit="1Gi"))
    theirs = document_templates.BUCKET.pod_spec
    assert found.annotations == document_templates.BUCKET.annotations
    assert found.pod_spec["volumes"][0]["csi"] == theirs["volumes"][0]["csi"]
    assert found.pod_spec["containers"][0]["volumeMounts"][0]["mountPath"] == "/mnt/gcs"


@pytest.mark.parametrize("pair", [*itertools.combinations(["pvc", "gpu", "init", "spot", "account"], 2)])
def test_presets_may_come_in_any_order(pair: tuple[str, str]) -> None:
    """Presets are independent of each other; the pod rendered from them is valid."""
    one, other = (CASES[name][0] for name in pair)
    found = PodTemplate().with_(one, other)
    assert rendered(found)
    swapped = PodTemplate().with_(other, one).pod_spec
    assert {name: len(value) for name, value in swapped.items()} == {
        name: len(value) for name, value in found.pod_spec.items()
    }


def test_objects_of_one_name_are_two_volumes() -> None:
    """A secret and a config map of the same name, as Helm makes them, are both mounted."""
    found = PodTemplate().with_(
        presets.secret("app", "/secret"),
        presets.config_map("app", "/config"),
        presets.config_map("app", "/again"),
    )
    assert [each["name"] for each in found.pod_spec["volumes"]] == ["app", "app-2"]
    mounts = found.pod_spec["containers"][0]["volumeMounts"]
    assert [(each["name"], each["mountPath"]) for each in mounts] == [
        ("app", "/secret"),
        ("app-2", "/config"),
        ("app-2", "/again"),
    ]
    assert rendered(found)


def test_same_preset_twice_is_one() -> None:
    """Applying a preset again changes nothing."""
    for preset, _ in CASES.values():
        once = PodTemplate().with_(preset)
        assert once.with_(preset) == once


def test_restricted_covers_all_containers() -> None:
    """restricted() covers sidecars and init containers too, and the cell has a writable home."""
    found = (
        PodTemplate().with_(presets.sidecar("a", "x"), presets.init("b", "y"), presets.restricted()).pod_spec
    )
    for container in [*found["containers"], *found["initContainers"]]:
        context = container["securityContext"]
        assert (context["runAsNonRoot"], context["allowPrivilegeEscalation"]) == (True, False)
        assert context["capabilities"] == {"drop": ["ALL"]}
    assert found["containers"][0]["env"] == [{"name": "HOME", "value": "/tmp"}]


def test_preset_finds_the_primary_by_its_name() -> None:
    """A primary container with another name gets the mount; a misspelt name is an error."""
    template = PodTemplate({"containers": [{"name": "a"}, {"name": "main"}]}, "main")
    found = template.with_(presets.empty_dir("/x"))
    assert "volumeMounts" in found.pod_spec["containers"][1]
    with pytest.raises(InputError, match="No container is named 'main'"):
        PodTemplate({"containers": [{"name": "mian"}]}, "main").with_(presets.gpu())


@pytest.mark.parametrize("call", [lambda: presets.spot("gk"), lambda: presets.s3("b", "/b")])
def test_preset_that_cannot_be_meant_is_refused(call: Any) -> None:
    """An invalid argument is an error of two lines."""
    with pytest.raises(InputError) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 2
