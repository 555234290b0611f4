"""Sessions in pods of a real cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.notebook import Kernel

pytestmark = pytest.mark.cluster
START = Callable[..., Kernel]


def pods(cluster: Any, namespace: str) -> list[Any]:
    """Return the pods of a namespace."""
    return list(cluster.kubectl_json("get", "pods", "-n", namespace, "-o", "json")["items"])


@pytest.mark.server_versions
def test_cells_of_a_session_share_a_pod(start_kernel: START, cluster: Any, namespace: str) -> None:
    """Three cells run in one process of one pod, also after its process was killed; end deletes the pod."""
    kernel = start_kernel()
    kernel.run("rate = 3")
    first = kernel.run("%%podtask --session s\nimport os, socket\nx = rate\n(x, os.getpid())")
    assert first.error is None
    assert any("in session s" in line for line in first.lines)
    [pod] = pods(cluster, namespace)
    again = kernel.run(
        "%%podtask --session s -o host\nx += 1\nhost = socket.gethostname()\n(x - 1, os.getpid())"
    )
    assert again.result == first.result
    assert kernel.run("host").result == {"text/plain": repr(pod["metadata"]["name"])}
    crash = kernel.run("%%podtask --session s\nos.kill(os.getpid(), 11)")
    assert crash.error is not None
    assert "killed by SIGSEGV" in crash.error[1]
    assert kernel.run("%%podtask --session s\n('x' in globals(), rate)").result == {
        "text/plain": "(False, 3)"
    }
    assert [each["metadata"]["uid"] for each in pods(cluster, namespace)] == [pod["metadata"]["uid"]]
    assert kernel.run("%podtask end s").stdout == "Ended: session s\n"
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=30s", check=False)
    assert pods(cluster, namespace) == []


def test_memory_limit_ends_the_process_or_the_pod_in_words(start_kernel: START) -> None:
    """A cell that uses more memory than the pod's limit: the error names the limit; the next cell runs."""
    kernel = start_kernel()
    kernel.run("%%podtask --session s --memory 200Mi\nx = 1")
    large = kernel.run("%%podtask --session s\nlarge = bytearray(400 << 20)")
    assert large.error is not None
    assert "200 Mi" in large.error[1] or "OOMKilled" in large.error[1]
    assert kernel.run("%%podtask --session s\n'x' in globals()").result == {"text/plain": "False"}
    kernel.run("%podtask end s")


def in_session(source: str, flags: str = "") -> str:
    """Return a cell of the session of these tests."""
    return f"%%podtask --session gpu {flags}\n{source}"


@pytest.mark.fault(118)
def test_new_kernel_goes_on_with_the_session_of_a_killed_one(
    start_kernel: START, cluster: Any, namespace: str
) -> None:
    """A kernel is killed: a new one finds every name, sends what it sets from now on, and says so in one line."""
    first = start_kernel()
    first.run("rate = 3")
    shown = first.run(
        in_session("import os\nx, pid = [rate], os.getpid()\ndef f():\n    return rate\n(x, pid)")
    )
    assert shown.error is None
    [pod] = pods(cluster, namespace)
    first.kill()
    second = start_kernel()
    second.run("rate = 8")
    again = second.run(in_session("x.append(f())\n(x[:1], os.getpid())"))
    assert again.error is None
    assert again.result == shown.result
    assert any("Session gpu goes on here." in line for line in again.lines)
    second.run("rate = 4")
    assert second.run(in_session("(x, rate, f())")).result == {"text/plain": "([3, 3], 4, 4)"}
    [same] = pods(cluster, namespace)
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]
    assert second.run("%podtask end gpu").stdout == "Ended: session gpu\n"
    of_pod = ("secret", "-l", f"podtask/task={pod['metadata']['name']}", "-n", namespace)
    cluster.kubectl("wait", "--for=delete", *of_pod, "--timeout=60s", check=False)
    assert cluster.kubectl_json("get", *of_pod, "-o", "json")["items"] == []


