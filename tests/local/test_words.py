"""Words that users know from other tools lead to what does the same (rows U11 and U37 to U40 of the cases of use)."""

from __future__ import annotations

import re
from pathlib import Path

import podtask
import pytest
from IPython.core.completer import provisionalcompleter
from podtask.config.options import RunOptions
from podtask.errors import InputError
from podtask.magics import familiar_words
from podtask.magics.arguments import fields_by_flag
from podtask.magics.commands import COMMANDS, HELP_FLAGS

from tests.notebook import Kernel, Shell

# The words of row U11, and the beginning of what each leads to.
OPTIONS = {
    "--requests": "--cpu",
    "--volume": "pvc(",
    "-v": "pvc(",
    "--mount": "pvc(",
    "--pvc": "pvc(",
    "--secret": "secret(",
    "--sidecar": "sidecar(",
    "--labels": "PodTemplate(labels",
    "--node-selector": "nodeSelector",
    "--toleration": "tolerations",
    "--serviceaccount": "service_account(",
    "--overrides": "-t pod.yaml",
    "-e": "--env NAME=VALUE",
    "--gpus": "--gpu N",
    "-r": "--requirements FILE",
}
WORDS = {
    "ps": "list",
    "rm": "delete",
    "describe": "why",
    "exec": "shell",
    "down": "end",
    "queue": "list",
    "status": "list",
    "get": "list",
    "top": "why",
}


@pytest.mark.parametrize("flag", OPTIONS)
def test_familiar_option_leads_to_what_does_the_same(shell: Shell, flag: str) -> None:
    """U11: an option of kubectl or docker is an error of two lines; the second one says what to write."""
    shown = shell.shown_error(f"%%podtask --local {flag} x\n1").strip().splitlines()
    assert len(shown) == 2, shown
    assert f"unknown option '{flag}'" in shown[0]
    assert OPTIONS[flag] in shown[1]


@pytest.mark.parametrize("word", WORDS)
def test_familiar_command_leads_to_what_does_the_same(shell: Shell, word: str) -> None:
    """U11: a command of kubectl, docker or SkyPilot is an error of one line that names the command."""
    shown = shell.shown_error(f"%podtask {word} -n x").strip().splitlines()
    assert len(shown) == 1, shown
    assert f"%podtask {WORDS[word]}" in shown[0]
    assert f"%podtask {WORDS[word]}" in shell.output(f"%podtask help {word}")[0]


def test_familiar_words_name_what_exists() -> None:
    """U11: no familiar word hides an option or command, and each text names only those that exist."""
    assert not familiar_words.OPTIONS.keys() & fields_by_flag().keys()
    assert not familiar_words.COMMANDS.keys() & COMMANDS.keys()
    assert familiar_words.COMMANDS.keys() >= {"apply", *WORDS}
    texts = " ".join([*familiar_words.OPTIONS.values(), *familiar_words.COMMANDS.values()])
    assert set(re.findall(r"(?<!%)%podtask (\w+)", texts)) <= COMMANDS.keys()
    assert set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", texts)) <= fields_by_flag().keys() | HELP_FLAGS


@pytest.mark.parametrize("where", ["client", "server"])
def test_dry_run_as_kubectl_has_it(shell: Shell, where: str) -> None:
    """U11: `--dry-run=client` and `--dry-run=server` show the pod."""
    assert "kind: Pod" in shell.output(f"%%podtask --dry-run={where} --gpu 0\n1")[0]


@pytest.mark.parametrize(
    ("given", "packages"),
    [
        ("a,b", ("a", "b")),
        ("numpy>=1,<2, pandas", ("numpy>=1,<2", "pandas")),
        ("a[x,y],b[z]", ("a[x,y]", "b[z]")),
        ("a @ https://x/a,b.whl", ("a @ https://x/a,b.whl",)),
        ('a; python_version in "3.9,x"', ('a; python_version in "3.9,x"',)),
        (["a,b", "c==1"], ("a", "b", "c==1")),
        ("./my,file.whl", ("./my,file.whl",)),
    ],
)
def test_packages_with_commas(given: str, packages: tuple[str, ...]) -> None:
    """U11: `--pip a,b` is two packages; a comma within one package stays."""
    assert RunOptions.of(pip=given).pip == packages


def test_no_gpu() -> None:
    """U11: `--gpu 0` runs a cell of a template with GPUs without them."""
    template = {"containers": [{"name": "primary", "resources": {"limits": {"nvidia.com/gpu": 2, "cpu": 1}}}]}
    (container,) = podtask.render(template=template, gpu=0)["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": 1}


def test_requirements_file(tmp_path: Path) -> None:
    """U11: `--requirements FILE` is the packages of the file; a file that it names is refused, and so is a missing one."""
    file = tmp_path / "requirements.txt"
    file.write_text("# ours\na==1 \\\n  --hash=sha256:00\nb @ git+https://x/y#egg=b  # a comment\n\n")
    assert fields_by_flag()["--requirements"].name == "pip"
    assert RunOptions.of(pip=str(file)).pip == ("a==1    --hash=sha256:00", "b @ git+https://x/y#egg=b")
    file.write_text("-r base.txt\n")
    with pytest.raises(InputError, match="does not have that file"):
        RunOptions.of(pip=str(file))
    with pytest.raises(InputError, match="Cannot read"):
        RunOptions.of(pip=str(tmp_path / "none.txt"))


