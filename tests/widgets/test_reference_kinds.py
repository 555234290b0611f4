"""The kind of a variable's source is what the dropdown shows, also while its name is empty."""

from __future__ import annotations

from typing import Any

import pytest
from podtask import PodTemplate
from podtask_widgets import TemplateBuilder

from tests.widgets.user import User


def form(fields: dict[str, Any], page: str = "Environment") -> User:
    primary = {"name": "primary", **({} if page == "Sidecars" else fields)}
    sidecars = [{"name": "side", "image": "i", **fields}] if page == "Sidecars" else []
    user = User(TemplateBuilder(PodTemplate({"containers": [primary, *sidecars]})))
    user.open(page)
    return user


def entry(user: User, field: str) -> Any:
    (found,) = (each for each in user.builder.template.pod_spec["containers"] if field in each)
    return found[field][0]


@pytest.mark.pod("P19")
@pytest.mark.parametrize("page", ["Environment", "Sidecars"])
@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"secretKeyRef": {"name": "old"}}, "name"),
        ({"secretKeyRef": {"name": "old", "key": "k", "optional": True}}, "name"),
        ({"configMapKeyRef": {"name": "old"}}, "name"),
        ({"fieldRef": {"fieldPath": "old"}}, "fieldPath"),
    ],
    ids=["secret", "secret with key", "config map", "field"],
)
def test_source_of_a_variable_stays(page: str, source: dict[str, Any], field: str) -> None:
    """Clearing the name and typing another changes the name and never makes it a plain value."""
    (kind,) = source
    user = form({"env": [{"name": "A", "valueFrom": source}]}, page)
    shown = user.input("Variable 1, from").label
    for text in ("", "n", "new"):
        user.write("Variable 1, value", text)
        assert user.input("Variable 1, from").label == shown
    assert entry(user, "env") == {"name": "A", "valueFrom": {kind: {**source[kind], field: "new"}}}


@pytest.mark.pod("P19")
def test_source_stays_without_name_and_key() -> None:
    """The kind stays while both the name and the key are empty, also after another page was shown."""
    user = form({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]})
    user.write("Variable 1, value", "")
    user.write("Variable 1, key", "")
    user.open("Basics")
    user.open("Environment")
    assert user.input("Variable 1, from").label == "ConfigMap"
    user.write("Variable 1, key", "k2")
    user.write("Variable 1, value", "m2")
    assert entry(user, "env")["valueFrom"] == {"configMapKeyRef": {"key": "k2", "name": "m2"}}


@pytest.mark.pod("P19")
@pytest.mark.parametrize(("kind", "label"), [("configMapRef", "ConfigMap"), ("secretRef", "Secret")])
def test_source_of_all_variables_stays(kind: str, label: str) -> None:
    """Clearing the name of envFrom, also with an optional flag that is removed, keeps the kind of object."""
    user = form({"envFrom": [{kind: {"name": "old", "optional": True}}]})
    user.choose("Source 1, optional", "not set")
    for text in ("", "new"):
        user.write("Source 1, name", text)
        assert user.input("Source 1").label == label
    assert entry(user, "envFrom") == {kind: {"name": "new"}}
