"""Obstacles before the cell starts: the pod starts anyway, or the reason is reported."""

from __future__ import annotations

import re
from typing import Any

import pytest
from podtask import InputError
from podtask.display.view import View
from podtask.frontend import Terminal

from tests.notebook import Shell
from tests.pods.test_registry import registry
from tests.pods.waiting import (
    HOLD,
    IMAGE,
    failure,
    failure_within_seconds,
    notes,
    submit,
    submitted,
    wait_for_input_request,
    wait_for_phase,
)

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("pods")]
NOWHERE = {"nodeSelector": {"disk": "none"}, "containers": []}


@pytest.mark.fault(11, 12)
def test_large_code_and_inputs_arrive(pods: Shell, cluster: Any, namespace: str) -> None:
    """Code of 384 KiB and inputs of 4 MB run, and are not part of the pod object."""
    pods["data"] = bytes(range(256)) * (4 << 12)
    words = "words " * (1 << 16)
    pods.run(
        f"%%podtask -d --as job --image {IMAGE}\nimport os, time\nwords = '{words}'\nprint('up')\n"
        "while not os.path.exists('/tmp/go'): time.sleep(0.01)\nlen(words), data"
    )
    while "up" not in pods["job"].logs():
        assert pods["job"].updates.get(timeout=60).kind != "done", pods["job"].error
    pod = cluster.kubectl("get", "pod", pods["job"].name, "-n", namespace, "-o", "json")
    assert len(pod) < 32 << 10
    assert words[:60] not in pod
    cluster.kubectl("exec", pods["job"].name, "-n", namespace, "--", "touch", "/tmp/go")
    assert pods["job"].result(60) == (len(words), pods["data"])


@pytest.mark.fault(12)
def test_code_over_the_limit_is_refused_with_its_size() -> None:
    """If the code exceeds the limit, nothing starts; the error has both sizes and a hint."""
    with pytest.raises(InputError, match=r"has 1024 KiB of code; 768 KiB can be sent"):
        submit(None, "'" + "x" * (1 << 20) + "'")


