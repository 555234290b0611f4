"""--dry-run: the pod, the changes to the template, and copies for other tools."""

from __future__ import annotations

from typing import Any

import podtask
import pytest
import yaml
from podtask import Cell, PodTemplate, RunOptions
from podtask.api.resolve import resolve_template
from podtask.channel.enclosure import embed_job
from podtask.channel.job import Job
from podtask.magics.dry_run import Preview
from podtask.manifest.diff import dropped_fields
from podtask.manifest.pod_manifest import PodManifest
from podtask.runner.bundle import MINOR

from tests.notebook import Shell
from tests.unit.test_formatting import HOSTILE

GIVEN = PodTemplate(
    {
        "containers": [
            {
                "name": "primary",
                "image": "old:1",
                "command": ["echo", "hello"],
                "args": ["x"],
                "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
                "resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            }
        ],
        "restartPolicy": "Always",
    }
)


def preview(template: Any = GIVEN, last: dict[str, Any] | None = None, **options: Any) -> Preview:
    chosen = resolve_template(RunOptions.of(template=template, local=True, **options))
    return Preview.from_options(chosen, last or {})


@pytest.mark.feature("B03", "B04", "B05")
def test_yaml_is_marked_where_a_rule_overwrote() -> None:
    """U25: a comment shows the overwritten value of the template, or that podtask adds the value that stands there."""
    text = preview(image="new:2", memory="8Gi").to_yaml()
    for line in (
        '    image: new:2  # was: "old:1"',
        '        memory: 8Gi  # was: "1Gi"',
        '  restartPolicy: Never  # was: "Always"',
        '    # was: ["echo", "hello"]\n    command:',
        '# args was: ["x"]\n',
    ):
        assert line in text
    assert "  automountServiceAccountToken: false  # added\n" in text
    assert yaml.safe_load(text) == preview(image="new:2", memory="8Gi").pod
    assert "was:" not in preview(PodTemplate({"containers": [{"name": "primary"}]})).to_yaml()


def test_items_that_podtask_adds_are_marked() -> None:
    """U25: in lists of the template, each variable, mount, volume and toleration that podtask adds is marked, and no other."""
    primary = {
        "name": "primary",
        "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec = {
        "containers": [{"name": "side", "image": "redis:7"}, primary],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "tolerations": [{"key": "team", "operator": "Exists"}],
    }
    found = preview(PodTemplate(spec), gpu=1)
    lines = [line.strip() for line in found.to_yaml().splitlines()]
    assert [line for line in lines if line.startswith("- ") and line.endswith("  # added")] == [
        "- name: PODTASK_KEY  # added",
        "- name: PODTASK_LOCK  # added",
        "- name: PODTASK_PORT  # added",
        "- name: PODTASK_WAIT  # added",
        "- name: podtask-shm  # added",
        "- name: podtask-shm  # added",
        "- key: nvidia.com/gpu  # added",
    ]
    assert yaml.safe_load(found.to_yaml()) == found.pod


def test_container_that_podtask_adds_is_marked() -> None:
    """U25: beside the containers of the template, the one that runs the cell is marked at its first line."""
    text = preview(PodTemplate({"containers": [{"name": "side", "image": "redis:7"}]})).to_yaml()
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("  - ")] == [
        "  - name: side",
        "  - name: primary  # added",
    ]


@pytest.mark.feature("B06")
def test_order_of_variables_is_shown() -> None:
    """The template's variables come first, in their order; a notice names those that --env replaces."""
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "A", "value": "2"}]
    found = preview(
        PodTemplate({"containers": [{"name": "primary", "env": env}]}),
        env={"A": "hunter2", "C": "hunter3"},
    )
    (primary,) = yaml.safe_load(found.to_yaml())["spec"]["containers"]
    assert primary["env"][:3] == env
    assert [each["name"] for each in primary["env"][3:]] == [
        "PODTASK_KEY",
        "PODTASK_LOCK",
        "PODTASK_PORT",
        "PODTASK_WAIT",
    ]
    assert "# env A of container 'primary' is replaced in the cell by --env\n" in repr(found)
    assert "hunter" not in repr(found) + found._repr_html_()


