"""The options of xarray (``xarray.set_options``)."""

import functools
import importlib.util
import sys
from typing import Any, Dict, Optional

from .libraries import apply_each, is_plain

OPTIONS = "xarray.core.options"


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the options that are not xarray's default."""
    defaults = _defaults()
    changed = {}
    for name, value in sys.modules[OPTIONS].OPTIONS.items():
        if value is not defaults.get(name) and value != defaults.get(name):
            changed[name] = value if is_plain(value) else pieces.pickled(f"xarray's option {name}", value)
    return changed or None


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Set the options that this version of xarray has."""
    apply_each("xarray's option", data, lambda name, value: module.set_options(**{name: value}))


@functools.lru_cache(None)
def _defaults() -> Dict[str, Any]:
    """Return the options of a new copy of the module that has them: xarray does not keep its defaults."""
    spec: Any = importlib.util.find_spec(OPTIONS)
    copy: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy)
    options: Dict[str, Any] = copy.OPTIONS
    return options