@pytest.mark.fault(119)
def test_two_kernels_take_a_session_over_from_each_other(
    start_kernel: START, cluster: Any, namespace: str
) -> None:
    """One kernel at a time: the older one is told in one line, and may take the session back, with what it set since."""
    first, second = start_kernel(), start_kernel()
    assert first.run(in_session("x = 1")).error is None
    held = "import os\nos.mkfifo('/tmp/go')\nprint('begun', flush=True)\nopen('/tmp/go').close()\ny = 2"
    first.start(in_session(held))
    first.until("begun\n")
    second.start(in_session("(x, y)"))
    told = first.finish()
    [pod] = pods(cluster, namespace)
    cluster.kubectl("exec", pod["metadata"]["name"], "-n", namespace, "--", "sh", "-c", ": > /tmp/go")
    assert second.finish().result == {"text/plain": "(1, 2)"}
    assert told.error is not None
    assert "Session gpu (podtask-" in told.error[1]
    assert "was taken over by" in told.error[1]
    first.run("x = 5")
    back = first.run(in_session("(x, y)"))
    assert back.result == {"text/plain": "(5, 2)"}
    assert any("goes on here" in line for line in back.lines)
    assert second.run(in_session("x")).result == {"text/plain": "5"}
    second.run("%podtask end gpu")


@pytest.mark.fault(119)
def test_two_kernels_start_a_session_at_once(start_kernel: START, cluster: Any, namespace: str) -> None:
    """The API server decides: one pod; the other kernel attaches, and its cell finds what the session has."""
    kernels = [start_kernel(), start_kernel()]
    for number, kernel in enumerate(kernels):
        kernel.start(in_session(f"names = [*globals().get('names', ()), {number}]\nnames"))
    ended = [kernel.finish() for kernel in kernels]
    assert len(pods(cluster, namespace)) == 1
    assert any(each.error is None for each in ended)
    last = kernels[0].run(in_session("sorted(names)"))
    assert last.result == {"text/plain": "[0, 1]"}
    kernels[0].run("%podtask end gpu")