@pytest.mark.fault(13)
def test_odd_names_of_user_and_notebook_make_a_valid_pod(
    pods: Shell, cluster: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that are not valid labels are converted; the pod is accepted and runs."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "Ärger & Söhne / " * 8)
    monkeypatch.setenv("JPY_SESSION_NAME", "/Mine/" + "ein sehr langer Name, " * 10 + ".ipynb")
    task = submit(None, HOLD + "6 * 7", name="n" * 63)
    wait_for_input_request(task)
    pod = cluster.kubectl_json("get", "pod", task.name, "-n", namespace)
    assert "n" * 63 in pod["metadata"]["labels"].values()
    task.reply({"eof": True})
    assert task.result(60) == 42


@pytest.mark.fault(17)
@pytest.mark.parametrize("native", [False, True], ids=["init", "native sidecar"])
def test_missing_image_of_an_init_container(cluster: Any, native: bool) -> None:
    """If the image of an init container is missing, an error within seconds names the container."""
    assert cluster.node
    with registry(404) as address:
        first = {"name": "fetch", "image": f"{address}/team/fetch:1"}
        spec = {
            "initContainers": [{**first, **({"restartPolicy": "Always"} if native else {})}],
            "containers": [],
        }
        said = failure_within_seconds(submit(spec))
    assert said.startswith("StartError")
    assert "'fetch'" in said
    assert f"{address}/team/fetch:1" in said
    assert "not found" in said


@pytest.mark.fault(17)
def test_missing_image_of_a_sidecar(cluster: Any) -> None:
    """A message names a sidecar whose image is missing; the cell runs and returns its result."""
    assert cluster.node
    with registry(404) as address:
        side = {"name": "side", "image": f"{address}/team/side:1"}
        task = submit({"containers": [side]}, HOLD + "6 * 7")
        (note,) = notes(task, 1)
    assert "sidecar 'side'" in note
    assert "not found" in note
    assert task.result() == 42
    # U15: the line under the cell names it while the cell runs, and at its end.
    assert list(task.stuck_sidecars) == ["side"]
    assert task.stuck_sidecars["side"].endswith("of sidecar 'side': not found in its registry")


@pytest.mark.fault(18)
def test_image_that_is_never_pulled() -> None:
    """With imagePullPolicy Never, a missing image is an immediate error that explains it."""
    own = {"name": "primary", "image": "team/app:7", "imagePullPolicy": "Never"}
    said = failure_within_seconds(submit({"containers": [own]}, image=None))
    assert said.startswith("StartError")
    assert "ErrImageNeverPull" in said or "pull policy of Never" in said
    assert len(said.splitlines()) <= 3


@pytest.mark.fault(20)
def test_mount_that_the_runtime_refuses() -> None:
    """If a directory is mounted over a file, the error quotes the runtime and names what to check."""
    mounts = [{"name": "data", "mountPath": "/etc/passwd"}]
    said = failure_within_seconds(
        submit(
            {
                "volumes": [{"name": "data", "emptyDir": {}}],
                "containers": [{"name": "primary", "volumeMounts": mounts}],
            }
        )
    )
    assert said.startswith("StartError")
    assert "/etc/passwd" in said
    assert "mounts" in said
    assert len(said.splitlines()) <= 3


@pytest.mark.fault(23)
def test_init_container_that_does_not_end_meets_the_start_timeout() -> None:
    """An init container that runs and prints counts towards --start-timeout."""
    loop = ["sh", "-c", "while true; do echo still fetching; sleep 1; done"]
    first = {"name": "fetch", "image": "nopython:1", "command": loop}
    said = failure(submit({"initContainers": [first], "containers": []}, start_timeout=5))
    assert said.startswith("StartError")
    assert "--start-timeout" in said


@pytest.mark.fault(25)
def test_pod_deleted_before_its_start(cluster: Any, namespace: str) -> None:
    """If the pod is deleted before its start, --retries starts another; otherwise, an error explains it."""
    for retries in (True, False):
        task = submit(NOWHERE, "1", **({"retries": 1} if retries else {}))
        wait_for_phase(task, "node affinity")
        first = task.name
        cluster.kubectl("delete", "pod", first, "-n", namespace)
        if retries:
            wait_for_phase(task, "node affinity")
            assert task.name != first
            task.cancel()
        else:
            said = failure(task)
            assert "cannot start" in said
            assert "deleted" in said


@pytest.mark.fault(62)
def test_pod_without_a_network() -> None:
    """The connection to the cell needs only the loopback of the pod."""
    down = {
        "name": "down",
        "image": "nopython:1",
        "command": ["ip", "link", "set", "eth0", "down"],
        "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}},
    }
    source = "open('/sys/class/net/eth0/operstate').read().strip()"
    assert submit({"initContainers": [down], "containers": []}, source).result(60) == "down"


@pytest.mark.fault(61)
def test_container_in_front_of_the_primary(cluster: Any, namespace: str) -> None:
    """The primary container is found by its name: output, value, log and end are its own."""
    first = {
        "name": "first",
        "image": "nopython:1",
        "command": ["sh", "-c", "echo first; sleep 600"],
    }
    task = submit({"containers": [first, {"name": "primary"}]}, HOLD + "6 * 7")
    wait_for_input_request(task)
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{task.name}", "-n", namespace)
    pod = cluster.kubectl_json("get", "pod", task.name, "-n", namespace)
    log = task.logs("primary")
    task.reply({"eof": True})
    assert [each["name"] for each in pod["spec"]["containers"]] == ["first", "primary"]
    assert task.result(60) == 42
    assert log == task.logs() == "up\n"


def test_line_of_a_running_cell_shows_its_use() -> None:
    """U20: the runner measures the container, and the line shows the use and the limits."""
    with submitted(None, HOLD, limits="cpu=1,memory=512Mi") as task:
        wait_for_input_request(task)
        while task.update_log.usage is None:
            assert task.updates.get(timeout=60).kind != "done"
        view = View(task, Terminal())
        assert re.search(r" · \d\.\d of 1 CPUs, \d+ of 512 MiB", view._line().text)
