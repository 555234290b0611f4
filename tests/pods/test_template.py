"""Templates on a real cluster: the pod that is read back is as requested, and the cell runs in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import podtask
import pytest
from kubernetes.client import V1Container, V1PodSpec
from podtask import PodTemplate, RunOptions, Task
from podtask.lifecycle.updates import Update
from podtask.presets import image_pull_secret

from tests.notebook import Shell
from tests.pods.waiting import HOLD, wait_for_input_request

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
IMAGE = "python:3.11-slim"
ReadBack = Callable[..., tuple[dict[str, Any], Task]]


@pytest.fixture
def read_back(cluster: Any, namespace: str) -> ReadBack:
    """Run source in a pod and read the pod from the API server at the same time; return both."""

    def run(template: Any, source: str = "1", **options: Any) -> tuple[dict[str, Any], Task]:
        chosen = RunOptions.of(**{"image": IMAGE, **options})
        task = podtask.submit(HOLD + source, template=template, options=chosen)
        wait_for_input_request(task)
        pod = cluster.kubectl_json("get", "pod", task.name, "-n", namespace)
        task.reply({"eof": True})
        task.wait(60)
        return pod, task

    return run


def primary(pod: dict[str, Any], name: str = "primary") -> dict[str, Any]:
    (found,) = [each for each in pod["spec"]["containers"] if each["name"] == name]
    return found  # type: ignore[no-any-return]


@pytest.mark.feature("A02")
@pytest.mark.parametrize("name", ["primary", "main"])
def test_cell_runs_in_the_primary_container(read_back: ReadBack, name: str) -> None:
    """The cell runs in the container with the default or custom primary name."""
    spec = {"containers": [{"name": name, "env": [{"name": "WHERE", "value": name}]}]}
    template = PodTemplate(spec, primary_container_name=name)
    pod, task = read_back(template, "import os\nos.environ['WHERE']")
    assert [each["name"] for each in pod["spec"]["containers"]] == [name]
    assert task.result() == name


@pytest.mark.feature("A04", "A05", "A06")
def test_labels_and_annotations_alone_make_a_template(
    read_back: ReadBack, cluster: Any, namespace: str
) -> None:
    """Without a pod spec, the cell runs, and the pod has the labels and annotations."""
    template = PodTemplate(
        labels={"cost-center": "ml-team", "project": "recommendations"},
        annotations={
            "iam.amazonaws.com/role": "my-task-role",
            "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        },
    )
    pod, task = read_back(template, "6 * 7")
    assert task.result() == 42
    assert template.annotations is not None
    assert template.annotations.items() <= pod["metadata"]["annotations"].items()
    assert pod["metadata"]["labels"]["project"] == "recommendations"
    found = cluster.kubectl_json("get", "pods", "-n", namespace, "-l", "cost-center=ml-team")
    assert task.name in [each["metadata"]["name"] for each in found["items"]]


@pytest.mark.feature("A13")
def test_missing_file_is_the_cells_own_error(pods: Shell) -> None:
    """A file that is missing on a mount raises FileNotFoundError at the line of the cell."""
    pods.run(
        "t = {'volumes': [{'name': 'data', 'emptyDir': {}}], 'containers': [{'name': 'primary',"
        " 'volumeMounts': [{'name': 'data', 'mountPath': '/mnt/data'}]}]}"
    )
    source = f"%%podtask -t t --image {IMAGE}\nwith open('/mnt/data/input.txt') as f:\n    f.read()"
    with pytest.raises(FileNotFoundError, match=r"/mnt/data/input\.txt"):
        pods.run(source)
    assert "----> 2 with open('/mnt/data/input.txt') as f:" in pods.shown_error(source)


@pytest.mark.feature("A17", "A18", "A19", "A22")
def test_cell_connects_to_a_database_sidecar(read_back: ReadBack) -> None:
    """A Redis sidecar with its unchanged image responds to the cell on localhost."""
    template = PodTemplate(
        V1PodSpec(
            containers=[
                V1Container(name="primary"),
                V1Container(name="redis", image="redis:7", ports=[{"containerPort": 6379}]),  # type: ignore[list-item]
            ]
        )
    )
    source = (
        "import socket, time\n"
        "end = time.monotonic() + 30\n"
        "while True:\n"
        "    try:\n"
        "        db = socket.create_connection(('localhost', 6379), 5); break\n"
        "    except OSError:\n"
        "        assert time.monotonic() < end\n"
        "db.sendall(b'SET answer 42\\r\\nGET answer\\r\\n')\n"
        "said = b''\n"
        "while said.count(b'\\r\\n') < 3: said += db.recv(100)\n"
        "said"
    )
    pod, task = read_back(template, source)
    assert task.result() == b"+OK\r\n$2\r\n42\r\n"
    assert len(pod["spec"]["containers"]) == 2
    assert primary(pod, "redis")["image"] == "redis:7"
    assert primary(pod, "redis")["ports"] == [{"containerPort": 6379, "protocol": "TCP"}]


@pytest.mark.feature("A40", "B05")
def test_resources_of_template_and_call_are_merged(read_back: ReadBack) -> None:
    """The pod has the requests and limits of the template, overridden by those of the call."""
    resources = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1"}}
    template = {"containers": [{"name": "primary", "resources": resources}]}
    pod, task = read_back(template, cpu="50m", memory="128Mi")
    assert task.result() == 1
    assert primary(pod)["resources"] == {
        "requests": {"cpu": "50m", "memory": "128Mi"},
        "limits": {"cpu": "1", "memory": "128Mi"},
    }


@pytest.mark.feature("B04")
def test_command_of_the_template_does_not_run(read_back: ReadBack, cluster: Any) -> None:
    """The cell replaces the command of the primary container, and a notice explains it."""
    notices: list[str] = []
    template = {"containers": [{"name": "primary", "command": ["echo", "hello"]}]}
    task = podtask.submit("'the cell'", template=template, options=RunOptions.of(image=IMAGE))
    while (update := task.updates.get(timeout=60)).kind != "done":
        notices += [update.text] if update.kind == "note" else []
    assert task.result() == "the cell"
    assert "hello" not in task.logs()
    assert notices == ["command of container 'primary' is replaced: the cell runs there"]


@pytest.mark.feature("B07", "B08", "A23")
def test_template_of_sidecars_alone_runs_the_cell(read_back: ReadBack, cluster: Any, namespace: str) -> None:
    """The primary container is appended last; with a grace period of 5 s, a sleeping sidecar is gone within 8 s."""
    side = {"name": "side", "image": "nopython:1", "command": ["sleep", "3600"]}
    pod, task = read_back({"containers": [side], "terminationGracePeriodSeconds": 5}, "2 + 2")
    cluster.kubectl("wait", "--for=delete", f"pod/{task.name}", "-n", namespace, "--timeout=8s")
    assert task.result() == 4
    assert [each["name"] for each in pod["spec"]["containers"]] == ["side", "primary"]
    assert primary(pod, "side")["command"] == ["sleep", "3600"]


@pytest.mark.feature("B03", "B23")
def test_image_of_the_call_wins_and_sidecars_keep_theirs(read_back: ReadBack) -> None:
    """--image replaces the template's image; the sidecar keeps its image and resources."""
    limits = {"limits": {"memory": "32Mi"}, "requests": {"memory": "16Mi"}}
    side = {"name": "side", "image": "nopython:1", "command": ["sleep", "60"], "resources": limits}
    template = {"containers": [{"name": "primary", "image": "python:3.9-slim"}, side]}
    pod, task = read_back(template, "import sys\nsys.version_info[:2]")
    assert task.result() == (3, 11)
    assert primary(pod, "side")["image"] == "nopython:1"
    assert primary(pod, "side")["resources"] == limits