@pytest.mark.feature("N14")
def test_diff_to_the_template_shows_each_change() -> None:
    """The diff shows removed and added lines, without the text of podtask's program."""
    found = preview(image="new:2").diff_to_template().splitlines()
    assert {"-    image: old:1", "+    image: new:2", "-  restartPolicy: Always"} <= set(found)
    assert not any("hashlib" in line for line in found)


@pytest.mark.feature("N14")
def test_diff_to_the_last_run_ignores_identities() -> None:
    """The diff ignores names, ports, keys, the notebook and its pod."""
    before = preview(memory="4Gi")
    last = yaml.safe_load(yaml.safe_dump(before.pod))
    last["metadata"]["name"] = "podtask-other"
    last["metadata"]["labels"] |= {
        "podtask/task": "podtask-other",
        "podtask/user": "ada",
        "podtask/name": "named",
        "podtask/notebook": "0123",
        "podtask/kernel": "4567",
    }
    last["metadata"]["ownerReferences"] = [{"kind": "Pod", "name": "jupyter-ada", "uid": "1"}]
    assert preview(memory="4Gi", last=last).diff_to_last() == ""
    changed = preview(memory="8Gi", last=last).diff_to_last()
    assert sorted(line for line in changed.splitlines()[2:] if line[0] in "+-") == [
        *["+        memory: 8Gi"] * 2,
        *["-        memory: 4Gi"] * 2,
    ]
    assert preview().diff_to_last() == ""


@pytest.mark.feature("N14")
def test_python_makes_the_same_pod() -> None:
    """The Python copy, when executed, renders the same pod; it does not contain the values of --env."""
    found = preview(image="new", gpu=2, timeout="1h", env={"TOKEN": "hunter2"})
    names: dict[str, Any] = {}
    exec(found.to_python(), names)
    again = preview(names["template"], image="new", gpu=2, timeout="1h")
    assert names["options"].gpu == 2
    assert again.pod == found.pod
    for shown in (found.to_python(), repr(found), found.kubectl(), found._repr_html_()):
        assert "hunter2" not in shown


@pytest.mark.feature("N14")
@pytest.mark.pod("P5")
def test_items_of_one_name_are_compared_in_order() -> None:
    """A variable, and a volume that is mounted twice, are compared with themselves."""
    container = {
        "name": "primary",
        "env": [{"name": "L", "value": "/a"}, {"name": "L", "value": "/b:$(L)"}],
        "volumeMounts": [
            {"name": "v", "mountPath": "/a", "subPath": "a"},
            {"name": "v", "mountPath": "/b"},
        ],
    }
    template = PodTemplate({"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]})
    assert "was:" not in preview(template).to_yaml()


def test_kubectl_line_has_the_whole_pod() -> None:
    """The shell command has the context, the namespace and the pod, without a task's key."""
    found = preview(namespace="team", context="the prod").kubectl()
    head, _, rest = found.partition("\n")
    assert head.startswith("kubectl --context 'the prod' -n team create --dry-run=server --validate=strict")
    pod = yaml.safe_load(rest.removesuffix("EOF"))
    assert pod == preview(namespace="team").pod


@pytest.mark.feature("N14")
def test_html_has_every_copy_and_escapes_it() -> None:
    """U25: each copy is a section that unfolds, YAML in colors, below the verdict; text of the template is escaped."""
    template = PodTemplate({"containers": [{"name": "primary", "workingDir": HOSTILE}]})
    shown = preview(template)._repr_html_()
    assert "<script>" not in shown
    for head in (
        "YAML",
        "Python",
        "kubectl",
        "Flyte",
        "Difference to the template",
    ):
        assert f"<summary>{head}</summary>" in shown
    assert shown.index("<th>API server</th>") == shown.index("<th>")  # the verdict comes first
    assert (
        '<span class="pt-k">restartPolicy</span>:<span class="pt-s"> Never</span>  <span class="pt-mark"># added'
        in shown
    )


@pytest.mark.feature("N14")
def test_flags_of_the_cell_are_shown_for_flyte() -> None:
    """U25: the Flyte section has the arguments of ``@task`` that do what the flags do, without values of --env."""
    shown = preview(image="new:2", memory="8Gi", gpu=1, env={"TOKEN": "hunter2"}, timeout="1h").to_flyte()
    assert "template = PodTemplate(" in shown
    assert shown.splitlines()[-1] == (
        "# With the flags of this cell: @task(pod_template=template, container_image='new:2', "
        'requests=Resources(mem="8Gi"), limits=Resources(mem="8Gi", gpu="1"), '
        'environment={"TOKEN": "..."}, timeout=3600)'
    )
    assert preview().to_flyte().endswith("@task(pod_template=template)\n")


@pytest.mark.parametrize(
    ("asked", "stored", "lost"),
    [
        ({"a": 1, "b": {"c": "x"}}, {"a": 1, "b": {"c": "x", "d": 1}}, []),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]}, ["spec.a[0].c"]),
        ({"a": {"b": {"c": 1}}}, {}, ["spec.a"]),
        ({"a": [1, 2]}, {"a": [1]}, ["spec.a[1]"]),
        ({"a": False, "b": "", "c": {}}, {}, []),
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "A", "valueFrom": {}}]},
            {"env": [{"name": "Z"}, {"name": "A", "value": "1"}, {"name": "A", "valueFrom": {}}]},
            [],
        ),
        (
            {"mounts": [{"name": "v", "subPath": "a"}, {"name": "v", "path": "/b"}]},
            {"mounts": [{"name": "v"}, {"name": "v", "path": "/b"}]},
            ["spec.mounts[0].subPath"],
        ),
    ],
)
def test_dropped_fields_are_found(asked: Any, stored: Any, lost: list[str]) -> None:
    """The paths of fields that were sent and not stored are found; additional stored fields are ignored."""
    assert dropped_fields(asked, stored, "spec") == lost


