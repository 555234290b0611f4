"""Output and shell commands of cells in an image that contains nothing but Python."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from podtask.lifecycle.updates import Usage

from tests.notebook import Kernel, Shell
from tests.pods.waiting import submitted

pytestmark = pytest.mark.cluster
START = Callable[..., Kernel]


@pytest.mark.feature("P07", "N01")
def test_commands_and_magics_run_in_the_pod(pods: Shell) -> None:
    """!cmd, x = !cmd, %env, %cd and %time use the pod's shell, environment and directory."""
    pods["word"] = "from the notebook"
    out, err = pods.output(
        "%%podtask -o host --image python:3.11-slim\n%%time\n%cd /tmp\n"
        "!pwd; echo {word}; exit 4\nprint(_exit_code)\n%env A=b\n!echo $$A\nhost = !uname -n\n"
    )
    lines = out.splitlines()
    assert lines[:6] == ["/tmp", "/tmp", "from the notebook", "4", "env: A=b", "b"]
    assert lines[6].startswith("CPU times: ")
    assert pods["host"][0].startswith("podtask-")
    assert "not brought back" not in err


@pytest.mark.feature("N01")
@pytest.mark.parametrize("minor", ["3.9", "3.13"])
def test_ipython_display_without_ipython(start_kernel: START, minor: str) -> None:
    """IPython.display's classes and functions work where IPython is not installed."""
    ran = start_kernel().run(
        f"%%podtask --image python:{minor}-slim\n"
        "from IPython.display import HTML, JSON, Image, Markdown, clear_output, display\n"
        "from IPython import get_ipython\n"
        "h = display(HTML('<b>one</b>'), display_id=True)\nh.update(Markdown('*two*'))\n"
        "display(Image(data=b'\\x89PNG'), JSON({'a': 1}))\n"
        "print(type(get_ipython()).__name__)\n"
        "try:\n    from IPython.display import Video\nexcept ImportError as error:\n    print(error)\n"
        "HTML('<i>last</i>')"
    )
    assert ran.error is None
    shown = [each for each in ran.displays if "<div style" not in each.get("text/html", "")]
    assert [next(mime for mime in each if mime != "text/plain") for each in shown] == [
        "text/html",
        "text/markdown",
        "image/png",
        "application/json",
    ]
    assert ran.stdout.startswith("ZMQInteractiveShell\n")
    assert "this image has no IPython" in ran.stdout or "cannot import name" in ran.stdout
    assert ran.result is not None
    assert ran.result["text/html"] == "<i>last</i>"


@pytest.mark.feature("A33")
@pytest.mark.fault(74)
def test_await_and_leftovers_in_a_pod(pods: Shell) -> None:
    """Top-level await works under another minor version; leftover threads and processes are named."""
    out, err = pods.output(
        "%%podtask --image python:3.13-slim\nimport asyncio, subprocess\n"
        "print(await asyncio.sleep(0, 'awaited'))\nchild = subprocess.Popen(['sleep', '600'])\n"
    )
    assert out == "awaited\n"
    assert "left running and ended: process" in err
    assert "sleep 600" in err


@pytest.mark.usefixtures("pods")
def test_use_of_a_container_is_reported_while_its_cell_runs() -> None:
    """The notebook receives the CPU and memory that the container uses, and its limits, from its control group."""
    source = "data = bytearray(b'x' * (40 << 20))\nwhile True:\n    sum(data)"
    with submitted(None, source, limits={"cpu": "500m", "memory": "256Mi"}) as task:
        usages: list[Usage] = []
        while len(usages) < 2 or usages[-1].memory < 40 << 20:
            update = task.updates.get(timeout=60)
            assert update.kind != "done", task.error
            usages += [update.usage] if update.usage is not None else []
        assert usages[-1] == task.update_log.usage
        assert {(each.cpu_limit, each.memory_limit) for each in usages} == {(0.5, 256 << 20)}
        assert usages[-1].memory < 256 << 20
        assert 0 < max(each.cpu for each in usages) < 1