@pytest.mark.feature("A39")
def test_url_names_context_namespace_pod_and_the_kubectl_line(read_back: ReadBack, namespace: str) -> None:
    """``task.url`` contains the location of the pod and a kubectl command."""
    _, task = read_back(None)
    context, found, rest = task.url.split("/")
    assert context
    assert found == namespace
    assert rest == f"{task.name} (kubectl --context {context} -n {namespace} get pod {task.name})"


@pytest.mark.feature("A48")
def test_session_default_applies_to_every_run(pods: Shell) -> None:
    """``%podtask use NAME`` makes a template the default and does not change it."""
    pods.run(
        "import copy, podtask\n"
        "t = podtask.PodTemplate({'containers': [{'name': 'primary', 'image': 'python:3.11-slim',"
        " 'env': [{'name': 'hello', 'value': 'world'}]}]})\n"
        "before = copy.deepcopy(t)\n%podtask use t"
    )
    for _ in range(2):
        pods.run("%%podtask -o hello\nimport os\nhello = os.environ['hello']")
        assert pods["hello"] == "world"
    assert pods["t"] == pods["before"]
    pods.run("%podtask use none\n")
    with pytest.raises(KeyError):
        pods.run(f"%%podtask --image {IMAGE}\nimport os\nos.environ['hello']")


