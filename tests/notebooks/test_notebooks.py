"""The example notebooks run on this machine and in pods, also with papermill, nbconvert and as scripts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebook import strip_ansi

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def execute(notebook: Path, output: Path, *flags: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Execute a notebook with ``notebooks/run.py``.

    Args:
        notebook: The notebook.
        output: File for the executed notebook.
        flags: Additional flags.
        env: Additional environment variables.
    """
    command = [
        sys.executable,
        str(ROOT / "notebooks" / "run.py"),
        str(notebook),
        "--output",
        str(output),
    ]
    return subprocess.run([*command, *flags], env={**os.environ, **env}, capture_output=True, text=True)


# For each notebook: the rows of the feature table that it shows, and texts that its output contains.
EXPECTED = {
    "detached": (
        ("N08", "N15", "P03"),
        (
            "15 ok False",
            "result: done",
            "begun",
            "was taken over by",
            "KeyboardInterrupt True",
            "cleaning up",
            "4.0 s of laps",
            "last line",
            "s  Packing",
            "'cpu': ",
        ),
    ),
    "errors": (
        ("N13",),
        (
            "ZeroDivisionError: division by zero",
            "job['guard'] (lock) cannot be sent",
            "is not a valid label value",
            "unknown option '--memroy'. Did you mean '--memory'?",
            "was killed by SIGKILL",
        ),
    ),
    "flyte": ((), ("Hello hello world",)),
    "form": ((), ("[['stage', 'team']]", "{'kept': True}", "sidecar redis, volumes", '"name": "HF_TOKEN"')),
    "functions": ((), ("[2, 2, 0]", "ZeroDivisionError('division by zero')", "3 of 3 done")),
    "gpu": ((), ("nvidia.com/gpu: '1'", "sizeLimit: 2Gi", "cloud.google.com/gke-spot: 'true'")),
    "moves_in": (
        ("N17",),
        ("[session lab]", "[3, 6, 9]", "KeyError: 'biases'", "[notebook]", "(True, False)", "600"),
    ),
    "plots": ((), ("190", "<b>100 %</b>", "image/png", "True")),
    "quickstart": (("N13",), ("['--memory']", "pi is about 3.1", "12.56636", "'localhost:6379'")),
    "session": (
        ("N12",),
        (
            "[0.5, 1.0, 1.5]",
            "(4, False)",
            "TypeError: unsupported operand",
            "model  Model",
            "Ended: session lab",
        ),
    ),
    "sidecars": (
        ("A21", "A22", "N09"),
        (
            "[':1', ':2', ':3']",
            "pushed: 200",
            'loss{instance="",job="training"} 0.25',
            "+PONG",
            "the value of the cell",
            "ended with exit code 3",
            "no licence found",
            "the database is up",
        ),
    ),
    "sweep": (
        ("N10",),
        (
            "✗ 15 of 15 done · 4 failed",
            "ArithmeticError: diverges after ",
            "4 items: 10, 11, 13, 14",
            "((1.0, 1000), 0.0121)",
            "y = 3.08 x + 0.46",
            "1266",
        ),
    ),
    "templates": (
        ("A14", "A15", "A44", "N14", "P03"),
        (
            "gke-gcsfuse/volumes: 'true'",
            "gke-gcsfuse/memory-limit: 1Gi",
            "driver: ru.yandex.s3.csi",
            "claimName: my-bucket-claim",
            "stage: prod",
            ".podtask/templates/prod.yaml",
            "Difference to the last run",
            "--- last run",
            "kubectl create --dry-run=server",
            "from flytekit import PodTemplate",
            "from podtask import PodTemplate, RunOptions",
        ),
    ),
    "volumes": (("N04", "P06"), ("6", "(0.1, 6)", "persistentvolumeclaim", "results", "✓ cluster")),
}


def needs_cluster(notebook: Path) -> bool:
    """Return whether the metadata of a notebook asks for a cluster."""
    content = nbformat.read(notebook, as_version=4)
    return bool(content.metadata.get("podtask", {}).get("needs") == "cluster")


def examples(*, in_pods: bool) -> list[Any]:
    """Return the notebooks that need a cluster, or the others, marked with the rows that they cover."""
    return [
        pytest.param(each, marks=pytest.mark.feature(*EXPECTED[each.stem][0]), id=each.stem)
        for each in NOTEBOOKS
        if needs_cluster(each) == in_pods
    ]


def output_text(cells: list[Any]) -> str:
    """Return the output of cells as text, without colors."""
    texts = []
    for output in (output for cell in cells for output in cell.get("outputs", ())):
        texts += [output.get("text", ""), *output.get("traceback", ())]
        texts += [f"{kind}: {data}" for kind, data in output.get("data", {}).items()]
    return strip_ansi("\n".join(texts))


def check(process: subprocess.CompletedProcess[str], output: Path) -> Any:
    """Check that the cells tagged ``raises-exception`` failed and no others; return the executed notebook."""
    assert process.returncode == 0, process.stdout + process.stderr
    assert str(output) in process.stdout
    executed = nbformat.read(output, as_version=4)
    for cell in (cell for cell in executed.cells if cell.cell_type == "code"):
        errors = [
            each
            for each in cell.outputs
            if each.output_type == "error"
            or "UsageError: " in each.get("text", "")  # IPython prints the UsageError of a magic
        ]
        expects_error = "raises-exception" in cell.metadata.get("tags", ())
        assert bool(errors) == expects_error, f"{cell.source}\n{errors}"
    return executed


