"""The example notebooks run, on this machine and in pods; papermill's way of failing works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebook import plain

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def execute(notebook: Path, output: Path, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "notebooks" / "run.py"), str(notebook), "--output", str(output)]
    return subprocess.run([*command, *more], env={**os.environ, **env}, capture_output=True, text=True)


# What is seen in a notebook that needs a cluster, beside cells that run.
SHOWN = {
    "sidecars": ("[':1', ':2', ':3']", "pushed: 200", 'loss{instance="",job="training"} 0.25', "+PONG",
                 "the value of the cell", "ended with exit code 3", "no licence found", "the database is up"),
    "detached": ("15 ok False", "result: done", "begun", "was taken over by", "KeyboardInterrupt True",
                 "cleaning up", "last line", "s  Packing", "'cpu': "),
    "volumes": ("6", "(0.1, 6)", "persistentvolumeclaim", "results", "✓ cluster"),
}  # fmt: skip


def needs_cluster(notebook: Path) -> bool:
    read = nbformat.read(notebook, as_version=4)
    return bool(read.metadata.get("podtask", {}).get("needs") == "cluster")


def check(done: subprocess.CompletedProcess[str], output: Path) -> Any:
    """Fails where a cell ended in another way than its tags say; returns the executed notebook."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(output) in done.stdout
    shown = nbformat.read(output, as_version=4)
    for cell in (cell for cell in shown.cells if cell.cell_type == "code"):
        errors = [
            each
            for each in cell.outputs
            if each.output_type == "error"
            or "UsageError: " in each.get("text", "")  # IPython prints one that a magic raises
        ]
        meant = "raises-exception" in cell.metadata.get("tags", ())
        assert bool(errors) == meant, f"{cell.source}\n{errors}"
    return shown


@pytest.mark.feature("P05", "A47", "A14", "A15", "A44", "N13", "N14")
@pytest.mark.parametrize(
    "notebook", [each for each in NOTEBOOKS if not needs_cluster(each)], ids=lambda path: path.stem
)
def test_notebook_runs_on_this_machine(notebook: Path, tmp_path: Path) -> None:
    """An example runs without a cluster, and its runner prints what each cell shows."""
    shown = check(execute(notebook, tmp_path / "out.ipynb"), tmp_path / "out.ipynb")
    assert [cell for cell in shown.cells if cell.cell_type == "code" and cell.outputs]
    assert "Purpose: " in shown.cells[0].source


@pytest.mark.cluster
@pytest.mark.feature("A21", "A22", "N04", "N08", "N09", "N15", "P03", "P06")
@pytest.mark.parametrize(
    "notebook", [each for each in NOTEBOOKS if needs_cluster(each)], ids=lambda path: path.stem
)
def test_notebook_runs_in_pods(
    notebook: Path, cluster: Any, namespace: str, tmp_path: Path
) -> None:
    """An example that needs a cluster runs in its pods, and says so without one."""
    config = cluster.write_kubeconfig(tmp_path / "config", namespace=namespace)
    done = execute(notebook, tmp_path / "out.ipynb", "--cluster", KUBECONFIG=str(config))
    shown = check(done, tmp_path / "out.ipynb")
    text = " ".join(str(cell.get("outputs", "")) for cell in shown.cells)
    for expected in SHOWN[notebook.stem]:
        assert expected in text
    without = execute(notebook, tmp_path / "none.ipynb")
    assert (without.returncode, without.stderr) == (2, f"{notebook} needs a cluster: add --cluster.\n")


@pytest.mark.cluster
@pytest.mark.feature("P05", "A37")
def test_quickstart_runs_in_pods(cluster: Any, namespace: str, tmp_path: Path) -> None:
    """The quickstart runs in pods of a real cluster, sidecar and all."""
    config = cluster.write_kubeconfig(tmp_path / "config", namespace=namespace)
    notebook = ROOT / "notebooks" / "quickstart.ipynb"
    done = execute(notebook, tmp_path / "out.ipynb", "--cluster", KUBECONFIG=str(config))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pi is about 3.1" in done.stdout
    assert "12.56636" in done.stdout
    assert "'localhost:6379'" in done.stdout


@pytest.mark.feature("P05")
def test_failing_notebook_ends_with_an_exit_code(tmp_path: Path) -> None:
    """A cell that fails in the runner fails the execution of the notebook."""
    made = nbformat.v4.new_notebook()
    made.cells = [
        nbformat.v4.new_code_cell("%load_ext podtask"),
        nbformat.v4.new_code_cell("%%podtask\n1 / 0"),
    ]
    nbformat.write(made, tmp_path / "bad.ipynb")
    done = execute(tmp_path / "bad.ipynb", tmp_path / "out.ipynb")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout


@pytest.mark.feature("P05")
@pytest.mark.parametrize("tool", ["papermill", "nbconvert"])
def test_tools_run_a_notebook_and_fail_with_it(tool: str, tmp_path: Path) -> None:
    """papermill and nbconvert execute cells, end with 0 where all are done and not where one fails."""
    pytest.importorskip(tool)
    command = {
        "papermill": ["papermill", "in.ipynb", "out.ipynb"],
        "nbconvert": ["nbconvert", "--to=notebook", "--execute", "in.ipynb", "--output=out.ipynb"],
    }[tool]
    for source, code in (("print(40 + 2)", 0), ("{}['gone']", 1)):
        made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": ""}})
        cells = ("%load_ext podtask", f"%%podtask --local\n{source}")
        made.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(made, tmp_path / "in.ipynb")
        done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True)  # fmt: skip
        assert done.returncode == code, done.stderr
        if code:
            assert "KeyError: 'gone'" in plain(done.stderr)
        else:
            text = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs
            assert [each.text for each in text if each.get("name") == "stdout"] == ["42\n"]


@pytest.mark.feature("P05")
def test_plain_script_runs_a_function(tmp_path: Path) -> None:
    """Outside of IPython, podtask.run sends a function of the script and returns its value."""
    script = tmp_path / "script.py"
    script.write_text(
        "import podtask\n"
        "factor = 3\n"
        "def triple(x):\n    print('in the runner')\n    return x * factor\n"
        "print(podtask.run(triple, 14, options=podtask.RunOptions.of(local=True)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "in the runner\n42\n"


@pytest.mark.feature("P05")
def test_ipython_terminal_runs_a_cell(tmp_path: Path) -> None:
    """The magic works in the IPython terminal: output to stdout, podtask's lines to stderr."""
    script = tmp_path / "session.py"
    script.write_text(
        "from IPython.terminal.interactiveshell import TerminalInteractiveShell\n"
        "shell = TerminalInteractiveShell.instance()\n"
        "for cell in ('%load_ext podtask', 'x = 20', '%%podtask --local\\nprint(1)\\nx + 1'):\n"
        "    shell.run_cell(cell, store_history=True).raise_error()\n"
    )
    env = {**os.environ, "IPYTHONDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1\n")
    assert "21" in done.stdout
    assert "podtask-" in done.stderr
