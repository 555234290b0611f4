"""What can be done with a template from the head of its form."""

from __future__ import annotations

import pytest
from podtask import PodTemplate
from podtask.api import resolve
from podtask.template import store
from podtask_widgets import TemplateBuilder

from tests.unit.seeds import METRICS
from tests.widgets.user import User


@pytest.mark.feature("A44")
def test_saved_by_name(user: User) -> None:
    """Save keeps it under its name; one that is there is replaced at the second click only."""
    user.click("Save")
    assert "name first" in user.html("pt-said")
    user.builder.name = "prod"
    user.open("Basics")
    user.write("Image", "a")
    user.click("Save")
    assert "-t prod" in user.html("pt-said")
    assert PodTemplate.of(store.saved()["prod"]) == user.builder.template
    user.write("Image", "b")
    user.click("Save")
    assert "Save again to replace it" in user.html("pt-said")
    user.click("Save")
    assert TemplateBuilder("prod").template.pod_spec["containers"][0]["image"] == "b"
    assert TemplateBuilder("prod").name == "prod"


@pytest.mark.feature("A01")
def test_used_for_the_session(user: User) -> None:
    """Use makes it the session's template, with what is typed afterwards."""
    try:
        user.click("Use")
        user.open("Basics")
        user.write("Image", "later")
        template = resolve.session_template()
        assert template is not None
        assert template.pod_spec["containers"][0]["image"] == "later"
    finally:
        resolve.set_session_template(None)


def test_problem_stops_saving(user: User) -> None:
    """What is wrong is neither saved nor used nor sent to be checked."""
    user.open("Basics")
    user.write("Container name", "")
    for button, word in (("Save", "saved"), ("Use", "used"), ("Check", "checked")):
        user.click(button)
        assert f"Not {word}: primary_container_name is empty." in user.html("pt-said")
    assert user.builder.template.primary_container_name == "primary"


def test_check_without_a_cluster_says_so(user: User) -> None:
    """Where cells run on this machine there is nobody to ask."""
    user.click("Check")
    assert "no API server to ask" in user.html("pt-said")


@pytest.mark.feature("N14")
def test_copies(user: User) -> None:
    """The template is offered as YAML, Python, kubectl and Flyte."""
    user.builder.template = METRICS
    shown = user.html("pt-menu")
    for words in (
        ">YAML<",
        ">Python<",
        ">kubectl<",
        ">Flyte<",
        "kubectl apply -f -",
        "V1ContainerPort",
        "from flytekit import",
    ):
        assert words in shown
