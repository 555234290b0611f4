"""What a template says about itself: its namespace, and notices that come once."""

from __future__ import annotations

import pytest
from podtask import PodTemplate, RunOptions
from podtask.api.resolve import resolve_options, resolve_template
from podtask.errors import InputError

from tests.notebook import Shell

POD = {"kind": "Pod", "metadata": {"namespace": "team-a"}, "spec": {"containers": [{"name": "primary"}]}}


@pytest.fixture
def in_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve options as for a cell in a pod."""
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    monkeypatch.delenv("PODTASK_NAMESPACE", raising=False)


@pytest.mark.pod("P10")
@pytest.mark.usefixtures("in_cluster")
def test_namespace_of_the_template_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell runs in the namespace of its template, which is more specific than a setting."""
    assert resolve_options({"template": POD}).namespace == "team-a"
    assert resolve_options({"template": POD, "namespace": "team-a"}).namespace == "team-a"
    assert resolve_template(RunOptions(template=POD)).namespace == "team-a"
    assert resolve_options({"template": PodTemplate(), "namespace": "b"}).namespace == "b"
    monkeypatch.setenv("PODTASK_NAMESPACE", "b")
    assert resolve_options({"template": POD}).namespace == "team-a"
    assert resolve_options({}).namespace == "b"


@pytest.mark.pod("P10")
@pytest.mark.usefixtures("in_cluster")
def test_another_namespace_is_an_error() -> None:
    """An option that names another namespace than the template is refused, in the magic and in Python."""
    for resolve in (
        lambda: resolve_options({"template": POD, "namespace": "b"}),
        lambda: resolve_template(RunOptions(template=POD, namespace="b")),
    ):
        with pytest.raises(InputError, match=r"for namespace team-a .* and -n says b") as caught:
            resolve()
        assert "namespace=None" in caught.value.hint
    assert resolve_options({"template": POD, "namespace": "b", "local": True}).namespace == "b"
    without = PodTemplate.of(POD).replace(namespace=None)
    assert resolve_options({"template": without, "namespace": "b"}).namespace == "b"


@pytest.mark.pod("P22")
@pytest.mark.usefixtures("local_backend")
def test_notice_about_a_template_comes_once(shell: Shell) -> None:
    """A line about a template is shown with the first cell that runs in it; another template has its own."""
    for name in ("one", "two"):
        shell[name] = PodTemplate({"restartPolicy": "Always"}, labels={"template": name})
    shown = ["".join(shell.output(f"%%podtask -t {name}\n1")) for name in ("one", "one", "two", "one")]
    assert [text.count("restartPolicy Always becomes Never") for text in shown] == [1, 0, 1, 0]


@pytest.mark.pod("P22")
@pytest.mark.usefixtures("local_backend")
def test_option_that_replaces_a_field_is_named_once(shell: Shell) -> None:
    """The same holds for a field that an option replaces; another value of the option is another line."""
    shell["three"] = PodTemplate({"containers": [{"name": "primary", "image": "a"}]})
    shown = ["".join(shell.output(f"%%podtask -t three --image {image}\n1")) for image in ("b", "b", "c")]
    assert [text.count("is replaced by") for text in shown] == [1, 0, 1]
