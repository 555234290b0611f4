"""Validation before any request: each error has the path of the field and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.errors import InputError
from podtask.template.template import PodTemplate

from tests.unit.manifest.test_render import rendered

SIDE = {"name": "side", "image": "s"}


def refused(template: PodTemplate | dict[str, Any], **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        rendered(template, **options)
    return str(caught.value)


def side(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "primary"}, {**SIDE, **fields}]}


def volumes(*given: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{"name": "primary"}], "volumes": list(given)}


def ephemeral(resources: dict[str, Any]) -> dict[str, Any]:
    claim = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": resources}}
    return {"name": "v", "ephemeral": {"volumeClaimTemplate": claim}}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (side(ports=[{"containerPort": "80"}]), "spec.containers[1].ports[0].containerPort is text"),
        (
            side(ports=[{"containerPort": 0}]),
            "spec.containers[1].ports[0].containerPort 0 is not a valid port",
        ),
        (side(ports=[{"name": "a"}]), "spec.containers[1].ports[0].containerPort is missing"),
        (
            side(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]),
            "spec.containers[1].ports[1].name 'a' is used twice",
        ),
        (side(ports=[{"containerPort": 1, "name": "A_b"}]), "spec.containers[1].ports[0].name 'A_b'"),
        (
            side(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            "spec.containers[1].volumeMounts[0].name 'v' is not a volume of the pod.\nAdd it to spec.volumes",
        ),
        (
            side(volumeMount=[]),
            "spec.containers[1].volumeMount is not a known field. Did you mean 'volumeMounts'?",
        ),
        (side(resources={"request": {}}), "spec.containers[1].resources.request is not a known field"),
        (side(resources={"limits": {"cpu": "2 cores"}}), "spec.containers[1].resources.limits.cpu"),
        (
            side(resources={"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}),
            "spec.containers[1].resources.requests.cpu requests 2 of cpu, which is over the limit of 1500m",
        ),
        (
            side(env=[{"name": "A=B", "value": "1"}]),
            "spec.containers[1].env[0].name is invalid: 'A=B' is not a valid name for an",
        ),
        (
            side(env=[{"name": "A"}, {"name": "", "value": "1"}]),
            "spec.containers[1].env[1].name is invalid: '' is not a valid name",
        ),
        (
            side(env=[{"name": "Ä", "value": "1"}]),
            "spec.containers[1].env[0].name is invalid: 'Ä' is not a valid name",
        ),
        (side(env=[{"name": "A", "value": 1}]), "spec.containers[1].env[0].value is a number, not text"),
        (side(name="Side_Car"), "spec.containers[1].name 'Side_Car' is not a valid name"),
        (side(image=None), "spec.containers[1].image of container 'side' is missing"),
        (
            {"containers": [SIDE, SIDE]},
            "spec.containers[1].name 'side' is also the name of spec.containers[0]",
        ),
        (
            {"containers": [SIDE], "initContainers": [SIDE]},
            "spec.containers[0].name 'side' is also the name of spec.initContainers[0]",
        ),
        (side(name="podtask-x"), "spec.containers[1].name 'podtask-x' is reserved"),
        (
            volumes({"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}),
            "spec.volumes[1].name 'v' is also the name of spec.volumes[0]",
        ),
        (
            volumes({"name": "v", "persistentVolumeClaim": {}}),
            "spec.volumes[0].persistentVolumeClaim.claimName is missing.\nWrite the name of a claim",
        ),
        (
            volumes({"name": "v", "nfs": {"path": "/"}}),
            "spec.volumes[0].nfs.server is missing.",
        ),
        (
            side(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]),
            "spec.containers[1].env[0].valueFrom.secretKeyRef.key is missing.",
        ),
        (
            side(envFrom=[{"configMapRef": {}}]),
            "spec.containers[1].envFrom[0].configMapRef.name is missing.",
        ),
        (
            {"tolerations": [{"operator": "Equal", "value": "a"}]},
            "spec.tolerations[0].key is missing.",
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
            "spec.tolerations[0].value must be empty with operator Exists.",
        ),
        (
            volumes({"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}),
            "spec.volumes[0] (v) has 2 sources: emptyDir, hostPath",
        ),
        (
            volumes({"name": "v", "emptyDir": {"sizeLimit": "8GB"}}),
            "spec.volumes[0].emptyDir.sizeLimit is invalid: '8GB' is not a quantity. Did you mean 8Gi?",
        ),
        (
            volumes(ephemeral({"requests": {"storage": "1 Gi"}})),
            "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources.requests.storage is invalid: '1 Gi' is not",
        ),
        (
            volumes(ephemeral({"requests": {"storage": "2Gi"}, "limits": {"storage": "1Gi"}})),
            "requests.storage requests 2Gi of storage, which is over the limit of 1Gi",
        ),
        (
            volumes({"name": "v", "emptydir": {}}),
            "spec.volumes[0].emptydir is not a known field. Did you mean 'emptyDir'?",
        ),
        (volumes({"name": "podtask-shm", "emptyDir": {}}), "spec.volumes[0].name 'podtask-shm' is reserved"),
        ({"nodeSelector": {"gpu": True}}, "spec.nodeSelector.gpu is true or false, not text"),
        (
            {"nodeSelectr": {"gpu": "x"}, "containers": []},
            "spec.nodeSelectr is not a known field. Did you mean 'nodeSelector'?",
        ),
    ],
    ids=lambda part: part.split(" ")[0] if isinstance(part, str) else "",
)
def test_mistake_is_named_by_its_path(spec: dict[str, Any], says: str) -> None:
    """The error has two or three lines: the field, what is wrong, and what to do."""
    found = refused(spec)
    assert says in found
    assert 2 <= len(found.splitlines()) <= 3


@pytest.mark.feature("A07")
@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"labels": {"a b": "c"}}, "metadata.labels: 'a b' is not a valid label key"),
        ({"labels": {"x" * 64: "c"}}, "is not a valid label key"),
        ({"labels": {"Bad.Prefix/a": "c"}}, "metadata.labels: 'Bad.Prefix/a' is not a valid label key"),
        ({"labels": {"a": "x" * 64}}, "metadata.labels.a 'xxx"),
        ({"labels": {"a": "b c"}}, "metadata.labels.a 'b c' is not a valid label value"),
        ({"labels": {"a": 1}}, "metadata.labels.a is not text"),
        ({"annotations": {"a/b/c": "d"}}, "'a/b/c' is not a valid annotation key"),
        ({"annotations": {"a": True}}, "metadata.annotations.a is not text"),
        ({"annotations": {"a": "x" * 2**18}}, "more than the 262144 allowed"),
    ],
)
def test_bad_label_or_annotation_is_named_with_its_rule(metadata: dict[str, Any], says: str) -> None:
    """The message names the key and the rule."""
    assert says in refused(PodTemplate(**metadata))


@pytest.mark.parametrize("key", ["iam.amazonaws.com/role", "a", "A_b.c-d", "x" * 63, f"{'x' * 63}.io/y"])
def test_good_keys_pass(key: str) -> None:
    """Every key that Kubernetes accepts is accepted."""
    metadata = {key: "v", "empty": ""}
    assert rendered(PodTemplate(labels=metadata, annotations={key: "any\ntext ü"}))


def test_good_names_and_sizes_pass() -> None:
    """Variable names of newer Kubernetes versions and all forms of quantities are accepted."""
    env = [{"name": name, "value": "x"} for name in ("A", "a.b-c", "1", "my key", "~!")]
    assert rendered(
        {
            **side(env=env),
            "volumes": [
                {"name": "a", "emptyDir": {"sizeLimit": 1024}},
                {"name": "b", "emptyDir": {"medium": "Memory"}},
                {**ephemeral({"requests": {"storage": "1Gi"}}), "name": "c"},
            ],
        }
    )


def test_flag_over_a_limit_of_the_template_is_named() -> None:
    """The error for a request set by a flag names the flag, because the template has no request."""
    limits = {"limits": {"cpu": 1}}
    found = refused({"containers": [SIDE, {"name": "primary", "resources": limits}]}, cpu=2)
    assert found.splitlines() == [
        "--cpu requests 2 of cpu, which is over the limit of 1.",
        "Lower --cpu, or raise spec.containers[1].resources.limits.cpu.",
    ]
    own = {"requests": {"cpu": 3}, **limits}
    found = refused({"containers": [{**SIDE, "resources": own}, {"name": "primary"}]}, cpu=2)
    assert found.startswith("spec.containers[0].resources.requests.cpu requests 3")


def test_other_mistakes_are_named_too() -> None:
    """The error has the first problem in full and the paths of the others, so that all can be fixed."""
    found = refused(
        {
            "containers": [
                {
                    "name": "primary",
                    "args": "x",
                    "tty": "yes",
                    "stdin": 1,
                    "command": "x",
                    "ports": 5,
                    "imag": "x",
                }
            ]
        }
    )
    assert found.splitlines()[-1] == (
        "Also wrong: spec.containers[0].tty, spec.containers[0].stdin, spec.containers[0].command and 2 more."
    )


def test_secret_in_a_wrong_place_is_not_shown() -> None:
    """The value of an environment variable is never repeated in an error."""
    for value in (["hunter2"], {"hunter2": 1}, 4711):
        found = refused({"containers": [{"name": "primary", "env": [{"name": "A", "value": value}]}]})
        assert "hunter2" not in found
        assert "4711" not in found


def test_shared_memory_of_both_is_refused() -> None:
    """--shm is refused if the template mounts a volume at /dev/shm."""
    template = {
        "containers": [{"name": "primary", "volumeMounts": [{"name": "v", "mountPath": "/dev/shm"}]}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    assert "--shm" in refused(template, shm="1Gi")
