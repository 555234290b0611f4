"""A cell in a pod with nothing but Python behaves as if the kernel had run it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.notebook import Kernel, Shell
from tests.pods.waiting import wait_for_input_request

pytestmark = pytest.mark.cluster
BARE = "python:3.11-slim"
START = Callable[..., Kernel]


def test_output_comes_as_it_is_printed(start_kernel: START) -> None:
    """A line appears in the notebook while the cell is still running."""
    kernel = start_kernel()
    kernel.start(
        f"%%podtask --image {BARE}\n"
        "import sys, time\nprint('first')\nprint('apart', file=sys.stderr)\n"
        "answer = input('go on? ')\n"
    )
    seen = kernel.until("first\n")
    kernel.interrupt()
    rest = kernel.finish()
    assert seen.stdout == "first\n"
    assert "apart\n" in seen.stderr + rest.stderr
    assert rest.error is not None


@pytest.mark.server_versions
def test_streams_result_and_variable_come_back(start_kernel: START) -> None:
    """Stdout, stderr, the last expression and a variable arrive in the right places."""
    kernel = start_kernel()
    ran = kernel.run(
        f"%%podtask -o total --image {BARE}\n"
        "import sys\n"
        "for n in range(5):\n    print('line', n)\n"
        "print('apart', file=sys.stderr)\n"
        "total = sum(range(5))\n"
        "{'total': total}\n"
    )
    assert ran.error is None
    assert ran.stdout == "".join(f"line {n}\n" for n in range(5))
    assert ran.stderr == "apart\n"
    assert ran.result is not None
    assert ran.result["text/plain"] == "{'total': 10}"
    assert kernel.run("print(total, _)").stdout == "10 {'total': 10}\n"
    closing = ran.lines[-1]
    assert re.fullmatch(r"✓ \d+\.\d s in a pod · back: total · not brought back: n", closing)


def test_status_line_shows_phase_and_unfolds_to_the_pod(start_kernel: START) -> None:
    """The line under a waiting cell shows the phase and its duration; the name of the pod is in the details."""
    ran = start_kernel().run(f"%%podtask --image {BARE}\n1")
    assert any(re.match(r"○ (connecting|creating|waiting|starting)\b.* · \d+ s", line) for line in ran.lines)
    assert re.fullmatch(r"✓ \d+\.\d s in a pod", ran.lines[-1])
    assert "podtask-" in ran.displays[-1]["text/html"]


@pytest.mark.feature("S01")
def test_error_is_raised_as_its_own_type_with_the_cells_line(start_kernel: START) -> None:
    """An exception keeps type, message and line; its last line names pod and container."""
    kernel = start_kernel()
    kernel.run("class Mine(Exception):\n    pass")
    ran = kernel.run(f"%%podtask --image {BARE}\nx = 1\nraise Mine('in the pod')\n")
    assert ran.error is not None
    name, value, shown = ran.error
    assert name == "Mine"
    assert "in the pod" in value
    assert "----> 3 raise Mine('in the pod')" in shown
    assert shown.rstrip().splitlines()[-1].startswith("in pod podtask-")
    assert "container primary" in shown
    caught = kernel.run(
        "try:\n    get_ipython().run_cell_magic('podtask', '', \"raise Mine('again')\")\n"
        "except Mine as error:\n    print('caught', error)\n"
    )
    assert caught.stdout == "caught again\n"


@pytest.mark.parametrize("minor", ["3.9", "3.11", "3.13"])
@pytest.mark.fault(14)
def test_quickstarts_cell_runs_under_each_python(pods: Shell, minor: str) -> None:
    """The cell and function of the quickstart run in pods with other minor versions of Python."""
    pods.run("points = 1000\nscale = 1.0\ndef area(radius):\n    return scale * radius ** 2")
    pods.run(
        f"%%podtask -o pi,version,found --image python:{minor}-slim\n"
        "import random, sys\n"
        "inside = 0\n"
        "for part in range(1, 5):\n"
        "    inside += sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(points))\n"
        "pi = 4 * inside / (4 * points)\n"
        "version = '.'.join(map(str, sys.version_info[:2]))\n"
        "scale = 2.0\n"
        "found = area(3)\n"
    )
    assert 2.8 < pods["pi"] < 3.5
    assert pods["version"] == minor
    assert pods["found"] == 18.0


@pytest.mark.feature("B02", "B13", "B21", "A01", "A05", "A06", "A08", "A17", "A23", "B08")
@pytest.mark.fault(57, 58)
def test_template_with_sidecar_init_container_and_volume(pods: Shell, cluster: Any, namespace: str) -> None:
    """A complete template works, its pod contains it unchanged, and the pod is deleted within 8 s."""
    pods.run(
        "import copy, podtask\n"
        "from kubernetes.client import (V1Container, V1EmptyDirVolumeSource, V1EnvVar, V1PodSpec,\n"
        "    V1Volume, V1VolumeMount)\n"
        "mount = [V1VolumeMount(name='shared', mount_path='/shared')]\n"
        "template = podtask.PodTemplate(\n"
        "    labels={'cost-center': 'ml-team'},\n"
        "    annotations={'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false'},\n"
        "    pod_spec=V1PodSpec(termination_grace_period_seconds=5,\n"
        "        init_containers=[V1Container(name='init', image='nopython:1', volume_mounts=mount,\n"
        "            command=['sh', '-c', 'echo from init > /shared/file'])],\n"
        "        containers=[\n"
        "            V1Container(name='primary', image='python:3.11-slim', volume_mounts=mount,\n"
        "                env=[V1EnvVar(name='hello', value='world')]),\n"
        "            V1Container(name='side', image='nopython:1', command=['sleep', 'infinity'])],\n"
        "        volumes=[V1Volume(name='shared', empty_dir=V1EmptyDirVolumeSource())]))\n"
        "before = copy.deepcopy(template)\n"
    )
    pods.run(
        'task = podtask.submit(\'import os\\nhello = os.environ["hello"]\\n'
        'text = open("/shared/file").read()\\nname = os.uname().nodename\\nprint("up")\\ninput()\',\n'
        "    template=template, options=podtask.RunOptions.of(outputs='hello,text,name'))\n"
    )
    task = pods["task"]
    wait_for_input_request(task)
    pod = cluster.kubectl_json("get", "pod", task.name, "-n", namespace, "-o", "json")
    task.reply({"eof": True})
    with pytest.raises(EOFError):
        task.result(30)
    gone = cluster.kubectl(
        "wait", "--for=delete", f"pod/{task.name}", "-n", namespace, "--timeout=8s", check=False
    )
    assert "error" not in gone
    assert pod["metadata"]["labels"]["cost-center"] == "ml-team"
    assert pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert [each["name"] for each in pod["spec"]["containers"]] == ["primary", "side"]
    assert pod["spec"]["containers"][1]["image"] == "nopython:1"
    assert pod["spec"]["containers"][1]["command"] == ["sleep", "infinity"]
    assert pod["spec"]["initContainers"][0]["name"] == "init"
    assert task.values == {"hello": "world", "text": "from init\n", "name": task.name}
    assert pods["template"] == pods["before"]
