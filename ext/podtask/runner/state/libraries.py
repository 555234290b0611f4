"""The libraries whose state is sent with a cell, and the import hook that applies the state in the pod."""

import functools
import io
import sys
from typing import Any, Callable, Dict, List, Set, Tuple

from ..pickler import Unpickler

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"
# A module that the notebook has imported -> the module of this package that captures its state.
LIBRARIES = {
    "sys": "interpreter_limits",
    "csv": "csv_settings",
    "socket": "socket_timeout",
    "locale": "locale_categories",
    "logging": "logging_setup",
    "warnings": "warning_filters",
    "decimal": "decimal_context",
    "numpy": "numpy_printing",
    "pandas": "pandas_options",
    "polars": "polars_config",
    "sklearn": "sklearn_config",
    "matplotlib": "matplotlib_settings",
    "bokeh.io.state": "bokeh_output",
    "plotly.io._renderers": "plotly_settings",
    "plotly.io": "plotly_settings",
    "plotly.express._core": "plotly_settings",
    "altair": "altair_settings",
    "holoviews": "holoviews_extension",
    "panel": "panel_extension",
    "loguru": "loguru_handlers",
    "rich": "rich_console",
    "structlog": "structlog_configuration",
    "xarray": "xarray_options",
    "yaml": "yaml_tags",
    "IPython": "figure_formats",
    "IPython.core.interactiveshell": "ipython_shell",
}
# These change how the runner displays results. They are applied before the cell starts, because the image may
# lack the library.
APPLIED_AT_START = ("figure_formats", "ipython_shell")
# Generators of random numbers: their state also comes back to a notebook that waits for the cell.
GENERATORS = {"random": "random_numbers", "numpy.random": "numpy_random", "torch": "torch_random"}
Entry = Tuple[str, str, Any]  # module whose import applies it, module of this package, data
# In the data of a library, a value that is not plain: (PICKLED, minor version of Python, pickles). The version
# is empty if every Python can read it. LOST stands for a value that could not be pickled.
PICKLED = "<pickled>"
LOST = (PICKLED,)

failures: List[str] = []  # what could not be applied in this process, for the status line


@functools.lru_cache(None)
def library(name: str) -> Any:
    """Return a module of this package."""
    return __import__(f"{__package__}.{name}", fromlist=["apply"])


def is_plain(value: Any) -> bool:
    """Return whether a value is plain data, which every version of Python can read."""
    if type(value) in (list, tuple, set):
        return all(map(is_plain, value))
    if type(value) is dict:
        return all(map(is_plain, value.keys())) and all(map(is_plain, value.values()))
    return type(value) in (bool, int, float, str, bytes, type(None))


def value_of(data: Any) -> Any:
    """Return plain data itself, and the value of a piece that the notebook has pickled.

    A piece may need names of the notebook; those that the cell's namespace lacks are set there.

    Raises:
        Exception: Any error of unpickling: the pod lacks a module, say.
    """
    if type(data) is not tuple or data[:1] != (PICKLED,):
        return data
    _, minor, pickles = data  # LOST has neither: the caller has left it out
    if minor not in ("", MINOR):
        raise ValueError(f"it was pickled by Python {minor}")
    file = io.BytesIO(pickles)
    unpickler = Unpickler(file)
    value = unpickler.load()
    main = vars(sys.modules["__main__"])
    while file.tell() < len(pickles):
        name, needed = unpickler.load()
        main.setdefault(name, needed)
    return value


def apply_each(label: str, data: Dict[str, Any], call: Callable[[str, Any], Any]) -> None:
    """Call a function with each name and its value; record those that this version does not accept."""
    for name, value in data.items():
        if value != LOST:
            try:
                call(name, value_of(value))
            except Exception as error:
                failures.append(f"{label} {name} stays the pod's ({type(error).__name__}: {error})"[:200])


