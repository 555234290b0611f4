"""The pod template: every form of a pod becomes a dict in wire form, and the input is not changed."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client
from podtask.errors import InputError
from podtask.template.template import PodTemplate

SPEC = {"containers": [{"name": "primary", "image": "python:3.12"}], "hostNetwork": True}
POD = """
apiVersion: v1
kind: Pod
metadata:
  name: ignored
  labels: {team_a: one}
  annotations: {kubectl.kubernetes.io/default-container: main}
spec:
  containers: [{name: main, image: busybox}]
"""
TEMPLATE = """
apiVersion: v1
kind: PodTemplate
metadata: {name: outer, labels: {outer: "yes"}}
template:
  metadata: {labels: {team_a: one}}
  spec: {containers: [{name: primary}]}
"""


def test_snake_case_becomes_wire_form() -> None:
    """A dict may have snake_case keys at any depth; None means that a field is not given."""
    spec = {
        "init_containers": [{"name": "a", "image_pull_policy": "Always", "args": None}],
        "containers": [{"name": "primary", "volume_mounts": [{"mount_path": "/x", "name": "v"}]}],
        "termination_grace_period_seconds": 3,
    }
    assert PodTemplate(spec).pod_spec == {
        "initContainers": [{"name": "a", "imagePullPolicy": "Always"}],
        "containers": [{"name": "primary", "volumeMounts": [{"mountPath": "/x", "name": "v"}]}],
        "terminationGracePeriodSeconds": 3,
    }


def test_keys_of_free_maps_are_the_users() -> None:
    """Keys of labels, limits, selectors and volume attributes are not field names and stay unchanged."""
    free: dict[str, Any] = {"a_b": "1", "nvidia.com/gpu_x": "2", "snake_case_key": "3"}
    term = {"labelSelector": {"matchLabels": free}}
    spec = {
        "containers": [{"name": "primary", "resources": {"limits": free, "requests": free}}],
        "nodeSelector": free,
        "overhead": free,
        "topologySpreadConstraints": [term],
        "volumes": [
            {"name": "a", "csi": {"driver": "d", "volumeAttributes": free}},
            {"name": "b", "flexVolume": {"driver": "d", "options": free}},
        ],
    }
    template = PodTemplate(spec, labels=free, annotations=free)
    assert template.pod_spec == spec
    assert (template.labels, template.annotations) == (free, free)


def test_fields_newer_than_the_client_are_kept() -> None:
    """An unknown field is passed to the API server unchanged."""
    spec = {
        "containers": [{"name": "primary", "newKnob": {"deep": [{"setting": 1}]}}],
        "fromTheFuture": {"x": [1, 2.5, True, "y"]},
    }
    assert PodTemplate(spec).pod_spec == spec


def test_number_as_a_limit_is_kept() -> None:
    """A number is a valid quantity, although some model classes reject it."""
    spec = {"containers": [{"name": "primary", "resources": {"limits": {"cpu": 1}}}]}
    assert PodTemplate(spec).pod_spec == spec


def test_given_object_is_never_changed() -> None:
    """The caller's dict does not change, even if the template's dict is changed."""
    given = copy.deepcopy(SPEC)
    template = PodTemplate(given)
    template.pod_spec["containers"][0]["image"] = "other"
    template.to_dict()["spec"]["containers"].append({"name": "x"})
    assert given == SPEC
    assert len(template.pod_spec["containers"]) == 1


@pytest.mark.parametrize(
    ("given", "spec", "name", "labels"),
    [
        (POD, {"containers": [{"name": "main", "image": "busybox"}]}, "main", {"team_a": "one"}),
        (TEMPLATE, {"containers": [{"name": "primary"}]}, "primary", {"team_a": "one"}),
        ("containers:\n- name: primary\n", {"containers": [{"name": "primary"}]}, "primary", {}),
        ("---\nmetadata: {labels: {a: b}}\n---\n", {}, "primary", {"a": "b"}),
    ],
    ids=["Pod", "PodTemplate", "PodSpec", "metadata"],
)
def test_yaml_of_a_pod(
    tmp_path: Path, given: str, spec: dict[str, Any], name: str, labels: dict[str, str]
) -> None:
    """A Pod, a PodSpec and a PodTemplate can be read from text, a path, or the name of a file."""
    file = tmp_path / "pod.yaml"
    file.write_text(given)
    for source in (given, file, str(file)):
        found = PodTemplate.of(source)
        assert (found.pod_spec, found.primary_container_name, found.labels) == (spec, name, labels)


@pytest.mark.feature("B01")
def test_yaml_of_a_pod_spec_is_a_pod_spec() -> None:
    """pod_spec accepts YAML of a pod spec; for a whole pod or a file the error suggests PodTemplate.of."""
    text = "containers:\n- {name: main, image_pull_policy: Always}\n"
    found = PodTemplate(text, "main", labels={"a": "b"})
    assert found == PodTemplate(
        {"containers": [{"name": "main", "imagePullPolicy": "Always"}]}, "main", {"a": "b"}
    )
    assert PodTemplate().replace(pod_spec=text) == PodTemplate(found.pod_spec)
    for given in (POD, "pod.yaml"):
        with pytest.raises(InputError, match=r"Use PodTemplate\.of|PodTemplate\.of reads a file"):
            PodTemplate(given)
    with pytest.raises(InputError, match="pod_spec is not valid YAML"):
        PodTemplate("a: [1\n")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (POD + "---" + POD, "2 documents"),
        ("\n", "0 documents"),
        ("- a\n- b\n", "list"),
        ("just a word\n", "str"),
        ("a: [1\n", "not valid YAML"),
        ("kind: Deployment\nspec: {}\n", "is a Deployment, not a pod"),
        ("kind: Pod\nspec: [1]\n", "The spec in .* is not a mapping"),
        ("!!python/object:os.system {}\n", "not valid YAML"),
        ("no-such-file.yaml", "Cannot read"),
        (5, "Expected a pod template, got int"),
        ([SPEC], "Expected a pod template, got list"),
    ],
)
def test_object_other_than_a_pod_is_rejected(given: Any, words: str) -> None:
    """An object that does not describe a pod is an error of two lines that names its type."""
    with pytest.raises(InputError, match=words) as caught:
        PodTemplate.of(given)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pod_spec": "busybox"}, "pod_spec must be a mapping, got str"),
        ({"pod_spec": {"spec": SPEC}}, "'spec'"),
        ({"pod_spec": {"containers": {"name": "a"}}}, "containers must be a list"),
        ({"pod_spec": {"volumes": ["a"]}}, "volumes must be a list"),
        ({"pod_spec": {"containers": [{"name": "a"}, {"image": "b"}]}}, r"containers\[1\] has no name"),
        ({"pod_spec": {"init_containers": [{}]}}, r"initContainers\[0\] has no name"),
        ({"primary_container_name": ""}, "primary_container_name"),
        ({"labels": ["a"]}, "labels"),
        ({"annotations": "a=b"}, "annotations"),
    ],
)
def test_wrong_field_is_refused(fields: dict[str, Any], words: str) -> None:
    """A field of the wrong kind is an error of two lines that names the field."""
    with pytest.raises(InputError, match=words) as caught:
        PodTemplate(**fields)
    assert len(str(caught.value).splitlines()) == 2


def test_foreign_template_is_read_by_its_attributes() -> None:
    """An object of any class with the same four attributes is accepted as a template."""
    spec = client.V1PodSpec(containers=[client.V1Container(name="main")])
    foreign = SimpleNamespace(
        pod_spec=spec, primary_container_name="main", labels={"a": "b"}, annotations=None
    )
    expected = PodTemplate({"containers": [{"name": "main"}]}, "main", {"a": "b"}, {})
    assert PodTemplate.of(foreign) == expected


def test_form_gives_its_template() -> None:
    """PodTemplate.of returns the template of an object that has one, and a template itself."""
    template = PodTemplate(SPEC)
    assert PodTemplate.of(SimpleNamespace(template=template)) is template
    assert PodTemplate.of(template) is template


def test_replace_returns_a_copy() -> None:
    """``replace`` returns a new template, and the fields of a template cannot be assigned."""
    template = PodTemplate(SPEC, labels={"a": "b"})
    other = template.replace(labels={"c": "d"})
    assert (other.pod_spec, other.labels) == (SPEC, {"c": "d"})
    assert other.pod_spec is not template.pod_spec
    assert template == PodTemplate(SPEC, labels={"a": "b"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        template.labels = {}  # type: ignore[misc]


@pytest.mark.parametrize(
    "change",
    [{"pod_spec": {}}, {"primary_container_name": "x"}, {"labels": {"a": "c"}}, {"annotations": {"a": "b"}}],
    ids=lambda change: next(iter(change)),
)
def test_equal_templates_have_equal_fields(change: dict[str, Any]) -> None:
    """Templates with equal fields are equal and have the same hash."""
    template = PodTemplate(SPEC, labels={"a": "b"})
    assert template.replace(**change) != template
    assert {template: 1}[PodTemplate(copy.deepcopy(SPEC), labels={"a": "b"})] == 1


def test_yaml_comes_back() -> None:
    """PodTemplate.of reads the output of to_yaml."""
    template = PodTemplate(SPEC, labels={"a": "b"}, annotations={"c": "1"})
    assert PodTemplate.of(template.to_yaml()) == template