@pytest.mark.feature("P05", "A47")
@pytest.mark.parametrize("notebook", examples(in_pods=False))
def test_notebook_runs_on_this_machine(notebook: Path, tmp_path: Path) -> None:
    """A notebook that needs no cluster runs without one, and shows the expected output."""
    executed = check(execute(notebook, tmp_path / "out.ipynb"), tmp_path / "out.ipynb")
    text = output_text(executed.cells)
    for expected in EXPECTED[notebook.stem][1]:
        assert expected in text
    assert "Purpose: " in executed.cells[0].source


@pytest.mark.cluster
@pytest.mark.feature("P05")
@pytest.mark.parametrize("notebook", examples(in_pods=True))
def test_notebook_runs_in_pods(notebook: Path, cluster: Any, namespace: str, tmp_path: Path) -> None:
    """A notebook that needs a cluster runs in pods; without a cluster, run.py reports that one is needed."""
    config = cluster.write_kubeconfig(tmp_path / "config", namespace=namespace)
    done = execute(notebook, tmp_path / "out.ipynb", "--cluster", KUBECONFIG=str(config))
    executed = check(done, tmp_path / "out.ipynb")
    text = output_text(executed.cells)
    for expected in EXPECTED[notebook.stem][1]:
        assert expected in text
    without = execute(notebook, tmp_path / "none.ipynb")
    assert (without.returncode, without.stderr) == (
        2,
        f"{notebook} needs a cluster: add --cluster.\n",
    )


@pytest.mark.cluster
@pytest.mark.feature("P05", "A37")
def test_quickstart_runs_in_pods(cluster: Any, namespace: str, tmp_path: Path) -> None:
    """The quickstart runs in pods of a real cluster, including its sidecar."""
    config = cluster.write_kubeconfig(tmp_path / "config", namespace=namespace)
    notebook = ROOT / "notebooks" / "quickstart.ipynb"
    done = execute(notebook, tmp_path / "out.ipynb", "--cluster", KUBECONFIG=str(config))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pi is about 3.1" in done.stdout
    assert "12.56636" in done.stdout
    assert "'localhost:6379'" in done.stdout


@pytest.fixture
def accelerator(cluster: Any) -> Iterator[None]:
    """Add one nvidia.com/gpu to the node's capacity, without a real device."""
    assert cluster.node
    cluster.set_capacity("nvidia.com/gpu", 1)
    yield
    cluster.set_capacity("nvidia.com/gpu", None)


@pytest.mark.cluster
@pytest.mark.feature("B22")
@pytest.mark.usefixtures("accelerator")
def test_gpu_notebook_runs_in_a_pod_with_a_gpu(cluster: Any, namespace: str, tmp_path: Path) -> None:
    """On a cluster with a GPU, the API server accepts the pod and the last cell gets the GPU."""
    config = cluster.write_kubeconfig(tmp_path / "config", namespace=namespace)
    notebook, output = ROOT / "notebooks" / "gpu.ipynb", tmp_path / "out.ipynb"
    executed = check(execute(notebook, output, "--cluster", KUBECONFIG=str(config)), output)
    assert "The API server accepts this pod" in output_text(executed.cells)
    last = output_text(executed.cells[-1:])
    assert re.search(r"✓ \d+\.\d s in a pod", last)
    assert "nvidia.com/gpu" in last  # the pod, which the status line unfolds


@pytest.mark.feature("P05")
def test_failing_notebook_sets_the_exit_code(tmp_path: Path) -> None:
    """A cell that fails in its runner makes the execution of the notebook fail."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell("%load_ext podtask"),
        nbformat.v4.new_code_cell("%%podtask\n1 / 0"),
    ]
    nbformat.write(notebook, tmp_path / "bad.ipynb")
    done = execute(tmp_path / "bad.ipynb", tmp_path / "out.ipynb")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout


@pytest.mark.feature("P05")
@pytest.mark.parametrize("tool", ["papermill", "nbconvert"])
def test_tools_run_a_notebook_and_report_its_failure(tool: str, tmp_path: Path) -> None:
    """Both tools exit with 0 if all cells succeed, and with another code if one fails."""
    pytest.importorskip(tool)
    command = {
        "papermill": ["papermill", "in.ipynb", "out.ipynb"],
        "nbconvert": ["nbconvert", "--to=notebook", "--execute", "in.ipynb", "--output=out.ipynb"],
    }[tool]
    for source, code in (("print(40 + 2)", 0), ("{}['gone']", 1)):
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": ""}})
        cells = ("%load_ext podtask", f"%%podtask --local\n{source}")
        notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(notebook, tmp_path / "in.ipynb")
        done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        if code:
            assert "KeyError: 'gone'" in strip_ansi(done.stderr)
        else:
            text = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1].outputs
            assert [each.text for each in text if each.get("name") == "stdout"] == ["42\n"]


@pytest.mark.feature("P05")
def test_plain_script_runs_a_function(tmp_path: Path) -> None:
    """Outside of IPython, podtask.run sends a function of a script and returns its value."""
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
    """In the IPython terminal, the magic writes output to stdout and status lines to stderr."""
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
    assert re.fullmatch(r"✓ \d+\.\d s, local.*\n", done.stderr)
