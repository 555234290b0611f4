"""Secrets and config maps reach the cell in three forms; the value of a secret appears nowhere else."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from typing import Any

import podtask
import pytest
from podtask import PodTemplate, RunOptions

from tests.notebook import Kernel
from tests.pods.waiting import HOLD, IMAGE

pytestmark = pytest.mark.cluster


def three_forms(kind: str) -> dict[str, Any]:
    """Return a pod spec with a key of an object as env, by envFrom and as a file."""
    ref, field = ("secretKeyRef", "secret") if kind == "secret" else ("configMapKeyRef", "configMap")
    source = {"secretName": "made"} if kind == "secret" else {"name": "made"}
    container = {
        "name": "primary",
        "image": IMAGE,
        "env": [{"name": "ONE", "valueFrom": {ref: {"name": "made", "key": "token"}}}],
        "envFrom": [{"prefix": "ALL_", f"{field}Ref": {"name": "made"}}],
        "volumeMounts": [{"name": "made", "mountPath": "/made"}],
    }
    return {"containers": [container], "volumes": [{"name": "made", field: source}]}


READ = "import os\nfound = os.environ['ONE'], os.environ['ALL_token'], open('/made/token').read()\n"


@pytest.mark.feature("A43")
@pytest.mark.usefixtures("pods")
def test_config_map_in_three_forms(cluster: Any, namespace: str) -> None:
    """A cell can read a config map through env, envFrom and a volume."""
    cluster.kubectl("create", "configmap", "made", "--from-literal=token=v1", "-n", namespace)
    options = RunOptions.of(template=three_forms("config map"))
    assert podtask.submit(READ + "found", options=options).result(60) == ("v1", "v1", "v1")


@pytest.mark.server_versions
@pytest.mark.feature("A42", "B15")
@pytest.mark.fault(92)
def test_no_secret_value_leaks(start_kernel: Callable[..., Kernel], cluster: Any, namespace: str) -> None:
    """Outputs, YAML, code, pickles, reprs, logs, events, errors and the pod do not contain the value."""
    value, other = f"hunter2-{uuid.uuid4().hex}", f"swordfish-{uuid.uuid4().hex}"
    cluster.kubectl("create", "secret", "generic", "made", f"--from-literal=token={value}", "-n", namespace)
    index = f"marlin-{uuid.uuid4().hex}"
    kernel = start_kernel()
    said: list[str] = []

    def run(source: str) -> Any:
        ran = kernel.run(source)
        said.append(repr(vars(ran)))
        return ran

    run(f"import pickle, podtask\nt = podtask.PodTemplate({three_forms('secret')!r})")
    # The token is in the settings and not in the first line of the cell, which a traceback may show.
    run(f"import os\nos.environ['PODTASK_ENV'] = 'OTHER={other}'")
    # The cell reads the values and returns only their lengths.
    run(
        f"%%podtask -t t -o lengths\n{READ}"
        "lengths = [*map(len, found), len(os.environ['OTHER'])]\ndel found\nlengths"
    )
    ran = run("lengths")
    assert ran.result["text/plain"] == str([len(value)] * 3 + [len(other)])
    run("%%podtask -t t\nimport os\ndef use(token):\n    raise ValueError('refused')\nuse(os.environ['ONE'])")
    assert "ValueError: refused" in said[-1]
    run("%%podtask -t t\nimport os\nfound = os.environ['ONE']")  # not sent to the notebook
    run("%podtask why")
    run("%%podtask -t t --dry-run\n1")
    assert "secretKeyRef" in said[-1]
    run("shown = podtask.render(t)\nshown")
    run("print(t, t.to_yaml(), t.to_python(), t._repr_html_(), pickle.dumps(t), t.to_dict())")
    run(f"o = podtask.RunOptions.of(template=t, env={{'OTHER': '{other}'}})\nprint(o)\no")
    run(
        f"task = podtask.submit({READ + HOLD + '1'!r}, options=o)\nwhile 'up' not in task.logs(): task.updates.get()"
    )
    name = run("print(task.name)").stdout.strip()
    # The API reports a running container up to a second late. Before that, its log is not available.
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", namespace)
    said.append(cluster.kubectl("get", "pod", name, "-n", namespace, "-o", "yaml"))
    said.append(cluster.kubectl("logs", name, "-n", namespace))
    run(
        "print(task, task.manifest, task.url, task.why(), task.events(), task.logs(), task.logs('primary'),"
        " task._repr_html_())"
    )
    run("%podtask list")
    run("task.reply({'eof': True}); print(task.wait(60), task.error, task.inputs, task.values)")
    # The error of a pod that does not start names the key and no value.
    run(
        "bad = t.to_dict()\nbad['spec']['containers'][0]['env'][0]['valueFrom']['secretKeyRef']['key'] = 'nope'"
    )
    run("%%podtask -t bad\n1")
    assert "has no key 'nope'" in said[-1]
    # Credentials of an index, a repository and a proxy.
    run(
        f"os.environ['PODTASK_INDEX_URL'] = 'https://me:{index}@127.0.0.1:9/simple'\n"
        f"os.environ['PODTASK_PIP'] = 'thing @ git+https://{index}@127.0.0.1:9/thing.git'\n"
        f"proxied = t.to_dict()\nproxied['spec']['containers'][0]['args'] = ['http://me:{index}@proxy:3128']"
    )
    run("%%podtask -t t\n1")
    assert "git+https://***@127.0.0.1:9/thing.git" in said[-1]
    run("%%podtask -t proxied --dry-run\n1")
    assert "http://***@proxy:3128" in said[-1]
    run(
        "print(podtask.RunOptions.of(pip=os.environ['PODTASK_PIP']), podtask.PodTemplate.of(proxied)._repr_html_())"
    )
    run("%podtask config")
    said.append(cluster.kubectl("get", "events", "-n", namespace, "-o", "yaml"))
    for secret in (value, other, index):
        hidden = [secret, base64.b64encode(secret.encode()).decode()]
        assert not [text for text in said for each in hidden if each in text]


@pytest.mark.feature("A46")
@pytest.mark.usefixtures("pods")
def test_service_account_is_the_one_named_or_none(cluster: Any, namespace: str) -> None:
    """A pod has no API token by default, and the token of the service account that it names."""
    cluster.kubectl("create", "serviceaccount", "least", "-n", namespace)
    source = (
        "import base64, json, os\n"
        "path = '/var/run/secrets/kubernetes.io/serviceaccount/token'\n"
        "body = open(path).read().split('.')[1] if os.path.exists(path) else ''\n"
        "json.loads(base64.urlsafe_b64decode(body + '==='))['sub'] if body else None"
    )
    from podtask.presets import service_account

    def account(template: PodTemplate) -> Any:
        options = RunOptions.of(template=template, image=IMAGE)
        return podtask.submit(source, options=options).result(60)

    assert account(PodTemplate()) is None
    named = PodTemplate().with_(service_account("least"))
    assert account(named) == f"system:serviceaccount:{namespace}:least"


@pytest.mark.usefixtures("pods")
def test_process_list_and_children_have_no_secret() -> None:
    """No command line contains the key or a value of --env; child processes have no key."""
    token = f"hunter2-{uuid.uuid4().hex}"
    source = (
        "import os, pathlib, subprocess\n"
        "lines = [path.read_bytes() for path in pathlib.Path('/proc').glob('[0-9]*/cmdline')]\n"
        "child = subprocess.run(['env'], capture_output=True, text=True).stdout\n"
        "mine = sorted(name for name in os.environ if name.startswith('PODTASK_'))\n"
        "len(lines), os.environ['TOKEN'].encode() in b''.join(lines), 'PODTASK_KEY' in child, mine\n"
    )
    options = RunOptions.of(image=IMAGE, env={"TOKEN": token})
    task = podtask.submit(source, options=options)
    count, listed, inherited, mine = task.result(60)
    assert count > 1
    assert (listed, inherited, mine) == (False, False, [])
    sent = task._follower.manifest
    assert sent is not None
    key = sent.key
    pod = task.manifest["spec"]["containers"][0]
    assert key not in str([pod["command"], pod.get("args")])
