"""The import hooks of the worker.

One finder comes before those of the image. It finds cloudpickle and the late modules of the runner in the
bundle. Another one comes after them. It finds replacements for IPython and podtask if the image lacks these
packages. If the image has IPython or matplotlib, their output is redirected to the notebook. tqdm uses text
in place of widgets.
"""

import builtins
import os
import sys
from typing import Any, Callable, Dict

from . import event_loop, import_path

PACKAGE = (__package__ or "").rpartition(".")[0]
# Set by the kernel itself, so it is not a choice of the user.
INLINE_BACKEND = "module://matplotlib_inline.backend_inline"
BACKEND = f"module://{PACKAGE}.ipython.matplotlib_backend"
STUBBED_MODULES = {
    "IPython",
    "IPython.display",
    "IPython.core",
    "IPython.core.display",
    "IPython.utils",
    "IPython.core.display_functions",
    "IPython.core.getipython",
    "IPython.utils.text",
}


def install(frontend: Any) -> None:
    """Install the two finders around those of the image, and IPython's two builtins.

    Args:
        frontend: Displays objects.
    """
    # The worker of a session inherits those of its supervisor; two of them would ask each other for ever.
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, (BundleFinder, StubFinder))]
    sys.meta_path.insert(0, BundleFinder(frontend))
    sys.meta_path.append(StubFinder(frontend))
    builtins.get_ipython = get_ipython  # type: ignore[attr-defined]
    builtins.__IPYTHON__ = True  # type: ignore[attr-defined]


def get_ipython() -> Any:
    """Return the replacement for IPython's shell, which is loaded at the first call."""
    # Start-up cost: few cells need it.
    from ..ipython import shell

    return shell.get_ipython()


def _module_spec(name: str, loader: Any, package: bool) -> Any:
    # Its class without an import of importlib.machinery, which the cell's folders may hide.
    return type(sys.__spec__)(name, loader, is_package=package)


class BundleFinder:
    """The finder of the bundle's modules; it comes before any copy in the image.

    Pickles are not compatible between major versions of cloudpickle, so both sides use the notebook's.
    """

    def __init__(self, frontend: Any) -> None:
        self._frontend = frontend

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name in sys.modules[PACKAGE].bundled:
            return _module_spec(name, self, name == "cloudpickle")
        wrap = WRAPPED.get(name)
        if wrap is None:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if not isinstance(finder, StubFinder):
                    _wrap(spec.loader, wrap, self._frontend)
                return spec
        return None

    def create_module(self, spec: Any) -> None:
        """Use the default module creation."""

    def exec_module(self, module: Any) -> None:
        source = sys.modules[PACKAGE].bundled[module.__name__]
        with import_path.standard_library_first():
            exec(sys.modules[PACKAGE].code(source, module.__name__), module.__dict__)


def _wrap(loader: Any, wrap: Callable[..., None], frontend: Any) -> None:
    load = loader.exec_module
    loader.exec_module = lambda module: wrap(load, module, frontend)


class StubFinder:
    """The finder of replacements for IPython and podtask, if the image lacks these packages."""

    def __init__(self, frontend: Any) -> None:
        self._frontend = frontend

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name == "podtask":
            return _module_spec(name, self, package=False)
        return _module_spec(name, self, package=True) if name in STUBBED_MODULES else None

    def create_module(self, spec: Any) -> Any:
        if spec.name == "podtask":
            return None
        # Start-up cost: loaded when it is first needed.
        from ..ipython import modules

        return modules.stub_module(spec.name, self._frontend)

    def exec_module(self, module: Any) -> None:
        """Execute the replacement for podtask; the one for IPython is complete already."""
        if module.__name__ == "podtask":
            source = sys.modules[PACKAGE].bundled[f"{PACKAGE}.podtask_stub"]
            exec(sys.modules[PACKAGE].code(source, "podtask_stub"), module.__dict__)


def _set_matplotlib_backend(load: Callable[[Any], None], module: Any, frontend: Any) -> None:
    """Set the backend only while matplotlib reads it, so that child processes do not inherit it."""
    before = os.environ.get("MPLBACKEND")
    if before not in (None, "", INLINE_BACKEND):
        load(module)
        return
    os.environ["MPLBACKEND"] = BACKEND
    try:
        load(module)
    finally:
        del os.environ["MPLBACKEND"]


def _replace_display(load: Callable[[Any], None], module: Any, frontend: Any) -> None:
    """Replace the display functions of the real IPython, in which no shell is running."""
    load(module)
    # Start-up cost: loaded when it is first needed.
    from ..ipython import modules

    replacements = modules.display_functions(frontend)
    for name in ("display", "clear_output", "publish_display_data"):
        if name in vars(module):
            setattr(module, name, replacements[name])


def _replace_get_ipython(load: Callable[[Any], None], module: Any, frontend: Any) -> None:
    load(module)
    # Start-up cost: loaded when it is first needed.
    from ..ipython import shell

    module.get_ipython = shell.get_ipython


def _use_text_progress_bars(load: Callable[[Any], None], module: Any, frontend: Any) -> None:
    """Replace tqdm's widget bars by text bars: a pod cannot update widgets."""
    load(module)
    std = sys.modules["tqdm.std"]

    class tqdm(std.tqdm):  # type: ignore[misc,name-defined]  # noqa: N801 -- tqdm's name
        __doc__ = std.tqdm.__doc__

        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("display", None)  # an option of the widget
            if isinstance(options.get("ncols"), str):
                del options["ncols"]  # a width in CSS, such as "100%"
            super().__init__(*args, **options)

    module.tqdm = module.tqdm_notebook = tqdm
    module.trange = module.tnrange = lambda *args, **options: tqdm(range(*args), **options)


def _provide_event_loop(load: Callable[[Any], None], module: Any, frontend: Any) -> None:
    load(module)
    event_loop.provide()


def _show_outputs_as_displays(load: Callable[[Any], None], module: Any, frontend: Any) -> None:
    load(module)
    # Start-up cost: loaded when it is first needed.
    from ..ipython import output_widget

    output_widget.replace_methods(module.Output, frontend)


WRAPPED: Dict[str, Callable[..., None]] = {
    "asyncio": _provide_event_loop,
    "matplotlib": _set_matplotlib_backend,
    "IPython.core.display_functions": _replace_display,
    "IPython.core.display": _replace_display,
    "IPython.core.getipython": _replace_get_ipython,
    "ipywidgets.widgets.widget_output": _show_outputs_as_displays,
    "tqdm.notebook": _use_text_progress_bars,
}
