"""A draft is edited in place; everything that is not edited stays the same."""

from __future__ import annotations

import copy

import pytest
from podtask import PodTemplate
from podtask_widgets.draft import Draft
from podtask_widgets.field_refs import Item, Key, field_ref
from podtask_widgets.validation import validate

from tests.unit.document_templates import ALL


@pytest.mark.parametrize("name", ALL)
def test_unchanged_draft_equals_its_template(name: str) -> None:
    """A draft that is not changed gives the same template, as a dict and as YAML."""
    template = ALL[name]
    draft = Draft(template)
    assert draft.template() == template
    assert draft.to_dict() == template.to_dict()
    assert PodTemplate.of(draft.to_yaml()) == template


def test_draft_is_a_copy() -> None:
    """Changes of a draft do not change the template it started with."""
    template = PodTemplate({"containers": [{"name": "primary", "image": "a"}]})
    before = copy.deepcopy(template.to_dict())
    field_ref(Draft(template).container, "image").set("b")
    assert template.to_dict() == before


def test_first_field_adds_the_primary_container() -> None:
    """A pod spec gets its primary container with the first field; labels alone need no container."""
    draft = Draft(PodTemplate())
    Key(draft.metadata, "labels").set({"a": "b"})
    draft.add_required_fields()
    assert draft.to_dict() == PodTemplate(labels={"a": "b"}).to_dict()
    draft.field("priorityClassName").set("low")
    draft.add_required_fields()
    assert draft.data["spec"] == {"containers": [{"name": "primary"}], "priorityClassName": "low"}


def test_cleared_field_removes_empty_mappings() -> None:
    """A mapping is removed with its last key; other fields are kept."""
    draft = Draft(PodTemplate({"containers": [{"name": "primary", "newField": 1}]}))
    limit = field_ref(draft.container, "resources", "limits", "memory")
    limit.set("1Gi")
    assert limit.path == "spec.containers[0].resources.limits.memory"
    assert draft.container.get() == {
        "name": "primary",
        "newField": 1,
        "resources": {"limits": {"memory": "1Gi"}},
    }
    limit.set(None)
    assert draft.container.get() == {"name": "primary", "newField": 1}


def test_primary_container_stays_the_same_while_its_name_is_typed() -> None:
    """A sidecar does not become the primary container while the typed name equals the sidecar's."""
    sidecar = {"name": "main", "image": "x"}
    draft = Draft(PodTemplate({"containers": [sidecar, {"name": "primary", "image": "y"}]}))
    for name in ("m", "ma", "mai", "main", "main2"):
        draft.rename_primary(name)
    assert draft.data["spec"]["containers"] == [sidecar, {"name": "main2", "image": "y"}]
    assert draft.container.path == "spec.containers[1]"


def test_path_of_an_item_follows_its_index() -> None:
    """The path of an item changes when items before it are removed."""
    draft = Draft(PodTemplate({"volumes": [{"name": "a"}, {"name": "b"}]}))
    volumes = draft.field("volumes")
    second = Item(volumes, volumes.get()[1])
    assert second.path == "spec.volumes[1]"
    volumes.get().pop(0)
    assert second.path == "spec.volumes[0]"


def test_problems_have_the_paths_of_their_fields() -> None:
    """Missing names, wrong types and contradictions are problems with the paths of their fields."""
    draft = Draft(PodTemplate({"containers": [{"name": "primary"}, {"name": "side"}]}))
    field_ref(draft.container, "resources", "limits", "memory").set("16GB")
    validation = validate(draft)
    assert [each.path for each in validation.problems] == [
        "spec.containers[0].resources.limits.memory",
        "spec.containers[1].image",
    ]
    draft.data["spec"]["containers"][1]["name"] = ""
    assert [each.path for each in validate(draft).problems] == ["spec.containers[1].name"]
    assert validate(draft).template is None


@pytest.mark.feature("B03")
def test_overwritten_lines_have_a_note() -> None:
    """Lines of fields that podtask overwrites have a note with the new value; other lines have none."""
    draft = Draft(
        PodTemplate(
            {
                "restartPolicy": "Always",
                "containers": [{"name": "primary", "image": "x", "command": ["echo"]}],
            }
        )
    )
    validation = validate(draft)
    lines = validation.text.splitlines()
    assert {lines[number].strip(): note for number, note in validation.notes.items()} == {
        "restartPolicy: Always": 'becomes "Never"',
        "command:": "replaced by podtask",
    }
    assert validation.problems == ()