@pytest.mark.feature("A01")
@pytest.mark.parametrize("flags", ["-t team", ""], ids=["named", "session's"])
def test_pod_of_the_magic_has_the_template(pods: Shell, cluster: Any, namespace: str, flags: str) -> None:
    """With -t or ``%podtask use``, the created pod contains the template."""
    env = [{"name": "hello", "value": "world"}]
    spec = {"containers": [{"name": "main", "image": IMAGE, "env": env, "workingDir": "/srv"}]}
    pods["team"] = PodTemplate(spec, "main", {"team": "one"}, {"note": "two words"})
    pods.run("%podtask use none" if flags else "%podtask use team")
    pods.run(f"%%podtask -d --as job {flags}\nimport time\nprint('up')\ntime.sleep(600)")
    task = pods["job"]
    try:
        while "up" not in task.logs():
            assert task.updates.get(timeout=60).kind != "done", task.error
        pod = cluster.kubectl_json("get", "pod", task.name, "-n", namespace)
    finally:
        pods.run("%podtask use none")
        task.cancel()
    (container,) = pod["spec"]["containers"]
    assert (container["name"], container["image"]) == ("main", IMAGE)
    assert (container["env"][0], container["workingDir"]) == (env[0], "/srv")
    assert pod["metadata"]["labels"]["team"] == "one"
    assert pod["metadata"]["annotations"]["note"] == "two words"


@pytest.mark.feature("A09", "B06")
@pytest.mark.pod("P5")
def test_variables_have_one_order(read_back: ReadBack) -> None:
    """Variables are as in a plain pod: references to earlier ones, and the last of a name; --env precedes them."""
    pairs = [
        *(("A", "1"), ("A", "2"), ("C", "template's"), ("C", "template's last")),
        *(("L", "/a"), ("X", "$(L)"), ("L", "/b:$(L)")),
    ]
    given = [{"name": name, "value": value} for name, value in pairs]
    template = {"containers": [{"name": "primary", "env": given}]}
    source = "import os\n[os.environ[name] for name in 'ACDLX']"
    pod, task = read_back(template, source, env={"C": "call's", "D": "new"})
    assert task.result() == ["2", "call's", "new", "/b:/a", "/a"]
    assert primary(pod)["env"][: len(given)] == given
    names = [entry["name"] for entry in primary(pod)["env"][len(given) :]]
    assert names == ["PODTASK_KEY", "PODTASK_LOCK", "PODTASK_PORT", "PODTASK_WAIT"]


@pytest.mark.feature("A37")
def test_several_kubeconfigs_and_a_named_context(
    pods: Shell, cluster: Any, namespace: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KUBECONFIG may list files; --context and -n select; the URL shows both."""
    one = tmp_path / "one"
    one.write_text(
        "apiVersion: v1\nkind: Config\ncontexts:\n- name: other\n  context: {cluster: x, user: y}\ncurrent-context: other\n"
    )
    two = cluster.write_kubeconfig(tmp_path / "two")
    name = cluster.kubectl("config", "current-context", kubeconfig=two).strip()
    monkeypatch.setenv("KUBECONFIG", f"{one}:{two}")
    options = RunOptions.of(context=name, namespace=namespace, image=IMAGE)
    task = podtask.submit("6 * 7", options=options)
    assert task.result(60) == 42
    assert task.url.startswith(f"{name}/{namespace}/")
    phases = [update.text for update in iter(task.updates.get, Update("done"))]
    assert phases.count(f"Creating: in {name}/{namespace}") == 1
    shown = pods.shown_error("%%podtask --context nope\n1")
    assert "has no context 'nope'" in shown
    assert name in shown


@pytest.mark.feature("A11")
def test_pull_secrets_are_kept(read_back: ReadBack) -> None:
    """The pod has the pull secrets of the template and of the presets, in this order."""
    template = PodTemplate({"imagePullSecrets": [{"name": "first"}]})
    pod, task = read_back(template.with_(image_pull_secret("second")))
    assert pod["spec"]["imagePullSecrets"] == [{"name": "first"}, {"name": "second"}]
    assert task.result() == 1
