"""The buttons in the header of the form."""

from __future__ import annotations

import pytest
from podtask import PodTemplate
from podtask.api import resolve
from podtask.template import store
from podtask_widgets import TemplateBuilder

from tests.unit.document_templates import METRICS
from tests.widgets.user import User


@pytest.mark.feature("A44")
def test_saved_by_name(user: User) -> None:
    """Save stores the template under its name; the second click replaces a template of the same name."""
    user.click("Save")
    assert "name first" in user.html("pt-said")
    user.builder.name = "prod"
    user.open("Basics")
    user.write("Image", "a")
    user.click("Save")
    assert "-t prod" in user.html("pt-said")
    assert PodTemplate.of(store.saved_templates()["prod"]) == user.builder.template
    user.write("Image", "b")
    user.click("Save")
    assert "Save again to replace it" in user.html("pt-said")
    user.click("Save")
    assert TemplateBuilder("prod").template.pod_spec["containers"][0]["image"] == "b"
    assert TemplateBuilder("prod").name == "prod"


@pytest.mark.feature("A01")
def test_use_sets_the_template_of_the_session(user: User) -> None:
    """Use makes the form's template the one of the session, including later changes."""
    try:
        user.click("Use")
        user.open("Basics")
        user.write("Image", "later")
        template = resolve.session_template()
        assert template is not None
        assert template.pod_spec["containers"][0]["image"] == "later"
    finally:
        resolve.set_session_template(None)


def test_invalid_template_is_not_saved(user: User) -> None:
    """An invalid template is not saved, used or checked."""
    user.open("Basics")
    user.write("Container name", "")
    for button, word in (("Save", "saved"), ("Use", "used"), ("Check", "checked")):
        user.click(button)
        assert f"Not {word}. Container name: The value is empty." in user.html("pt-said")
    assert user.builder.template.primary_container_name == "primary"


def test_check_without_a_cluster_shows_a_message(user: User) -> None:
    """When cells run on this machine, Check shows that there is no API server."""
    user.click("Check")
    assert "no API server to check with" in user.html("pt-said")


@pytest.mark.feature("N14")
def test_copy_menu(user: User) -> None:
    """The Copy menu offers the template as YAML, Python, a kubectl command and a Flyte template."""
    user.builder.template = METRICS
    menu = user.html("pt-menu")
    for text in (
        ">YAML<",
        ">Python<",
        ">kubectl<",
        ">Flyte<",
        "kubectl apply -f -",
        "V1ContainerPort",
        "from flytekit import",
    ):
        assert text in menu
