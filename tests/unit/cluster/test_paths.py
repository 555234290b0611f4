"""The paths of the Kubernetes API: a name is one part of a path."""

from __future__ import annotations

import pytest
from podtask.cluster.paths import resource_path
from podtask.errors import InputError


@pytest.mark.parametrize(
    "name", ["../secrets/a", "..", "a/../b", "a?b", "a%2fb", "a#b", ".a", "a b", "\u00e9", "a\n"]
)
def test_name_that_leads_to_another_path_is_refused(name: str) -> None:
    """A name that a project or an API server has chosen cannot read another resource."""
    with pytest.raises(InputError, match="not a valid name"):
        resource_path("podtemplates", "n", name)


@pytest.mark.parametrize("name", ["a", "a.b-c", "My_Task"])
def test_name_of_an_object_is_accepted(name: str) -> None:
    """Names of pods and of tasks are parts of a path."""
    assert resource_path("pods", "n", name) == f"/api/v1/namespaces/n/pods/{name}"
