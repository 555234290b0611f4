"""Offer joblib the backend "podtask" once joblib is imported; podtask itself never imports it.

``joblib.parallel_config("podtask")`` works without a line that registers the backend, in whatever order the notebook
imports the two. This module is part of ``import podtask``, so that it imports next to nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

JOBLIB = "joblib.parallel"


def offer_backend() -> None:
    """Offer the backend now if joblib was imported, or else as soon as it is."""
    if JOBLIB in sys.modules:
        _offer(sys.modules[JOBLIB])
    elif not any(isinstance(each, JoblibFinder) for each in sys.meta_path):
        sys.meta_path.insert(0, JoblibFinder())


def _offer(module: ModuleType) -> None:
    """Let joblib call :func:`_register` when the backend is first named."""
    external = getattr(module, "EXTERNAL_BACKENDS", None)
    if isinstance(external, dict):
        external.setdefault("podtask", _register)


def _register() -> None:
    # joblib is optional, and this is only called by it.
    import joblib

    from .joblib_backend import PodtaskBackend

    joblib.register_parallel_backend("podtask", PodtaskBackend)


class JoblibFinder:
    """Finds joblib as the other finders do, and offers it the backend after it has been imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return another finder's spec of joblib, None for any other module."""
        if name != JOBLIB:
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    loader: Any = OfferingLoader(spec.loader)
                    spec.loader = loader
                return spec
        return None


class OfferingLoader:
    """The loader of joblib, which offers it the backend afterwards.

    Args:
        loader: The loader that does the work.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        """Load the module, and offer it the backend."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _offer(module)