@pytest.mark.feature("A47")
def test_dry_run_is_the_cells_value(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preview is displayed and stored in _, states that no server was asked, and runs no cell."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    shell["t"] = GIVEN
    shell.run("%%podtask --memory 1Gi\n1")
    out, _ = shell.output("%%podtask -t t --dry-run\nraise SystemExit")
    assert "no API server was asked" in out
    found = shell["_"]
    assert isinstance(found, Preview)
    assert "+    image: old:1" in found.diff_to_last().splitlines()


@pytest.mark.feature("N14")
@pytest.mark.parametrize("flags", ["--as again", "-d --as again"])
def test_repeated_run_has_no_difference(shell: Shell, monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    """A repeated cell has no difference, even with a name or detached."""
    monkeypatch.setenv("PODTASK_BACKEND", "local")
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/work.ipynb")
    shell.output(f"%%podtask {flags}\n1")
    shell["again"].result(60)
    shell.output(f"%%podtask {flags} --dry-run\n1")
    assert "podtask/notebook" in shell["_"].last["metadata"]["labels"]
    assert shell["_"].diff_to_last() == ""
    shell.output(f"%%podtask {flags} --dry-run --cpu 2\n1")
    assert "+        cpu: '2'" in shell["_"].diff_to_last()


@pytest.mark.feature("N14")
def test_run_in_batch_mode_is_compared_without_its_cell() -> None:
    """The annotation and the volume of a cell in batch mode do not count as differences."""
    batch = embed_job(PodManifest(preview().pod), Job({"exec": "x", "source": "1"}, ()))
    last = batch.without_secrets().pod
    assert last["spec"]["volumes"]
    assert preview(last=last).diff_to_last() == ""


@pytest.mark.feature("N14")
def test_script_metadata_is_rendered(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The preview has the image with the Python that the cell's script metadata requires."""
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    asked = "3.12" if MINOR != "3.12" else "3.11"
    block = f'# /// script\n# requires-python = "=={asked}"\n# ///\n1'
    shell.output(f"%%podtask --dry-run\n{block}")
    looked_at = shell["_"].pod
    for pod in (looked_at, podtask.render(block), podtask.render(Cell.of(block))):
        assert pod["spec"]["containers"][0]["image"] == f"python:{asked}-slim"
    named = podtask.render(block, image="mine")
    assert named["spec"]["containers"][0]["image"] == "mine"


def test_dry_run_without_a_cluster_shows_the_error(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Without a cluster, the pod is still shown, with the error of the API server."""
    monkeypatch.delenv("PODTASK_BACKEND", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    out, _ = shell.output("%%podtask --dry-run\n1")
    assert "# No cluster is configured" in out
    assert "kind: Pod" in out