def test_options_are_keywords_of_a_source_text() -> None:
    """U37: submit and run take the options of a source text as keywords; a function's keywords are its own."""
    assert podtask.run("6 * 7", local=True, image="any") == 42
    assert podtask.submit("6 * 7", local=True, env={"A": "1"}).result() == 42
    with pytest.raises(InputError, match="Did you mean 'image'"):
        podtask.run("1", imag="any")
    with pytest.raises(InputError, match="Only a function takes arguments"):
        podtask.run("1", 2, local=True)
    local = RunOptions.of(local=True)
    assert podtask.run(lambda image: image, options=local, image="own") == "own"


def test_config_is_grouped(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """U38: headings, the place of the next cell first, durations in words, flags as yes, what is not set apart."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("PODTASK_TIMEOUT", "5400")
    lines = shell.output("%podtask config")[0].splitlines()
    assert lines[:2] == ["Cells run in", "  a process on this machine  (local)"]
    rows = [line.split() for line in lines if line]
    headings = [line for line in lines if line and not line.startswith(" ")]
    assert headings == ["Cells run in", "Settings, and where each is from", "Defaults", "Not set"]
    assert ["timeout", "1", "h", "30", "min", "PODTASK_TIMEOUT"] in rows
    assert ["local", "yes", "PODTASK_BACKEND"] in rows
    assert ["keep", "7", "d"] in rows
    assert lines.index("Defaults") < next(n for n, line in enumerate(lines) if line.split()[:1] == ["keep"])


def test_config_without_a_cluster_says_so(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U38: without a cluster, the settings are shown all the same."""
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    lines = shell.output("%podtask config")[0].splitlines()
    assert lines[1].startswith("  no cluster  No cluster is configured")
    assert "Defaults" in lines


def test_role_without_a_cluster(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """U38: without a cluster, comments say what to replace."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    out, _ = shell.output("%podtask rbac -n team")
    assert out.startswith("# No cluster is configured")
    assert "# Replace the namespace and the user" in out
    assert out.count("namespace: team\n") == 2


def test_logs_and_list_know_ended_tasks(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U39: an ended task of this kernel is in the list, with its state and last line, and its output can be printed."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    shell.output("%%podtask --local --name quick\nprint('one')\nprint('two')")
    shell.shown_error("%%podtask --local --name broken\nprint('begun')\n1 / 0")
    assert shell.output("%podtask logs quick")[0] == "one\ntwo\n"
    out = shell.shown_error("%podtask list")
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert rows["quick"].split()[1] == "ok"
    assert rows["quick"].endswith("two")
    assert rows["broken"].split()[1] == "error"
    assert "No cluster is configured" in out
    assert "No cluster is configured" in shell.shown_error("%podtask logs unknown")


def offered(shell: Shell, typed: str, below: str = "") -> list[str]:
    """Return the completions that Tab offers after a text."""
    with provisionalcompleter():
        return [each.text for each in shell.ip.Completer.completions(typed + below, len(typed))]


def test_tab_offers_what_the_notebook_used(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """U40: images, sizes and times of earlier cells and the images of templates."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    shell.run("%%podtask --local --image team/train:1 --memory 8Gi --timeout=2h\npass")
    shell.run("%%podtask --local --image team/train:2 --memory 16Gi --env KEY=hunter2\npass")
    shell["t"] = podtask.PodTemplate({"containers": [{"name": "primary", "image": "team/base:7"}]})
    assert set(offered(shell, "%%podtask --image ")) == {"team/base:7", "team/train:2", "team/train:1"}
    assert offered(shell, "%%podtask --image team/t") == ["team/train:1", "team/train:2"]
    assert offered(shell, "%%podtask --memory=") == ["16Gi", "8Gi"]
    assert offered(shell, "%%podtask --timeout ") == ["2h"]
    assert not [each for each in offered(shell, "%%podtask --env ") if "hunter2" in each]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("%%podtask fo", "for"),
        ("%%podtask --memory i", "import"),
        ("%%podtask --image fr", "from"),
        ("%%podtask --name la", "lambda"),
        ("%%podtask -t im", "import"),
        ("%podtask im", "import"),
        ("%podtask list fo", "for"),
        ("%%podtask -o no", "nonlocal"),
    ],
)
def test_tab_offers_no_keyword(shell: Shell, monkeypatch: pytest.MonkeyPatch, line: str, word: str) -> None:
    """U40: on the line of a magic, Tab offers no keyword of Python; what was typed stays."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    found = offered(shell, line, "\npass")
    assert word not in found
    assert found == [line.rsplit(maxsplit=1)[-1]]


def test_tab_offers_variables_and_files(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U40: -i offers variables, -o also what the cell sets; options that take a file offer files of their kind."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pods").mkdir()
    for name in ("pod.yaml", "pod.txt"):
        (tmp_path / name).touch()
    shell["model"] = shell["modest"] = 1
    assert offered(shell, "%%podtask -i mode") == ["model", "modest"]
    assert offered(shell, "%%podtask -i model,mod") == ["model", "modest"]
    assert offered(shell, "%%podtask -o los", "\nloss = 1\nif loss == 2: pass") == ["loss"]
    assert offered(shell, "%%podtask -t po") == ["pod.yaml", "pods/"]
    assert offered(shell, "%%podtask --requirements po") == ["pod.txt", "pods/"]


def test_tab_in_a_kernel(kernel: Kernel) -> None:
    """U40: a kernel's answer has no keyword either, and inserts nothing new."""
    reply = kernel.complete("%%podtask fo\npass", 12)
    assert reply["matches"] == ["fo"]
    reply = kernel.complete("%%podtask --memory \npass", 19)
    assert [each for each in reply["matches"] if each] == []
