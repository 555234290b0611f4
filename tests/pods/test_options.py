"""Options and templates whose effect only a cluster shows: restricted, entrypoint, server-side checks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import podtask
import pytest
from podtask import PodTemplate, RunOptions
from podtask.lifecycle.updates import Update
from podtask.presets import config_map, empty_dir, env_from_secret, init, secret, sidecar

from tests.notebook import Shell
from tests.pods.waiting import HOLD, submit, wait_for_input_request

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
IMAGE = "python:3.11-slim"


def run(source: str, template: Any = None, **options: Any) -> Any:
    chosen = RunOptions.of(**{"image": IMAGE, **options})
    return podtask.submit(source, template=template, options=chosen).result(60)


def test_restricted_cell_runs_where_only_that_is_allowed(cluster: Any, namespace: str) -> None:
    """With --restricted, a cell runs under Pod Security "restricted" and can write to /tmp."""
    level = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, level)
    source = (
        "import os, pathlib, tempfile\n"
        "pathlib.Path('~/x').expanduser().write_text('y')\n"
        "os.getuid(), tempfile.gettempdir(), os.environ['HOME']"
    )
    with pytest.raises(podtask.PodtaskError, match="violates PodSecurity"):
        run(source)
    assert run(source, restricted=True) == (65532, "/tmp", "/tmp")
    template = PodTemplate(
        {"containers": [{"name": "primary", "securityContext": {"readOnlyRootFilesystem": True}}]}
    )
    assert run(source, template, restricted=True) == (65532, "/tmp", "/tmp")


@pytest.mark.parametrize("options", [{"entrypoint": "keep"}, {"python": "/usr/bin/python3"}, {"shm": "8Mi"}])
def test_options_of_the_container_work(options: dict[str, Any]) -> None:
    """--entrypoint keep, --python and --shm work together."""
    source = "import os, sys\ns = os.statvfs('/dev/shm')\n(sys.executable, s.f_frsize * s.f_blocks)"
    executable, size = run(source, **options)
    if "python" in options:
        assert executable == "/usr/bin/python3"
    if "shm" in options:
        assert size == 8 << 20


@pytest.mark.feature("A49")
def test_template_of_the_cluster(pods: Shell, cluster: Any, namespace: str) -> None:
    """-t pod-template/NAME uses a template of the namespace; options override it; a missing one is named."""
    spec = {"containers": [{"name": "main", "image": IMAGE, "env": [{"name": "A", "value": "b"}]}]}
    annotations = {"kubectl.kubernetes.io/default-container": "main"}
    whole = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "prod"},
        "template": {"metadata": {"annotations": annotations, "labels": {"team": "one"}}, "spec": spec},
    }
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(whole))
    pods.run("%%podtask -t pod-template/prod -o a\nimport os\na = os.environ['A']")
    assert pods["a"] == "b"
    source = f"{HOLD}import os\nos.environ['A'], os.environ['B']"
    task = submit("pod-template/prod", source, memory="128Mi", env={"B": "c"})
    wait_for_input_request(task)
    pod = cluster.kubectl_json("get", "pod", task.name, "-n", namespace)
    task.reply({"eof": True})
    assert task.result(60) == ("b", "c")
    (main,) = pod["spec"]["containers"]
    assert pod["metadata"]["labels"]["team"] == "one"
    assert main["resources"] == {"requests": {"memory": "128Mi"}, "limits": {"memory": "128Mi"}}
    assert [each["name"] for each in main["env"] if "PODTASK" not in each["name"]] == ["A"]
    shown = pods.shown_error("%%podtask -t pod-template/nope\n1")
    assert "Pod template 'nope' not found in" in shown
    assert "get podtemplates" in shown


@pytest.mark.feature("A49")
def test_right_to_read_templates_is_named(
    pods: Shell, restricted_kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to read pod templates, the error names the verb and the resource."""
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]
    monkeypatch.setenv("KUBECONFIG", str(restricted_kubeconfig(rules)))
    assert "verb get, resource podtemplates" in pods.shown_error("%%podtask -t pod-template/x\n1")