class StateImporter:
    """A finder that calls functions right after a module has been imported."""

    def __init__(self) -> None:
        self._calls: Dict[str, List[Callable[[Any], None]]] = {}
        self._busy: Set[str] = set()

    @property
    def is_unused(self) -> bool:
        """Whether no call waits for an import."""
        return not self._calls

    def after_import(self, name: str, call: Callable[[Any], None]) -> None:
        """Call a function with a module: now if it is imported, else right after its import."""
        module = sys.modules.get(name)
        if module is not None:
            call(module)
        else:
            self._calls.setdefault(name, []).append(call)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return another finder's spec of a module that somebody waits for, None for any other module."""
        if name not in self._calls or name in self._busy:
            return None
        self._busy.add(name)
        try:
            for finder in sys.meta_path:
                spec: Any = None if finder is self else finder.find_spec(name, path, target)
                if spec is not None:
                    if hasattr(spec.loader, "exec_module"):
                        spec.loader = _Loader(spec.loader, self._loaded)
                    return spec
        finally:
            self._busy.discard(name)
        return None

    def _loaded(self, module: Any) -> None:
        for call in self._calls.pop(module.__name__, ()):
            call(module)


class _Loader:
    """A loader that calls a function after it has loaded a module; otherwise the wrapped loader."""

    def __init__(self, loader: Any, loaded: Callable[[Any], None]) -> None:
        self._loader, self._loaded = loader, loaded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: Any) -> None:
        """Load the module, then call the function."""
        self._loader.exec_module(module)
        self._loaded(module)


class AppliedState:
    """The state of the notebook's libraries in the worker: applied to a library once it is imported.

    Args:
        sent: What the notebook has captured: ``entries``, ``notes`` by module, ``generators``, and ``fresh``,
            the generators whose seed the notebook has set and does not send.
    """

    def __init__(self, sent: Dict[str, Any]) -> None:
        self._notes: Dict[str, List[str]] = sent.get("notes", {})
        self._returned: List[str] = sent.get("generators", [])
        self._unsent_seeds: List[str] = sent.get("fresh", [])
        self.importer = StateImporter()
        self._before: Dict[str, Any] = {}  # states of generators, by module
        self._sent: List[Entry] = sent.get("entries", [])

    def install(self) -> None:
        """Apply what concerns modules that are imported already, and wait for the others."""
        sys.meta_path.insert(0, self.importer)
        for name, file, data in self._sent:
            if file in APPLIED_AT_START:
                self._apply(file, data, None)
            else:
                self.importer.after_import(name, functools.partial(self._apply, file, data))
        for name in {*self._unsent_seeds, *self._returned}:
            self.importer.after_import(name, functools.partial(self._remember, name))

    def uninstall_unused(self) -> None:
        """Stop looking at imports if nothing waits for one: in a session each cell installs its state."""
        if self.importer.is_unused and self.importer in sys.meta_path:
            sys.meta_path.remove(self.importer)

    def report(self) -> Dict[str, Any]:
        """Return the states that go back to the notebook, by module, and lines for the user."""
        now = {name: self._capture(name, sys.modules[name]) for name in self._before}
        drawn = [name for name, state in now.items() if state != self._before[name]]
        notes = [line for name, lines in self._notes.items() if name in sys.modules for line in lines]
        notes += [
            f"{name} was seeded in the notebook, but a task that runs in the background starts with fresh "
            "random numbers: seed it in the cell"
            for name in drawn
            if name in self._unsent_seeds
        ]
        back = {name: now[name] for name in drawn if name in self._returned and now[name] is not None}
        return {"state": back, "notes": [*notes, *failures]}

    def _apply(self, file: str, data: Any, module: Any) -> None:
        try:
            library(file).apply(module, data)
        except Exception as error:
            failures.append(
                f"{file.replace('_', ' ')} of the notebook: {type(error).__name__}: {error}"[:200]
            )

    def _remember(self, name: str, module: Any) -> None:
        self._before[name] = self._capture(name, module)

    def _capture(self, name: str, module: Any) -> Any:
        return library(GENERATORS[name]).capture(module, None)
