"""Libraries that look at Jupyter show in a pod what they show in a kernel (rows F1 to F3 of the cases)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.display import DisplayHandle

from tests.notebook import Kernel, Shell

HEAD = "%%podtask --local\n"
OUTPUT = "from ipywidgets import Output\nfrom IPython.display import clear_output\nout = Output()\n"


@pytest.fixture(scope="module")
def local_kernel() -> Iterator[Kernel]:
    """Yield a kernel that has loaded podtask."""
    kernel = Kernel({**os.environ, "KUBECONFIG": "/nonexistent"})
    try:
        kernel.run("%load_ext podtask")
        yield kernel
    finally:
        kernel.close()


def messages(kernel: Kernel, source: str) -> list[tuple[str, Any]]:
    """Return (type, text) of the messages of a cell, without those of the status line."""
    kernel.start(HEAD + source)
    found: list[tuple[str, Any]] = []
    for message in kernel.messages(60):
        content, kind = message["content"], message["msg_type"]
        assert kind != "error", content
        if kind == "stream":
            found.append((content["name"], content["text"]))
        elif "data" in content and "<div style" not in str(content["data"].get("text/html")):
            found.append((kind, content["data"]["text/plain"]))
        elif kind == "clear_output":
            found.append((kind, ""))
    return found


def test_clearing_an_output_leaves_the_rest(local_kernel: Kernel) -> None:
    """F1: clear_output inside an output clears that output only."""
    pytest.importorskip("ipywidgets")
    found = messages(
        local_kernel,
        OUTPUT + "print('before')\ndisplay(out)\nfor step in range(3):\n    with out:\n"
        "        clear_output(wait=True)\n        print('step', step)\nprint('after')",
    )
    assert found[0] == ("stdout", "before\n")
    assert found[-2:] == [("update_display_data", "step 2\n"), ("stdout", "after\n")]
    assert not any(kind == "clear_output" for kind, _ in found)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("with out:\n    print('a')\n    display('b')\n", "a\n'b'"),
        ("with out:\n    print('a')\nout.clear_output()\nwith out:\n    print('b')\n", "b\n"),
        ("with out:\n    print(1, end='\\r')\n    print(2)\n", "2\n"),
        ("out.append_stdout('a')\n", "a"),
        ("@out.capture(clear_output=True)\ndef f(): print('f')\nf()\nf()\n", "f\n"),
        (
            "with out:\n    handle = display('a', display_id=True)\n    handle.update('b')\n",
            "'b'",
        ),
    ],
)
def test_content_of_an_output(local_kernel: Kernel, block: str, expected: str) -> None:
    """F1: text and displays are one display in the place of the output, also if it is displayed later."""
    pytest.importorskip("ipywidgets")
    for source in (f"{OUTPUT}display(out)\n{block}", f"{OUTPUT}{block}display(out)"):
        displays = [text for kind, text in messages(local_kernel, source) if "display" in kind]
        assert displays[-1] == expected


def test_error_in_an_output(local_kernel: Kernel) -> None:
    """F1: an error is shown in the output, and the code after it goes on, as in a kernel."""
    pytest.importorskip("ipywidgets")
    found = messages(local_kernel, OUTPUT + "display(out)\nwith out:\n    1 / 0\nprint('after')")
    assert "ZeroDivisionError" in found[-2][1]
    assert found[-1] == ("stdout", "after\n")


@pytest.mark.parametrize(
    "work",
    [
        "from rich.progress import track\nfor i in track(range(3)):\n    pass",
        "from rich.progress import Progress\nwith Progress() as p:\n    t = p.add_task('train', total=2)\n"
        "    for i in range(2):\n        p.advance(t)",
        "from rich.live import Live\nwith Live('table') as live:\n    live.update('rows')",
    ],
    ids=["track", "Progress", "Live"],
)
def test_progress_of_rich_keeps_what_was_printed(local_kernel: Kernel, work: str) -> None:
    """F1: progress bars of rich do not clear what the cell printed and displayed before."""
    pytest.importorskip("rich")
    found = messages(local_kernel, f"print('before')\ndisplay('a table')\n{work}\nprint('after')")
    assert found[0] == ("stdout", "before\n")
    assert ("display_data", "'a table'") in found
    assert found[-1] == ("stdout", "after\n")
    assert not any(kind == "clear_output" for kind, _ in found)


def test_shell_counts_as_that_of_a_kernel(shell: Shell) -> None:
    """F2: plotly and rich take the shell for a kernel's: they check the name of its class and module."""
    shell.run(f"{HEAD[:-1]} -o kind\nkind = type(get_ipython()).__name__, type(get_ipython()).__module__")
    assert shell["kind"] == ("ZMQInteractiveShell", "ipykernel.zmqshell")


@pytest.mark.parametrize("image", ["with IPython", "bare"])
def test_handle_of_an_earlier_cell_updates(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    """F3: a display of an earlier cell is updated by a cell in a pod, also if the image has no IPython."""
    kernel.run("%load_ext podtask")
    if image == "bare":
        without_ipython(tmp_path)
        kernel.run(
            f"import os; os.environ['PYTHONPATH'] = {f'{tmp_path}:' + os.environ.get('PYTHONPATH', '')!r}"
        )
    first = kernel.run("handle = display('first', display_id=True)")
    assert first.displays == [{"text/plain": "'first'"}]
    kernel.start(f"{HEAD[:-1]} -o again\nhandle.update('second')\nagain = handle")
    found = [each["content"] for each in kernel.messages(60) if each["msg_type"] == "update_display_data"]
    updated = [each for each in found if each["data"].get("text/plain") == "'second'"]
    assert len(updated) == 1
    ran = kernel.run("print(type(again).__name__, again.display_id == handle.display_id)")
    assert ran.stdout == f"{DisplayHandle.__name__} True\n"
    assert updated[0]["transient"]["display_id"] in kernel.run("print(handle.display_id)").stdout


def without_ipython(folder: Path) -> None:
    """Write a module that Python executes when it starts, and that hides IPython from imports."""
    (folder / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\nfind_spec = PathFinder.find_spec\n"
        "def hide(name, path=None, target=None):\n"
        "    return None if name.partition('.')[0] == 'IPython' else find_spec(name, path, target)\n"
        "PathFinder.find_spec = staticmethod(hide)\n"
    )


@pytest.mark.fault(101)
def test_long_line_in_an_output_is_no_search_from_each_place() -> None:
    """A line of 32 MiB with and without carriage returns takes less than 20 seconds of CPU, not hours."""
    source = """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
from podtask.runner.ipython.output_widget import MAX_TEXT_CHARS, OutputArea
for start in (b"", b"old\\r"):
    area = OutputArea(None)
    area.add_text(b"first\\n" + start + bytes(32 << 20))
    assert len(area._bundle()[0]["text/plain"]) == MAX_TEXT_CHARS
area = OutputArea(None)
for _ in range(1 << 16):
    area.add_text(b"x" * 64)
for text in (b"one", b"\\r", b"two", b"\\r", b"\\n", b"three\\r"):
    area.add_text(text)
assert area._bundle()[0]["text/plain"] == "two\\r\\n"
"""
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