def test_another_user_has_a_session_of_the_same_name(
    start_kernel: START, cluster: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users name their sessions alike: two pods, and neither sees or ends the other's."""
    mine = start_kernel()
    mine.run(in_session("x = 1"))
    monkeypatch.setenv("JUPYTERHUB_USER", "somebody-else")
    theirs = start_kernel()
    assert theirs.run(in_session("'x' in globals()", "--replace")).result == {"text/plain": "False"}
    assert len(pods(cluster, namespace)) == 2
    assert theirs.run("%podtask end gpu").stdout == "Ended: session gpu\n"
    assert mine.run(in_session("x")).result == {"text/plain": "1"}
    mine.run("%podtask end gpu")


@pytest.mark.fault(133)
def test_kernel_with_another_home_folder(
    start_kernel: START, cluster: Any, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key lies in a Secret: --trust goes on with it. Without the Secret: the error has the ways out."""
    monkeypatch.setenv("JUPYTERHUB_USER", "pat")
    first = start_kernel()
    first.run(in_session("x = 7"))
    cluster.kubectl(
        "wait", "--for=create", "secret", "-l", "podtask/user=pat", "-n", namespace, "--timeout=30s"
    )
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other"))
    second = start_kernel()
    refused = second.run(in_session("x"))
    assert refused.error is not None
    assert "which a kernel with another home folder has started" in refused.error[1]
    assert "add --trust" in refused.error[1]
    assert second.run(in_session("x", "--trust")).result == {"text/plain": "7"}
    cluster.kubectl("delete", "secret", "-l", "podtask/user=pat", "-n", namespace)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "third"))
    third = start_kernel()
    gone = third.run(in_session("x", "--trust"))
    assert gone.error is not None
    assert "-owner was deleted. Nothing has run." in gone.error[1]
    assert "--replace begins a new session" in gone.error[1]
    assert third.run(in_session("'x' in globals()", "--replace")).result == {"text/plain": "False"}
    assert len(pods(cluster, namespace)) == 2
    third.run("%podtask end gpu")
    assert second.run(in_session("x")).result == {"text/plain": "7"}
    second.run("%podtask end gpu")


def test_commands_for_the_session_of_another_kernel(
    start_kernel: START, cluster: Any, namespace: str
) -> None:
    """list, names and extend leave it with its kernel; with a kernel that was killed, names lists types; end ends it."""
    first, second = start_kernel(), start_kernel()
    first.run(in_session("x, text = 1, 'abc'", "--memory 200Mi"))
    head, row = second.run("%podtask list").stdout.splitlines()[:2]
    columns = [row[head.index(name) :].split("  ")[0] for name in ("state", "variables", "ends", "kernel")]
    assert columns == ["idle", "2", "30 min", "another"]
    assert " MiB of 200 MiB  " in row
    assert (
        second.run("%podtask names gpu").stdout == "Another kernel has session gpu. Its variables: text, x.\n"
    )
    assert second.run("%podtask extend gpu 2h").error is None
    assert " 2 h " in second.run("%podtask list").stdout
    assert "this one" in first.run("%podtask list").stdout
    assert first.run(in_session("x")).result == {"text/plain": "1"}
    assert second.run("%podtask names nosuch").error is not None
    first.kill()
    assert second.run(in_session("x")).result == {"text/plain": "1"}
    assert second.run("%podtask names gpu").stdout.splitlines()[1].split()[:2] == ["x", "int"]
    assert " 2 h " in second.run("%podtask list").stdout
    third = start_kernel()
    assert third.run("%podtask end gpu").stdout == "Ended: session gpu\n"
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=30s", check=False)
    assert pods(cluster, namespace) == []
    ended = second.run(in_session("'x' in globals()"))
    assert ended.result == {"text/plain": "False"}
    assert any("Session gpu had ended: " in line for line in ended.lines)
    second.run("%podtask end gpu")


@pytest.mark.fault(134)
def test_another_kernel_asks_for_another_pod(start_kernel: START, cluster: Any, namespace: str) -> None:
    """Another image or memory in another kernel: the error has the difference; --replace begins a new session."""
    start_kernel().run(in_session("x = 1", "--memory 200Mi"))
    other = start_kernel()
    refused = other.run(in_session("x", "--memory 300Mi"))
    assert refused.error is not None
    assert "--memory is 200Mi there and 300Mi here. Nothing has run." in refused.error[1]
    assert other.run(in_session("x", "--memory 200Mi")).result == {"text/plain": "1"}
    other.run("from podtask import PodTemplate\nlarge = PodTemplate().with_(labels={'team': 'b'})")
    replaced = other.run(in_session("'x' in globals()", "--memory 300Mi --replace"))
    assert replaced.result == {"text/plain": "False"}
    other.run("%podtask end gpu")


def test_idle_session_ends_with_its_pod(start_kernel: START, cluster: Any, namespace: str) -> None:
    """The pod of a session without cells is deleted, and the next cell says so."""
    kernel = start_kernel()
    kernel.run("%%podtask --session s --idle 1s\nx = 1")
    kernel.run("from podtask.sessions.registry import find_session\nfind_session('s').wait_until_ended()")
    cluster.kubectl("wait", "--for=delete", "pod", "--all", "-n", namespace, "--timeout=30s", check=False)
    assert pods(cluster, namespace) == []
    shown = kernel.run("%%podtask --session s\n'x' in globals()")
    assert shown.result == {"text/plain": "False"}
    assert any("no cell ran in it for 1 s (--idle)" in line for line in shown.lines)
    kernel.run("%podtask end s")


@pytest.mark.feature("N17")
def test_notebook_moves_into_the_pod(start_kernel: START, cluster: Any, namespace: str) -> None:
    """Plain cells run in one pod, ``%%here`` and cells after ``out`` do not."""
    kernel = start_kernel()
    kernel.run("import socket\nhome = socket.gethostname()")
    kernel.run("%podtask in s -o auto")
    first = kernel.run("host = socket.gethostname()")
    assert first.error is None
    assert first.lines[0] == "[session s]"
    [pod] = pods(cluster, namespace)
    assert kernel.run("host").result == {"text/plain": repr(pod["metadata"]["name"])}
    assert kernel.run("%%here\nhost != home == socket.gethostname()").result == {"text/plain": "True"}
    kernel.run("%podtask out")
    assert kernel.run("host != home == socket.gethostname()").result == {"text/plain": "True"}
    kernel.run("%podtask end s")


@pytest.mark.feature("N18")
def test_stacks_of_a_thread_in_a_pod(start_kernel: START) -> None:
    """The lines of a thread that a cell of a session has left: marked, and with their source."""
    kernel = start_kernel()
    begun = kernel.run(
        "%%podtask --session s\nimport threading\nready, event = threading.Event(), threading.Event()\n"
        "def beside():\n    ready.set()\n    event.wait()\n"
        "threading.Thread(target=beside, daemon=True).start()\nready.wait()"
    )
    assert begun.error is None
    shown = kernel.run("%podtask stack s").stdout
    assert re.search(r"> Cell In\[\d+\], line [56], in beside: (ready.set|event.wait)\(\)", shown)
    assert kernel.run("%%podtask --session s\nevent.is_set()").result == {"text/plain": "False"}
    kernel.run("%podtask end s")
