"""The table of pod fields matches Kubernetes, and misspelled fields are recognized."""

from __future__ import annotations

import re
from typing import Any

import pytest
from kubernetes import client
from podtask.template.schema import closest_field, edit_distance, type_fields, type_problems
from podtask.template.wire_form import IRREGULAR_FIELD_NAMES, to_wire_form


def models() -> dict[str, Any]:
    """Return the models of the newest client for the types in a pod spec, by their names in the table."""
    found: dict[str, Any] = {}
    rest = ["V1PodSpec"]
    while rest:
        name = rest.pop()
        if name in found or name == "V1ObjectMeta":
            continue
        found[name] = getattr(client, {"V1ResourceClaim": "CoreV1ResourceClaim"}.get(name, name))
        for kind in found[name].openapi_types.values():
            rest += re.findall(r"V1\w+", kind)
    return {name.removeprefix("V1"): model for name, model in found.items()}


@pytest.mark.feature("B02")
def test_table_has_every_field_of_the_client() -> None:
    """The table has every field that the client library knows, for every type in a pod spec."""
    for kind, model in models().items():
        assert set(model.attribute_map.values()) == set(type_fields(kind)), kind


def test_every_field_may_be_written_in_snake_case() -> None:
    """The client's snake_case names are converted to the API's names, including irregular ones."""
    for model in models().values():
        for python_name, name in model.attribute_map.items():
            assert to_wire_form({python_name: 1}) == {name: 1}
    names = {name for model in models().values() for name in model.attribute_map.values()}
    assert set(IRREGULAR_FIELD_NAMES.values()) <= names


@pytest.mark.parametrize(
    ("name", "kind", "meant"),
    [
        ("volumeMount", "Container", "volumeMounts"),
        ("imagePullPolcy", "Container", "imagePullPolicy"),
        ("Image", "Container", "image"),
        ("nodeselector", "PodSpec", "nodeSelector"),
        ("container", "PodSpec", "containers"),
        ("fromTheFuture", "PodSpec", ""),
        ("restartRules", "PodSpec", ""),
        ("tos", "PodSpec", ""),
    ],
)
def test_near_miss_of_a_field(name: str, kind: str, meant: str) -> None:
    """A name with one or two wrong letters is a misspelling; any other name may be a new field."""
    assert closest_field(name, kind) == meant


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ab", "ba", 2)],
)
def test_distance(one: str, other: str, edits: int) -> None:
    """The distance is the number of letters to change, add or remove."""
    assert edit_distance(one, other) == edit_distance(other, one) == edits


@pytest.mark.parametrize(
    ("spec", "path", "words"),
    [
        ({"hostNetwork": "true"}, "spec.hostNetwork", "Write true without quotes (in Python True)."),
        (
            {"containers": [{"name": "a"}, {"ports": [{"containerPort": "80"}]}]},
            "spec.containers[1].ports[0].containerPort",
            "Write it without quotes.",
        ),
        ({"containers": [{"ports": {"containerPort": 80}}]}, "spec.containers[0].ports", "[ ]"),
        ({"containers": [{"args": "serve"}]}, "spec.containers[0].args", "[ ]"),
        ({"containers": [{"args": [1]}]}, "spec.containers[0].args[0]", "quotes"),
        ({"nodeSelector": {"gpu": True}}, "spec.nodeSelector.gpu", "quotes"),
        ({"affinity": []}, "spec.affinity", "{key: value}"),
        (
            {"containers": [{"securityContext": {"runAsUsr": 1}}]},
            "spec.containers[0].securityContext.runAsUsr",
            "spec.containers[0].securityContext.runAsUser",
        ),
    ],
)
def test_value_of_another_kind_is_named_by_its_path(spec: Any, path: str, words: str) -> None:
    """The error has the path of the value and a hint."""
    (found,) = type_problems(spec, "PodSpec", "spec")
    assert found.path == path
    assert words in found.hint


def test_text_in_a_wrong_place_is_not_repeated() -> None:
    """A value of the wrong kind is not repeated, since it may be a secret."""
    (found,) = type_problems({"affinity": "hunter2"}, "PodSpec", "spec")
    assert "hunter2" not in f"{found.message}{found.hint}"
