"""Settings of single libraries, from one process to another (rows C3 and C4)."""

from __future__ import annotations

import importlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from podtask.pickling.inputs import pack_inputs
from podtask.pickling.state import Pieces, capture_state
from podtask.runner.state import ipython_shell, libraries, torch_random, yaml_tags

from tests.unit.packing import OTHER, remote

# The other process: it applies the state, then executes the cell.
REMOTE = """
import pickle, sys
from podtask.runner.state import libraries
state, cell = pickle.load(sys.stdin.buffer)
applied = libraries.AppliedState(state)
applied.install()
exec(cell)
print(applied.report()["notes"])
"""


def seen(cell: str, setup: str, undo: str) -> str:
    """Return the output of a cell in another process with the settings that ``setup`` makes in this one."""
    namespace: dict[str, Any] = {}
    exec(setup, namespace)
    try:
        state = capture_state(namespace, waits=True).as_data()
    finally:
        exec(undo, namespace)
    done = subprocess.run(
        [sys.executable, "-c", REMOTE], input=pickle.dumps((state, cell)), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize(
    ("library", "setup", "undo", "cell", "output"),
    [
        (
            "xarray",
            "import xarray\nopened = xarray.set_options(display_width=40, keep_attrs=True, cmap_divergent='bwr')",
            "opened.__exit__(None, None, None)",
            "import xarray\nprint(*map(xarray.get_options().get, ('display_width', 'keep_attrs', 'display_style')))",
            "40 True html\n",
        ),
        (
            "rich",
            "import rich\nrich.reconfigure(width=33, no_color=True, emoji=False)",
            "rich.reconfigure()",
            "import rich\nprint(rich.get_console().width, rich.get_console().no_color, rich.get_console()._emoji)",
            "33 True False\n",
        ),
        (
            "rich",
            "import rich\nfrom rich.theme import Theme\nrich.reconfigure(theme=Theme({'loud': 'bold red'}))",
            "rich.reconfigure()",
            "import rich\nprint(rich.get_console().get_style('loud'))",
            "bold red\n",
        ),
        (
            "structlog",
            "import structlog\nstructlog.configure(processors=[structlog.processors.add_log_level,"
            " structlog.processors.JSONRenderer(sort_keys=True)])\n"
            "structlog.contextvars.bind_contextvars(user='ann')",
            "structlog.reset_defaults(); structlog.contextvars.clear_contextvars()",
            "import structlog\nstructlog.get_logger().info('read', n=1)\nprint(structlog.contextvars.get_contextvars())",
            '{"event": "read", "level": "info", "n": 1}\n{\'user\': \'ann\'}\n',
        ),
    ],
    ids=["xarray", "console of rich", "theme of rich", "structlog"],
)
def test_c4_settings(library: str, setup: str, undo: str, cell: str, output: str) -> None:
    """C4: what the notebook has set is set when the cell imports the library."""
    pytest.importorskip(library)
    assert seen(cell, setup, undo) == f"{output}[]\n"


YAML = """
import yaml
class Monster(yaml.YAMLObject):
    yaml_tag = "!Monster"
    def __init__(self, hp): self.hp = hp
class Point: pass
def included(loader, node): return "included " + loader.construct_scalar(node)
def prefixed(loader, suffix, node): return suffix + "/" + loader.construct_scalar(node)
def point(dumper, data): return dumper.represent_scalar("!point", "here")
yaml.add_constructor("!include", included, Loader=yaml.SafeLoader)
yaml.add_multi_constructor("!env:", prefixed, Loader=yaml.SafeLoader)
yaml.add_representer(Point, point)
"""


def test_c4_tags_of_yaml(notebook: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """C4: classes of YAMLObject and registered functions are known to yaml; a class also in another Python."""
    for kind in (yaml.Loader, yaml.FullLoader, yaml.UnsafeLoader, yaml.SafeLoader, yaml.Dumper):
        for name in yaml_tags.REGISTRIES:
            if hasattr(kind, name):  # the notebook registers in copies, which the test removes
                monkeypatch.setattr(kind, name, dict(getattr(kind, name)))
    namespace = notebook(YAML)
    sent = {name: namespace[name] for name in ("yaml", "Monster", "Point")}
    state = capture_state(namespace, waits=False)
    inputs = pack_inputs(sent, namespace, state=state)
    monster = "print(yaml.load('!Monster {hp: 4}', yaml.Loader).hp, yaml.dump(Monster(3)))"
    assert remote(inputs, monster) == "4 !Monster\nhp: 3\n\n"
    assert remote(pack_inputs(sent, namespace, OTHER, state=state), monster) == "4 !Monster\nhp: 3\n\n"
    functions = "print(yaml.safe_load('[!include a, !env:b c]'), yaml.dump(Point()))"
    assert remote(inputs, functions) == "['included a', 'b/c'] !point 'here'\n\n"


def test_c4_functions_of_yaml_that_another_python_cannot_read_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C4: the status line names functions that stay in the notebook; a class registers itself there."""
    monkeypatch.setattr(libraries, "failures", [])
    pickled = (libraries.PICKLED, OTHER, b"")
    yaml_tags.apply(yaml, {"classes": pickled, "functions": pickled})
    (line,) = libraries.failures
    assert line.startswith(
        "yaml's tags of functions stays the pod's (ValueError: it was pickled by Python 3.9"
    )


@pytest.mark.parametrize("library", ["xarray", "rich", "structlog"])
def test_c4_nothing_is_sent_by_default(library: str) -> None:
    """C4: a library that nobody has set up has no state."""
    pytest.importorskip(library)
    module = importlib.import_module(library)
    if library == "rich":
        module.get_console()
    assert libraries.library(libraries.LIBRARIES[library]).capture(module, Pieces({}, library)) is None


def test_c4_an_option_that_cannot_be_sent_is_named() -> None:
    """C4: a part that cannot be pickled is named, and the other parts are sent."""
    xarray: Any = pytest.importorskip("xarray")
    pieces = Pieces({}, "xarray")
    with xarray.set_options(cmap_sequential=iter([sys._getframe()]), display_width=30):
        data = libraries.library("xarray_options").capture(xarray, pieces)
    assert data == {"display_width": 30, "cmap_sequential": libraries.LOST}
    [line] = pieces.left_out["xarray"]
    assert line == "xarray's option cmap_sequential stays in the notebook: set it up in the cell"


class Generator:
    """The part of torch that has random numbers."""

    uint8 = "uint8"

    def __init__(self, state: list[int]) -> None:
        self.state, self.gpu_seed = state, 0
        self.cuda = self

    def get_rng_state(self) -> Any:
        return memoryview(bytes(self.state))

    def set_rng_state(self, state: list[int]) -> None:
        self.state = state

    def tensor(self, values: list[int], dtype: str) -> list[int]:
        assert dtype == self.uint8
        return values

    def initial_seed(self) -> int:
        return self.state[0]

    def manual_seed_all(self, seed: int) -> None:
        self.gpu_seed = seed


def test_c3_generator_of_torch() -> None:
    """C3: its state goes and comes back as text; generators of GPUs get the seed in the pod alone."""
    pod = Generator([0, 0])
    torch_random.apply(pod, json.loads(json.dumps(torch_random.capture(Generator([7, 200]), None))))
    assert (pod.state, pod.gpu_seed) == ([7, 200], 7)
    notebook = Generator([0, 0])
    torch_random.restore(notebook, torch_random.capture(pod, None))
    assert (notebook.state, notebook.gpu_seed) == ([7, 200], 0)
    assert libraries.GENERATORS["torch"] == "torch_random"


def test_c4_a_library_that_replaces_the_text_formatter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """C4: ``rich.pretty.install()`` is named, and the other settings of the shell are sent."""
    interactiveshell: Any = pytest.importorskip("IPython.core.interactiveshell")
    pretty: Any = pytest.importorskip("rich.pretty")
    shell = interactiveshell.InteractiveShell.instance()
    formatters = shell.display_formatter.formatters
    monkeypatch.setitem(formatters, "text/plain", formatters["text/plain"])
    monkeypatch.setattr(pretty, "get_ipython", lambda: shell, raising=False)
    monkeypatch.setattr(shell, "ast_node_interactivity", "all")
    pretty.install()
    pieces = Pieces({}, "IPython.core.interactiveshell")
    assert ipython_shell.capture(interactiveshell, pieces) == {"interactivity": "all"}
    line = "the text formatter of rich stays in the notebook: print values as that library does"
    assert pieces.left_out == {"sys": [line]}
