"""Tab completion in a notebook, and the help texts."""

from __future__ import annotations

import socket
from pathlib import Path

import podtask
import pytest
from IPython.core.completer import provisionalcompleter
from podtask import PodTemplate
from podtask.api import resolve
from podtask.cluster import object_names
from podtask.config.options import RunOptions

from tests.notebook import Kernel, Shell


def offered(shell: Shell, typed: str, below: str = "") -> list[str]:
    """Return the completions that Tab offers after a text."""
    with provisionalcompleter():
        return [each.text for each in shell.ip.Completer.completions(typed + below, len(typed))]


@pytest.mark.feature("N13")
def test_tab_offers_options_and_their_values(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tab offers exactly the flags, their values, and the templates of the notebook and the project."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))  # the user may have saved templates
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".podtask" / "templates").mkdir(parents=True)
    (tmp_path / ".podtask" / "templates" / "prod.yaml").write_text("containers: []\n")
    shell["training"] = PodTemplate()
    assert set(offered(shell, "%%podtask --st", "\nprint(1)")) == {"--start-timeout"}
    assert "--memory" in offered(shell, "%%podtask -t training --")
    assert offered(shell, "%%podtask --entrypoint ") == ["keep", "replace"]
    assert offered(shell, "%%podtask --entrypoint=k") == ["keep"]
    assert offered(shell, "%%podtask -t ") == ["prod", "training"]
    assert offered(shell, "%%podtask --template tr") == ["training"]
    assert offered(shell, "%podtask use p") == ["prod"]
    assert offered(shell, "@podtask.task(template='tr") == ["training"]
    assert offered(shell, "%podtask d") == ["delete", "doctor"]
    assert "--memory" not in offered(shell, "%%podtask\n--me")
    assert "prod" not in offered(shell, "use p")


@pytest.mark.feature("N13")
def test_tab_offers_the_containers_of_the_template(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--primary`` completes from the template of the line, or from that of the session; a wrong one offers nothing."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    containers = [{"name": "base", "image": "a"}, {"name": "web", "image": "b"}]
    shell["pair"] = PodTemplate({"containers": containers})
    assert offered(shell, "%%podtask -t pair --primary ") == ["base", "web"]
    assert offered(shell, "%%podtask -t pair --primary=w") == ["web"]
    assert "base" not in offered(shell, "%%podtask -t missing --primary ")
    monkeypatch.setattr(resolve, "_session_template", shell["pair"])
    assert offered(shell, "%%podtask --primary=w") == ["web"]


@pytest.mark.feature("N13")
def test_tab_does_not_wait_for_a_silent_cluster(
    shell: Shell, silent_cluster: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tab does not wait for a server that accepts connections and never answers."""
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    assert "team" not in offered(shell, "%%podtask -n ")
    ((_, asking),) = [asked for key, asked in object_names._asked.items() if str(tmp_path) in str(key)]
    assert not asking.done()  # Tab has answered before the server


@pytest.mark.feature("N13")
def test_tab_works_in_a_kernel(kernel: Kernel) -> None:
    """A kernel answers the front end's completion request with the same matcher."""
    reply = kernel.complete("%%podtask --entr\nx = 1", 16)
    assert reply["matches"] == ["--entrypoint"]
    kernel.run("%unload_ext podtask")
    assert kernel.complete("%%podtask --entr\nx = 1", 16)["matches"] == []


@pytest.mark.feature("N13")
def test_help_is_the_list_of_options_and_of_commands(shell: Shell) -> None:
    """``%%podtask?`` lists every option and ``%podtask`` every command, one line each."""
    text = shell.ip.object_inspect_text("%%podtask")
    for flag in ("--template", "--start-timeout", "--dry-run"):
        assert flag in text
    assert "%podtask config" in text
    shown, _ = shell.output("%podtask")
    for command in ("use", "save", "templates", "config", "why", "doctor", "rbac"):
        assert f"%podtask {command}" in shown or f"  {command}" in shown
    assert "Did you mean '--memory'?" in shell.shown_error("%%podtask --memry 1Gi\n1")
    with pytest.raises(podtask.InputError, match="Did you mean 'memory'"):
        RunOptions.of(memry="1Gi")
