"""A draft is edited in place and stays the template that it is."""

from __future__ import annotations

import copy

import pytest
from podtask import PodTemplate
from podtask_widgets.draft import Draft
from podtask_widgets.field_refs import Item, Key, at
from podtask_widgets.validation import judge

from tests.unit.seeds import ALL


@pytest.mark.parametrize("name", ALL)
def test_untouched_draft_is_its_template(name: str) -> None:
    """A template goes in and comes out the same, in wire form and in YAML."""
    template = ALL[name]
    draft = Draft(template)
    assert draft.template() == template
    assert draft.to_dict() == template.to_dict()
    assert PodTemplate.of(draft.to_yaml()) == template


def test_draft_is_a_copy() -> None:
    """What is changed in a draft leaves the template it began with alone."""
    template = PodTemplate({"containers": [{"name": "primary", "image": "a"}]})
    before = copy.deepcopy(template.to_dict())
    at(Draft(template).container, "image").set("b")
    assert template.to_dict() == before


def test_first_field_brings_the_primary_container() -> None:
    """The API requires containers; labels alone need none."""
    draft = Draft(PodTemplate())
    Key(draft.metadata, "labels").set({"a": "b"})
    draft.settle()
    assert draft.to_dict() == {"metadata": {"labels": {"a": "b"}}, "spec": {}}
    draft.field("priorityClassName").set("low")
    draft.settle()
    assert draft.whole["spec"] == {"containers": [{"name": "primary"}], "priorityClassName": "low"}


def test_cleared_field_leaves_nothing_behind() -> None:
    """A mapping goes with its last key; what stands beside it stays."""
    draft = Draft(PodTemplate({"containers": [{"name": "primary", "newField": 1}]}))
    limit = at(draft.container, "resources", "limits", "memory")
    limit.set("1Gi")
    assert limit.path == "spec.containers[0].resources.limits.memory"
    assert draft.container.get() == {
        "name": "primary",
        "newField": 1,
        "resources": {"limits": {"memory": "1Gi"}},
    }
    limit.set(None)
    assert draft.container.get() == {"name": "primary", "newField": 1}


def test_primary_keeps_its_identity_while_its_name_is_typed() -> None:
    """A name that is for a moment a sidecar's does not turn the sidecar into the primary."""
    sidecar = {"name": "main", "image": "x"}
    draft = Draft(PodTemplate({"containers": [sidecar, {"name": "primary", "image": "y"}]}))
    for name in ("m", "ma", "mai", "main", "main2"):
        draft.rename(name)
    assert draft.whole["spec"]["containers"] == [sidecar, {"name": "main2", "image": "y"}]
    assert draft.container.path == "spec.containers[1]"


def test_item_knows_its_number() -> None:
    """An item's path follows it when others before it go."""
    draft = Draft(PodTemplate({"volumes": [{"name": "a"}, {"name": "b"}]}))
    volumes = draft.field("volumes")
    second = Item(volumes, volumes.get()[1])
    assert second.path == "spec.volumes[1]"
    volumes.get().pop(0)
    assert second.path == "spec.volumes[0]"


def test_problems_have_the_paths_of_their_fields() -> None:
    """Names that are missing, kinds of values and contradictions: all are found, each at its field."""
    draft = Draft(PodTemplate({"containers": [{"name": "primary"}, {"name": "side"}]}))
    at(draft.container, "resources", "limits", "memory").set("16GB")
    found = judge(draft)
    assert [each.path for each in found.problems] == [
        "spec.containers[0].resources.limits.memory",
        "spec.containers[1].image",
    ]
    draft.whole["spec"]["containers"][1]["name"] = ""
    assert [each.path for each in judge(draft).problems] == ["spec.containers[1].name"]
    assert judge(draft).template is None


@pytest.mark.feature("B03")
def test_marks_stand_where_a_rule_overwrites() -> None:
    """The line of a field that the rules replace says what becomes of it; others have none."""
    draft = Draft(
        PodTemplate(
            {
                "restartPolicy": "Always",
                "containers": [{"name": "primary", "image": "x", "command": ["echo"]}],
            }
        )
    )
    found = judge(draft)
    lines = found.text.splitlines()
    assert {lines[number].strip(): mark for number, mark in found.marks.items()} == {
        "restartPolicy: Always": 'becomes "Never"',
        "command:": "replaced by podtask",
    }
    assert found.problems == ()
