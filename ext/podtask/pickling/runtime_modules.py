"""Modules that code of the notebook created, such as ``sys.modules["config"] = types.ModuleType("config")``.

They have no file, so their values are sent.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import InputError
from ..runner.pickler import PROTOCOL
from ..runner.protocol import MODULE_OBJECT as OBJECT

NOT_SENT = {"__builtins__", "__spec__", "__loader__", "__package__", "__cached__"}
HINT = "Make the module in the cell, or send the values that the cell needs as variables."


def runtime_modules(roots: Iterable[str]) -> list[str]:
    """Return the modules without a file among the given top-level modules, with those below them."""
    made = {root for root in roots if is_runtime_module(sys.modules.get(root))}
    if not made:  # of nearly all cells; a kernel has some thousand modules
        return []
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in made and is_runtime_module(module)
    )


def is_runtime_module(module: object) -> bool:
    """Return whether a module comes from no file: code made it, or a loader of the user's own."""
    if module is None:
        return False
    if not isinstance(module, types.ModuleType):
        # For example a SimpleNamespace. A library may put an object of its own class in place of its module.
        return sys.modules.get(type(module).__module__.partition(".")[0]) is not module
    if module.__name__ in ("__main__", "__mp_main__"):
        return False
    spec = getattr(module, "__spec__", None)
    if spec is None:
        return not getattr(module, "__file__", None)
    return spec.origin is None and spec.submodule_search_locations is None


def pack_runtime_modules(names: Iterable[str], namespace: dict[str, Any], same: bool) -> dict[str, bytes]:
    """Return the pickled values of modules by name.

    Args:
        names: Names of modules from :func:`runtime_modules`.
        namespace: Globals of the notebook.
        same: Whether the pod has the notebook's minor version of Python, so that functions can be pickled.

    Raises:
        InputError: A value cannot be pickled.
    """
    packed = {}
    for name in names:
        module = sys.modules[name]
        if not isinstance(module, types.ModuleType):
            values = {OBJECT: module}
        else:
            values = {key: value for key, value in vars(module).items() if key not in NOT_SENT}
        try:
            packed[name] = _pickle(values, namespace, same)
        except Exception as error:  # noqa: BLE001 -- whatever a __reduce__ raises
            if OBJECT in values:
                continue  # such as a Mock in place of a library, which the pod may have
            raise _refusal(name, values, namespace, same, error) from None
    return packed


def _refusal(
    name: str, values: Mapping[str, Any], namespace: dict[str, Any], same: bool, error: Exception
) -> InputError:
    for key, value in values.items():
        try:
            _pickle({key: value}, namespace, same)
        except Exception as reason:  # noqa: BLE001 -- whatever a __reduce__ raises
            return InputError(
                f"The cell uses the module {name}, which was made at run time, and its {key} "
                f"({type(value).__name__}) cannot be sent: {reason}.",
                HINT,
            )
    return InputError(f"The cell uses the module {name}, which was made at run time: {error}.", HINT)


def _pickle(values: Mapping[str, Any], namespace: dict[str, Any], same: bool) -> bytes:
    if not same:
        for value in values.values():
            if isinstance(value, (type, types.FunctionType)) and is_runtime_module(
                sys.modules.get(value.__module__)
            ):
                raise TypeError("a definition without source cannot be sent to another version of Python")
        return pickle.dumps(values, PROTOCOL)
    # Start-up cost: loaded when it is first needed.
    import cloudpickle

    from ..runner.cloud_pickler import ModuleGlobals

    modules = [each for each in list(sys.modules.values()) if isinstance(each, types.ModuleType)]
    by_value = [each for each in modules if is_runtime_module(each)]
    file = io.BytesIO()
    pickler: Any = cloudpickle.Pickler(file, protocol=PROTOCOL)
    pickler.globals_ref[id(namespace)] = ModuleGlobals("__main__")
    for module in by_value:
        pickler.globals_ref[id(vars(module))] = ModuleGlobals(module.__name__)
        _by_value(module, True)
    try:
        pickler.dump(values)
    finally:
        for module in by_value:
            _by_value(module, False)
    return file.getvalue()


def _by_value(module: types.ModuleType, chosen: bool) -> None:
    # Start-up cost: loaded when it is first needed.
    import cloudpickle

    registry = cloudpickle.list_registry_pickle_by_value()
    if chosen and module.__name__ not in registry:
        cloudpickle.register_pickle_by_value(module)
    elif not chosen and module.__name__ in registry:
        cloudpickle.unregister_pickle_by_value(module)
