"""The magic on the local backend: a cell behaves as if the kernel had run it."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import threading
from pathlib import Path

import pytest
from podtask import PodTemplate

from tests.notebook import Kernel, Shell, strip_ansi

pytestmark = pytest.mark.usefixtures("local_backend")


def test_value_of_the_last_expression_is_shown_and_kept(shell: Shell) -> None:
    """The value of the last expression is displayed, and becomes _ and Out[n]."""
    out, _ = shell.output("%%podtask\n[1, 2, 3]")
    assert "[1, 2, 3]" in out
    assert shell.run("_") == [1, 2, 3]


@pytest.mark.feature("A36")
@pytest.mark.parametrize("source", ["None", "{'a': [1.5, b'x']}", "(x for x in ()).__class__"])
def test_any_picklable_value_comes_back(shell: Shell, source: str) -> None:
    """A value named with -o is assigned in the notebook, also if it is None."""
    shell.output(f"%%podtask -o value\nvalue = {source}")
    assert shell["value"] == eval(source)


def test_output_goes_to_the_stream_it_was_written_to(shell: Shell) -> None:
    """Stdout and stderr stay separate."""
    out, err = shell.output("%%podtask\nimport sys\nprint('out')\nprint('err', file=sys.stderr)")
    assert out == "out\n"
    assert "err\n" in err
    assert "out" not in err.replace("stdout", "")


def test_child_processes_and_prints_keep_their_order(shell: Shell) -> None:
    """The output of a child process appears between the prints around it."""
    source = "import os\nfor n in range(5):\n    print('py', n)\n    os.system(f'echo sh {n}')\n"
    out, _ = shell.output("%%podtask\n" + source)
    assert out == "".join(f"py {n}\nsh {n}\n" for n in range(5))


@pytest.mark.feature("S01")
def test_error_has_its_own_type_and_the_cells_line(shell: Shell) -> None:
    """An error is raised as its own type; the traceback shows the cell's lines and no frame of podtask."""
    source = "%%podtask\ndef half(x):\n    return x / 0\nhalf(4)\n"
    with pytest.raises(ZeroDivisionError):
        shell.run(source)
    shown = shell.shown_error(source)
    assert f"In[{len(shell['In']) - 1}], line 4" in shown
    assert "----> 3     return x / 0" in shown
    assert "ZeroDivisionError: division by zero" in shown
    assert "run_cell_magic" not in shown
    assert "site-packages" not in shown


def test_error_class_of_the_notebook_keeps_its_identity(shell: Shell) -> None:
    """An exception class defined in the notebook is caught as that class."""
    shell.run("class Broken(Exception):\n    pass")
    with pytest.raises(shell["Broken"], match="here"):
        shell.run("%%podtask\nraise Broken('here')")


def test_functions_see_the_cells_variables(shell: Shell) -> None:
    """A function of the notebook reads the variables of the cell that calls it."""
    shell.run("def scaled(x):\n    return x * factor\nfactor = 2")
    shell.run("%%podtask -o a,b\na = scaled(10)\nfactor = 3\nb = scaled(10)")
    assert (shell["a"], shell["b"]) == (20, 30)
    assert shell["factor"] == 2


def test_shared_objects_stay_shared(shell: Shell) -> None:
    """Two names of one object are still one object in the pod, and after the return."""
    shell.run("one = [1]\ntwo = one")
    shell.run("%%podtask -o one,two\none.append(2)\nassert two is one")
    assert shell["one"] is shell["two"]
    assert shell["two"] == [1, 2]


def test_env_option_reaches_the_cell_and_not_the_pod_spec(shell: Shell) -> None:
    """--env sets an environment variable of the cell."""
    assert shell.run("%%podtask --env TOKEN=abc -o t\nimport os\nt = os.environ['TOKEN']") is None
    assert shell["t"] == "abc"
    out, _ = shell.output("%%podtask --env TOKEN=abc --dry-run\n1")
    assert "TOKEN" not in out


