"""Single pages of the form: their counts, the values that they keep, and the problems that they show."""

from __future__ import annotations

import pytest
from podtask import PodTemplate
from podtask.presets import gpu, restricted, sidecar
from podtask_widgets import TemplateBuilder

from tests.widgets.user import User

CORES = {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1"}}


def template_with_variables(*variables: object, sidecars: int = 0) -> PodTemplate:
    """Return a template whose primary container has variables and comes after the sidecars."""
    others = [{"name": f"side-{n}", "image": "redis:7"} for n in range(sidecars)]
    return PodTemplate({"containers": [*others, {"name": "primary", "env": list(variables)}]})


def test_variable_with_another_source_is_kept() -> None:
    """A source that the form does not know is read-only; it can be replaced and chosen again."""
    template = template_with_variables({"name": "CORES", "valueFrom": CORES})
    user = User(TemplateBuilder(template))
    user.open("Environment")
    value = user.input("Variable 1, value")
    assert value.disabled
    assert "limits.cpu" in value.value
    user.choose("Variable 1, from", "value")
    assert (value.disabled, value.value) == (False, "")
    user.write("Variable 1, value", "4")
    assert user.builder.template == template_with_variables({"name": "CORES", "value": "4"})
    user.choose("Variable 1, from", "resourceFieldRef")
    assert value.disabled
    assert user.builder.template == template
    assert user.state == "✓ valid"


def test_reserved_variable_is_reported_at_its_field() -> None:
    """A name that is reserved for podtask is reported at its field, and a click on the state opens it."""
    plain = {"name": "A", "value": "b"}
    user = User(
        TemplateBuilder(template_with_variables(plain, {"name": "PODTASK_X", "value": "y"}, sidecars=1))
    )
    assert user.state.startswith("● 1 problem: Variable 2, name: The value is reserved.")
    user.click(user.state)
    assert user.opened == "Environment"
    assert any("is reserved" in note for note in user.notes())
    user.write("Variable 2, name", "MINE")
    assert (user.state, user.notes()) == ("✓ valid", [])


@pytest.mark.feature("A22")
def test_sidecar_has_requests_and_limits() -> None:
    """Requests and limits of a sidecar can be set; a limit below its request is reported at the request."""
    user = User(TemplateBuilder(PodTemplate().with_(sidecar("redis", "redis:7", memory="1Gi"))))
    user.open("Sidecars")
    assert user.input("Memory request").value == "1Gi"
    user.write("Memory limit", "512Mi")
    assert user.state.startswith("● 1 problem: Sidecar 1, Memory request: The container requests 1Gi")
    assert len(user.notes()) == 1
    user.write("Memory request", "256Mi")
    user.write("CPU request", "100m")
    user.write("CPU limit", "1")
    assert (user.state, user.notes()) == ("✓ valid", [])
    assert user.builder.template.pod_spec["containers"][1]["resources"] == {
        "requests": {"memory": "256Mi", "cpu": "100m"},
        "limits": {"memory": "512Mi", "cpu": "1"},
    }


def test_tabs_count_the_fields_that_are_set(user: User) -> None:
    """Tabs count resources, scheduling and security settings; a tab without any shows no number."""
    assert list(user.titles.values()) == list(user.titles)
    user.builder.template = PodTemplate().with_(gpu(1), restricted())
    user.open("Scheduling")
    user.click("Add selector")
    user.write("selector 1, key", "disk")
    user.write("Priority class", "high")
    assert user.titles["Resources"] == "Resources 1"
    assert user.titles["Scheduling"] == "Scheduling 3"
    user.open("Resources")
    user.write("Memory limit", "8Gi")
    user.write("Size of /dev/shm", "2Gi")
    assert user.titles["Resources"] == "Resources 3"
    before = int(user.titles["Security"].split()[-1])
    user.open("Security")
    user.click("Add pull secret")
    user.write("Pull secret 1", "regcred")
    user.write("Service account", "runner")
    assert user.titles["Security"] == f"Security {before + 2}"