@pytest.mark.feature("A47", "B25")
def test_dry_run_has_the_servers_verdict(pods: Shell, cluster: Any, namespace: str) -> None:
    """A dry run shows whether the API server accepts the pod or rejects a field, and creates nothing."""
    out, _ = pods.output(f"%%podtask --image {IMAGE} --dry-run\n1")
    assert f"# The API server accepts this pod in namespace {namespace}." in out
    pods["bad"] = PodTemplate({"containers": [{"name": "primary", "imagePullPolicy": "Sometimes"}]})
    out, _ = pods.output(f"%%podtask -t bad --image {IMAGE} --dry-run\n1")
    assert "# The API server rejected the pod:\n#   spec.containers[0].imagePullPolicy" in out
    pods["new"] = PodTemplate({"containers": [{"name": "primary", "fromTheFuture": 1}]})
    out, _ = pods.output(f"%%podtask -t new --image {IMAGE} --dry-run\n1")
    assert "fromTheFuture" in out.split("kind: Pod")[0]
    assert cluster.kubectl_json("get", "pods", "-n", namespace)["items"] == []


@pytest.fixture
def dropped_field(cluster: Any) -> tuple[str, Any]:
    """Return a field of the pod's spec whose feature is off in this version of Kubernetes, and a value."""
    if cluster.minor <= 33:
        return "resources", {"limits": {"cpu": "1"}}
    if cluster.minor <= 35:
        return "workloadRef", {"name": "w", "podGroup": "g"}
    return "schedulingGroup", {"podGroupName": "g"}


@pytest.mark.server_versions
@pytest.mark.feature("B25")
def test_dry_run_names_fields_that_the_cluster_drops(pods: Shell, dropped_field: tuple[str, Any]) -> None:
    """The dry run names a field that the API server drops silently because its feature is off."""
    name, value = dropped_field
    pods["t"] = {"containers": [], name: value}
    out, _ = pods.output(f"%%podtask -t t --image {IMAGE} --dry-run\n1")
    assert f"but drops: spec.{name}" in out
    assert "The features of these fields are disabled in the cluster." in out


@pytest.mark.server_versions
@pytest.mark.fault(8)
def test_cell_names_fields_that_the_cluster_drops(dropped_field: tuple[str, Any]) -> None:
    """A message names a field that is dropped at the creation; the cell runs."""
    name, value = dropped_field
    spec = {"containers": [], name: value}
    task = podtask.submit("6 * 7", template=spec, options=RunOptions.of(image=IMAGE))
    assert task.result(60) == 42
    told = [update.text for update in iter(task.updates.get_nowait, Update("done"))]
    assert f"The cluster drops spec.{name}: the cluster has these features disabled." in told


@pytest.mark.feature("B19")
def test_security_contexts_of_the_template_work() -> None:
    """A cell runs as a user without a passwd entry, with fsGroup and a read-only root file system."""
    spec = {
        "securityContext": {"runAsUser": 12345, "runAsGroup": 12346, "fsGroup": 4321, "runAsNonRoot": True},
        "volumes": [{"name": "out", "emptyDir": {}}],
        "containers": [
            {
                "name": "primary",
                "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False},
                "volumeMounts": [{"name": "out", "mountPath": "/out"}],
            }
        ],
    }
    source = (
        "import errno, os, pwd\n"
        "def refused(path):\n"
        "    try:\n        open(path, 'w')\n"
        "    except OSError as error:\n        return error.errno == errno.EROFS\n"
        "import pathlib; pathlib.Path('/out/x').write_text('y')\n"
        "print('shown')\n"
        "known = os.getuid() in [each.pw_uid for each in pwd.getpwall()]\n"
        "os.getuid(), os.getgid(), os.stat('/out').st_gid, refused('/x'), refused('/tmp/x'), known"
    )
    task = podtask.submit(source, template=spec, options=RunOptions.of(image=IMAGE))
    assert task.result(60) == (12345, 12346, 4321, True, True, False)
    assert task.logs() == "shown\n"


@pytest.mark.feature("B13", "B14", "B15", "B21")
def test_presets_make_pods_that_work(cluster: Any, namespace: str) -> None:
    """Presets for secrets, config maps, init containers, shared directories and sidecars work."""
    cluster.kubectl("create", "secret", "generic", "s", "--from-literal=key=hush", "-n", namespace)
    cluster.kubectl("create", "configmap", "c", "--from-literal=k=v", "-n", namespace)
    template = PodTemplate().with_(
        env_from_secret("s", TOKEN="key"),
        secret("s", "/secret", mode=0o400),
        config_map("c", "/config", items={"k": "file"}),
        empty_dir("/shared", memory=True, size="4Mi"),
        init("get", IMAGE, command=["sh", "-c", "echo there > /x/a"], mounts={"shared": "/x"}),
        sidecar("quick", IMAGE, command=["true"], memory="16Mi"),
    )
    source = (
        "import os\n"
        "read = lambda path: open(path).read()\n"
        "os.environ['TOKEN'], read('/secret/key'), read('/config/file'), read('/shared/a')"
    )
    assert run(source, template) == ("hush", "hush", "v", "there\n")
