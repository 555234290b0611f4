"""Build the program that is sent to a new runner: its modules and cloudpickle, as one text."""

from __future__ import annotations

import ast
import functools
import marshal
import re
import sys
import zlib
from pathlib import Path
from typing import Any

from . import protocol

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"  # the notebook's version of Python
FOLDER = Path(__file__).parent
MARSHAL_VERSION = 2  # every Python reads it; byte code in it has the version of this Python
# The modules that every cell needs, in the order of their imports.
MODULES = (
    "protocol",
    "debug_log",
    "streams",
    "proxy_objects",
    "caches",
    "caches",
    "reducers.identity",
    "reducers.classes",
    "reducers.enums",
    "reducers.typing_objects",
    "reducers.library_objects",
    "singletons",
    "pickler",
    "ipython.display",
    "state.libraries",
    "worker.describe_error",
    "worker.module_values",
    "worker.inputs",
    "worker.leftovers",
    "worker.fingerprint",
    "worker.definition_changes",
    "worker.changes",
    "worker.outputs",
    "worker.event_loop",
    "worker.import_path",
    "worker.import_hooks",
    "worker.execute",
    "worker.shutdown",
    "worker.main",
    "supervisor.temporary_files",
    "supervisor.spool",
    "supervisor.worker_process",
    "supervisor.uploads",
    "supervisor.connection",
    "supervisor.clients",
    "supervisor.results",
    "supervisor.usage",
    "supervisor.container_log",
    "supervisor.batch_log",
    "supervisor.enclosure",
    "supervisor.verdict",
    "supervisor.execution",
    "supervisor.main",
)
# The modules that few cells need: sent with the others, loaded at their first import.
LATE_MODULES = (
    "bound_names",
    "merging_unpickler",
    "stamps",
    "value_summary",
    "worker.shared_names",
    "ipython.pretty_printer",
    "ipython.pretty",
    "supervisor.record_writer",
    "supervisor.webhook",
    "supervisor.session",
    "supervisor.stack_dump",
    "worker.session",
    "worker.questions",
    "supervisor.items",
    "worker.items",
    "plain_items",
    "durations",
    "notification",
    "results_file",
    "ipython.shell_command",
    "ipython.shell",
    "ipython.display_classes",
    "ipython.modules",
    "ipython.output_widget",
    "ipython.matplotlib_backend",
    "podtask_stub",
    "cloud_pickler",
    "safe_text",
    "worker.frame_sources",
    "worker.pip_install",
    "worker.plain_values",
    "worker.local_modules",
    "worker.module_snapshots",
    "reducers.argparse_actions",
    "reducers.asyncio_objects",
    "reducers.bokeh_models",
    "reducers.containers",
    "reducers.context_variables",
    "reducers.descriptors",
    "reducers.exceptions",
    "reducers.extended_types",
    "reducers.mock_calls",
    "reducers.rich_consoles",
    "reducers.source_functions",
    "reducers.struct_formats",
    "reducers.views",
    "reducers.weak_collections",
    "reducers.weak_references",
    "state.altair_settings",
    "state.bokeh_output",
    "state.csv_settings",
    "state.decimal_context",
    "state.figure_formats",
    "state.holoviews_extension",
    "state.interpreter_limits",
    "state.ipython_shell",
    "state.locale_categories",
    "state.logging_setup",
    "state.loguru_handlers",
    "state.matplotlib_settings",
    "state.numpy_printing",
    "state.numpy_random",
    "state.pandas_options",
    "state.panel_extension",
    "state.plotly_settings",
    "state.polars_config",
    "state.random_numbers",
    "state.rich_console",
    "state.sklearn_config",
    "state.socket_timeout",
    "state.structlog_configuration",
    "state.torch_random",
    "state.warning_filters",
    "state.xarray_options",
    "state.yaml_tags",
)