@pytest.mark.feature("B03", "B04")
def test_preview_marks_what_is_overwritten(shell: Shell) -> None:
    """--dry-run prints the pod, below a line for each overwritten field of the template."""
    shell.run("t = {'containers': [{'name': 'primary', 'image': 'old', 'args': ['x']}]}")
    out, _ = shell.output("%%podtask -t t --image new --dry-run\n1")
    assert "# image old of container 'primary' is replaced by new\n" in out
    assert "# args of container 'primary' is replaced" in out
    assert "image: new" in out


@pytest.mark.feature("A25", "N16")
def test_local_run_touches_no_cluster(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """--local runs the cell with the same runner, without any cluster."""
    monkeypatch.delenv("PODTASK_BACKEND")
    shell.output(
        "%%podtask --local -o where\nimport sys\nwhere = '_podtask_runner.worker.main' in sys.modules"
    )
    assert shell["where"] is True


@pytest.mark.feature("A25")
@pytest.mark.parametrize("way", ["--local", "PODTASK_BACKEND", "PODTASK_LOCAL", "pyproject.toml"])
def test_local_run_leaves_a_configured_cluster_alone(
    shell: Shell,
    silent_cluster: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    way: str,
) -> None:
    """A local run, chosen by option, environment or settings, does not connect to the cluster."""
    monkeypatch.delenv("PODTASK_BACKEND")
    if way.startswith("PODTASK"):
        monkeypatch.setenv(way, "local" if way == "PODTASK_BACKEND" else "yes")
    elif way == "pyproject.toml":
        (tmp_path / way).write_text("[tool.podtask]\nlocal = true\n")
        monkeypatch.chdir(tmp_path)
    shell.output(f"%%podtask -o found {'--local' if way == '--local' else ''}\nfound = 6 * 7")
    assert shell["found"] == 42
    silent_cluster.setblocking(False)
    with pytest.raises(BlockingIOError):
        silent_cluster.accept()


@pytest.mark.feature("A25")
def test_local_is_never_chosen_silently(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a cluster and without --local, the error names both solutions."""
    monkeypatch.delenv("PODTASK_BACKEND")
    shown = shell.shown_error("%%podtask\n1")
    assert "No cluster is configured" in shown
    assert "KUBECONFIG" in shown
    assert "--local" in shown


@pytest.mark.feature("A27")
def test_missing_client_library_is_one_line(tmp_path: Path) -> None:
    """If the client library cannot be imported, the error has a hint; --local does not need it."""
    broken = tmp_path / "broken" / "kubernetes"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('cannot import name six')\n")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(broken.parent), *sys.path])}
    del env["PODTASK_BACKEND"]
    kernel = Kernel(env)
    with contextlib.closing(kernel):
        kernel.run("%load_ext podtask")
        error = kernel.run("%%podtask\n1").error
        assert error is not None
        assert strip_ansi(error[2]).splitlines() == [
            "ClusterError: Cannot import the Kubernetes client library: cannot import name six.",
            "  Run %pip install -U 'kubernetes>=31,!=36.0.0' and restart the kernel, or run on this machine with --local.",
        ]
        assert kernel.run("%%podtask --local\n6 * 7").result == {"text/plain": "42"}


@pytest.mark.feature("A26", "B11")
def test_local_run_names_what_it_ignores(shell: Shell) -> None:
    """One line names the parts of the template that a local run ignores."""
    shell.run(
        "from podtask import PodTemplate\n"
        "t = PodTemplate({'containers': [{'name': 'primary'}, {'name': 'redis', 'image': 'r'}],"
        " 'volumes': [{'name': 'd', 'emptyDir': {}}]})"
    )
    _, err = shell.output("%%podtask -t t\n1")
    assert err.count("Runs on this machine. Ignored parts of the template: sidecar redis, volumes.") == 1


@pytest.mark.feature("A26")
@pytest.mark.parametrize(
    ("template", "named"),
    [
        (PodTemplate(), []),
        (PodTemplate(labels={"a": "b"}, annotations={"c": "d"}), ["labels", "annotations"]),
        (
            PodTemplate(
                {
                    "containers": [{"name": "one", "image": "x"}, {"name": "two", "image": "x"}],
                    "initContainers": [{"name": "first", "image": "x"}],
                    "volumes": [{"name": "v", "emptyDir": {}}],
                    "imagePullSecrets": [{"name": "s"}],
                    "serviceAccountName": "robot",
                    "nodeSelector": {"a": "b"},
                    "affinity": {"nodeAffinity": {}},
                    "tolerations": [{"key": "k"}],
                    "securityContext": {"runAsUser": 1},
                    "runtimeClassName": "gvisor",
                    "hostNetwork": True,
                }
            ),
            [
                "sidecars one, two",
                "init containers",
                "volumes",
                "image pull secrets",
                "service account",
                "node selector",
                "affinity",
                "tolerations",
                "security context",
                "runtimeClassName",
                "hostNetwork",
            ],
        ),
        (
            PodTemplate(
                {
                    "containers": [
                        {
                            "name": "primary",
                            "env": [{"name": "PLAIN", "value": "is set here too"}],
                            "envFrom": [{"secretRef": {"name": "s"}}],
                            "resources": {"limits": {"cpu": "1"}},
                            "workingDir": "/w",
                        }
                    ]
                }
            ),
            ["resources", "environment from secrets and config maps", "workingDir of the container"],
        ),
    ],
)
def test_each_ignored_part_is_named(shell: Shell, template: PodTemplate, named: list[str]) -> None:
    """The line names exactly what is ignored; there is no line if nothing is."""
    shell["t"] = template
    _, err = shell.output("%%podtask -t t\n1")
    said = [line for line in err.splitlines() if line.startswith("Runs on this machine")]
    line = f"Runs on this machine. Ignored parts of the template: {', '.join(named)}."
    assert said == ([line] if named else [])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--memroy 1Gi", "Did you mean '--memory'?"),
        ("--memory 16GB", "Did you mean 16Gi?"),
        ("--cpu lots", "not a quantity"),
        ("--timeout soon", "not a duration"),
        ("-t nothing", "Pod template 'nothing' not found"),
        ("-t number", "Expected a pod template, got int"),
        ("-o never", "the cell did not set this variable"),
        ("-i never", "no such variable"),
        ("--env TOKEN", "has no value"),
        ("-n Bad_Name", "is not a valid namespace"),
    ],
)
def test_bad_option_is_a_short_clear_error(shell: Shell, line: str, says: str) -> None:
    """A mistake in the line of the magic is an error of two or three lines, without a traceback."""
    shell["number"] = 5
    shown = shell.shown_error(f"%%podtask {line}\nx = 1")
    assert says in shown
    assert "Traceback" not in shown
    assert len([row for row in shown.splitlines() if not row.startswith("podtask-")]) <= 3


def test_cell_that_does_not_compile_is_a_syntax_error(shell: Shell) -> None:
    """A syntax error is shown as IPython shows one, at the line of the notebook's cell."""
    shown = shell.shown_error("%%podtask\nx = 1\ny = (")
    assert "SyntaxError: '(' was never closed" in shown
    assert "line 3" in shown
    assert "cell.py" not in shown


def test_killed_worker_is_named_by_its_signal(shell: Shell) -> None:
    """If the cell's process is killed, the error names the signal."""
    shown = shell.shown_error("%%podtask\nimport os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert "SIGSEGV" in shown


def test_last_line_lists_the_values(shell: Shell) -> None:
    """The last line has the place, the duration, the values that came back and those that did not."""
    _, err = shell.output("%%podtask -o a\na = 1\nb = 'x'")
    assert re.fullmatch(r"✓ \d+\.\d s, local · back: a · not brought back: b\n", err)


def test_timeout_stops_the_cell(shell: Shell) -> None:
    """A cell that runs longer than its --timeout is interrupted, and the error names the option."""
    shown = shell.shown_error("%%podtask --timeout 0.5s\nimport time\ntime.sleep(60)")
    assert "ran longer than its --timeout" in shown


def test_display_shows_mime_bundles(shell: Shell) -> None:
    """display() shows the text form of an object in a terminal."""
    out, _ = shell.output("%%podtask\nclass A:\n    def __repr__(self): return 'an A'\ndisplay(A())")
    assert out == "an A\n"


def test_verbose_writes_the_debug_log(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """``%podtask verbose`` writes log lines to standard error until ``%podtask verbose off``."""
    shell.run("%podtask verbose")
    shell.run("import logging; logging.getLogger('podtask.test').debug('one line')")
    assert "podtask.test: one line" in capsys.readouterr().err
    shell.run("%podtask verbose off")
    shell.run("logging.getLogger('podtask.test').debug('no line')")
    assert "no line" not in capsys.readouterr().err
    assert "verbose [off]" in shell.shown_error("%podtask verbose loud")


def test_verbose_shows_the_debug_log_of_the_runner(shell: Shell) -> None:
    """``%podtask verbose`` also shows debug messages of the runner; by default, none appear."""
    assert "podtask.runner" not in shell.output("%%podtask\n1")[1]
    shell.run("%podtask verbose")
    _, err = shell.output("%%podtask\n1")
    shell.run("%podtask verbose off")
    assert re.search(r" podtask\.runner: podtask-\S+: a client has connected\n", err)
    assert "the worker has ended: exit code 0; the cell: ok\n" in err
    assert "podtask.runner" not in shell.output("%%podtask\n1")[1]


def test_name_error_names_the_cell_that_left_the_name(kernel: Kernel) -> None:
    """U9: a NameError, in the notebook or in a pod, says which cell has set the name without bringing it back."""
    kernel.run("%%podtask --local\ncounter = 1")
    number = kernel.run("print(len(In) - 2)").stdout.strip()
    hint = (
        f"counter was set in the process of cell [{number}], and stayed there: run that cell with -o counter."
    )
    ran = kernel.run("counter")
    assert ran.error is not None
    assert ran.lines[-1] == hint
    ran = kernel.run("%%podtask --local\ncounter + 1")
    assert ran.error is not None
    assert ran.error[2].count(hint) == 1
    assert hint not in ran.lines
    kernel.run("%%podtask --local -o counter\ncounter = 2")
    assert hint not in kernel.run("del counter\ncounter").lines
    assert kernel.run("unknown").lines == []


@pytest.mark.parametrize(
    "use",
    [
        "print(total)",
        "def show():\n    return total\nshow()",
        "import math\n[math.sqrt(total) for _ in range(2)]",
    ],
)
def test_name_that_a_detached_cell_left_is_hinted(shell: Shell, tmp_path: Path, use: str) -> None:
    """U9: the same for a detached cell, and wherever the notebook uses the name."""
    gate = tmp_path / "gate"
    wait = f"import os\nwhile not os.path.exists({str(gate)!r}):\n    os.sched_yield()\n"
    shell.run(f"%%podtask --local -d --as job\n{wait}total = 1")
    number, ended = shell.ip.execution_count - 1, threading.Event()
    shell["job"].add_done_callback(lambda _: ended.set())
    gate.touch()
    assert ended.wait(60)
    hint = f"total was set in the process of cell [{number}], and stayed there: run that cell with -o total."
    assert shell.shown_error(use).count(hint) == 1
    shell.run("%%podtask --local -o total\ntotal = 2")
    shell.run("del total")
    assert hint not in shell.shown_error(use)


def test_name_that_a_failed_cell_left_is_hinted(shell: Shell) -> None:
    """U9: a cell that fails has set names, too; the hint is below the error of a query of pandas as well."""
    pandas = pytest.importorskip("pandas")
    shell["frame"] = pandas.DataFrame({"a": [1]})
    shell.shown_error("%%podtask --local\nlimit = 1\n1 / 0")
    hint = f"limit was set in the process of cell [{shell.ip.execution_count - 1}], and stayed there"
    for use in ("limit", "frame.query('a > @limit')"):
        assert shell.shown_error(use).count(hint) == 1
