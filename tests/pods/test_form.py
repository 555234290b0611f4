"""Names in the form that come from the cluster."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from podtask_widgets import TemplateBuilder

from tests.notebook import Shell
from tests.widgets.user import User

pytestmark = pytest.mark.cluster


def offered(widget: Any, name: str) -> bool:
    """Wait until an input offers a name."""
    come = threading.Event()

    def look(*_: object) -> None:
        if name in widget.options:
            come.set()

    widget.observe(look, "options")
    look()
    return come.wait(30)


@pytest.mark.feature("A42", "A43")
def test_names_are_offered_where_a_variable_comes_from(pods: Shell, cluster: Any, namespace: str) -> None:
    """The form offers only names of the selected kind: secrets or config maps."""
    cluster.kubectl("create", "secret", "generic", "hugging-face", "-n", namespace)
    cluster.kubectl("create", "configmap", "settings", "-n", namespace)
    user = User(TemplateBuilder())
    user.open("Environment")
    user.click("Add variable")
    user.write("Variable 1, name", "TOKEN")
    value = user.input("Variable 1, value")
    user.choose("Variable 1, from", "Secret")
    assert offered(value, "hugging-face")
    user.choose("Variable 1, from", "ConfigMap")
    assert offered(value, "settings")
    assert "hugging-face" not in value.options
    user.choose("Variable 1, from", "value")
    assert value.options == ()
    user.click("Add source")
    assert offered(user.input("Source 1, name"), "hugging-face")
    user.choose("Source 1", "ConfigMap")
    assert offered(user.input("Source 1, name"), "settings")
    assert "hugging-face" not in user.input("Source 1, name").options