class _Shortener(ast.NodeTransformer):
    """A transformer for a shorter program.

    It drops annotations, replaces the names which a module imports from ``protocol`` by their values, and joins
    imports that follow each other.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """Join the imports that follow each other."""
        self.generic_visit(node)
        joined: list[ast.stmt] = []
        for statement in node.body:
            if isinstance(statement, ast.Import) and joined and isinstance(joined[-1], ast.Import):
                joined[-1].names += statement.names
            else:
                joined.append(statement)
        node.body = joined
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
        """Drop the imports from ``protocol`` and of types; keep any other."""
        if node.module == "collections.abc":
            return None
        if (node.level, node.module) != (1, "protocol"):
            return node
        self._values.update({alias.name: getattr(protocol, alias.name) for alias in node.names})
        return None

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop the types of a function."""
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        """Drop the type of a parameter."""
        return ast.arg(node.arg)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Drop the type of a variable."""
        assert node.value is not None
        return self.generic_visit(ast.Assign([node.target], node.value, lineno=node.lineno))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Replace an imported name."""
        return ast.Constant(self._values[node.id]) if node.id in self._values else node


@functools.cache
def boot_program() -> str:
    """Return the first program of the primary container.

    It is ``boot.py`` without comments, types and imports of podtask, and indented by one space.
    """
    tree = ast.parse((FOLDER / "boot.py").read_text())
    tree.body.pop(0)  # the docstring
    text = ast.unparse(_Shortener().visit(tree))
    return re.sub("^ +", lambda spaces: " " * (len(spaces[0]) // 4), text, flags=re.MULTILINE)


# Creates the packages and modules in memory, then starts the supervisor.
LOADER = f"""
import marshal, sys, types
PACKAGES, SOURCES, BUNDLED = marshal.loads(modules)
def code(source, name):
    if isinstance(source, bytes):
        return marshal.loads(source)
    return compile(source, '{protocol.RUNNER_FILENAME}/' + name.replace('.', '/') + '.py', 'exec')
def add(name, package):
    module = types.ModuleType(name)
    parent, _, last = name.rpartition('.')
    module.__package__ = parent
    if package:
        module.__package__, module.__path__ = name, []
    sys.modules[name] = module
    if parent:
        setattr(sys.modules[parent], last, module)
    return module
root = add('_podtask_runner', True)
root.code, root.bundled = code, BUNDLED
for name in PACKAGES:
    add('_podtask_runner.' + name, True)
for name, source in SOURCES.items():
    exec(code(source, name), add('_podtask_runner.' + name, False).__dict__)
root.supervisor.main.main(*start)
"""


@functools.cache
def runner_program(compiled: bool) -> bytes:
    """Return the program that is sent to a new runner: its modules and cloudpickle.

    Args:
        compiled: Send byte code of this Python's minor version, which saves the pod about 50 ms.
    """
    # Start-up cost: loaded when it is first needed.
    import cloudpickle

    def compiled_source(path: Path, name: str) -> str | bytes:
        text = path.read_text()
        if not compiled:
            return text
        return marshal.dumps(compile(text, f"{protocol.RUNNER_FILENAME}/{name}.py", "exec", optimize=2))

    def compiled_module(name: str) -> str | bytes:
        path = name.replace(".", "/")
        return compiled_source(FOLDER / f"{path}.py", path)

    packages = sorted({name.partition(".")[0] for name in MODULES if "." in name})
    sources = {name: compiled_module(name) for name in MODULES}
    cloudpickle_folder = Path(cloudpickle.__file__).parent
    bundled = {"cloudpickle": compiled_source(cloudpickle_folder / "__init__.py", "cloudpickle")}
    for path in sorted(cloudpickle_folder.glob("cloudpickle*.py")):
        name = f"cloudpickle.{path.stem}"
        bundled[name] = compiled_source(path, name)
    for name in LATE_MODULES:
        bundled[f"_podtask_runner.{name}"] = compiled_module(name)
    modules = marshal.dumps((packages, sources, bundled), MARSHAL_VERSION)
    return zlib.compress(LOADER.encode() + protocol.PROGRAM_SEPARATOR + modules)
