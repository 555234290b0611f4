"""What ``import`` finds in the worker beside the image's own modules.

In front of them: cloudpickle and the parts of the runner that are loaded late, both as they
travelled. Behind them: a stand-in for IPython, where there is none. And where there is one, or
matplotlib, it is told that what it shows is shown by us; tqdm, that no widgets move.
"""

import builtins
import os
import sys
from typing import Any, Callable, Dict

PACKAGE = (__package__ or "").rpartition(".")[0]
INLINE_BACKEND = "module://matplotlib_inline.backend_inline"  # a kernel's own choice, not its user's
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
    """Put the two finders around those of the image, and ``get_ipython`` beside the builtins.

    Args:
        frontend: shows things.
    """
    sys.meta_path.insert(0, BundleFinder(frontend))
    sys.meta_path.append(StubFinder(frontend))
    builtins.get_ipython = get_ipython  # type: ignore[attr-defined]


def get_ipython() -> Any:
    """Return the stand-in for IPython's shell, which is loaded at the first call."""
    from ..ipython import shell  # start-up cost: few cells ask for it

    return shell.get_ipython()


def _module_spec(name: str, loader: Any, package: bool) -> Any:
    from importlib.machinery import ModuleSpec

    return ModuleSpec(name, loader, is_package=package)


class BundleFinder:
    """Finds what came with the runner, before any copy of the image's.

    Pickles are not compatible between cloudpickle's major versions, so both ends use the
    notebook's.
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
        """Leaves the making to the import system."""

    def exec_module(self, module: Any) -> None:
        source = sys.modules[PACKAGE].bundled[module.__name__]
        exec(sys.modules[PACKAGE].code(source, module.__name__), module.__dict__)


def _wrap(loader: Any, wrap: Callable[..., None], frontend: Any) -> None:
    load = loader.exec_module
    loader.exec_module = lambda module: wrap(load, module, frontend)


class StubFinder:
    """Finds IPython and podtask where the image has none: cells and libraries import them."""

    def __init__(self, frontend: Any) -> None:
        self._frontend = frontend

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name == "podtask":
            return _module_spec(name, self, package=False)
        return _module_spec(name, self, package=True) if name in STUBBED_MODULES else None

    def create_module(self, spec: Any) -> Any:
        if spec.name == "podtask":
            return None
        from ..ipython import modules

        return modules.stub_module(spec.name, self._frontend)

    def exec_module(self, module: Any) -> None:
        """Fills podtask's stand-in; IPython's is complete as it was made."""
        if module.__name__ == "podtask":
            source = sys.modules[PACKAGE].bundled[f"{PACKAGE}.podtask_stub"]
            exec(sys.modules[PACKAGE].code(source, "podtask_stub"), module.__dict__)


def _set_matplotlib_backend(load: Callable[[Any], None], module: Any, frontend: Any) -> None:
    """Sets the backend while matplotlib reads it, so that no child process inherits ours."""
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
    """Gives the real IPython, in which no shell runs, our display."""
    load(module)
    from ..ipython import modules

    ours = modules.display_functions(frontend)
    for name in ("display", "clear_output", "publish_display_data"):
        if name in vars(module):
            setattr(module, name, ours[name])


def _replace_get_ipython(load: Callable[[Any], None], module: Any, frontend: Any) -> None:
    load(module)
    from ..ipython import shell

    module.get_ipython = shell.get_ipython


def _use_text_progress_bars(load: Callable[[Any], None], module: Any, frontend: Any) -> None:
    """Gives who asks for tqdm's bars that are widgets those that are text: no widget moves here."""
    load(module)
    std = sys.modules["tqdm.std"]

    class tqdm(std.tqdm):  # type: ignore[misc,name-defined]  # noqa: N801 -- tqdm's name
        __doc__ = std.tqdm.__doc__

        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("display", None)  # of widgets only
            if isinstance(options.get("ncols"), str):
                del options["ncols"]  # a width in CSS
            super().__init__(*args, **options)

    module.tqdm = module.tqdm_notebook = tqdm
    module.trange = module.tnrange = lambda *args, **options: tqdm(range(*args), **options)


WRAPPED: Dict[str, Callable[..., None]] = {
    "matplotlib": _set_matplotlib_backend,
    "IPython.core.display_functions": _replace_display,
    "IPython.core.display": _replace_display,
    "IPython.core.getipython": _replace_get_ipython,
    "tqdm.notebook": _use_text_progress_bars,
}
