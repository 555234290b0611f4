"""Objects that a module has once, such as ``sys.stdout``: pickled as their name, they are the other side's own."""

import pickle
import sys
import types
from typing import Any, Dict, List, Set, Tuple

# Always by name. The functions of random, such as ``randint``, are methods of the generator.
ALWAYS = (
    ("sys", "stdin"),
    ("sys", "stdout"),
    ("sys", "stderr"),
    ("sys", "__stdin__"),
    ("sys", "__stdout__"),
    ("sys", "__stderr__"),
    ("os", "environ"),  # its values may be secrets: a cell gets those of --env
    ("random", "_inst"),
    ("numpy.random.mtrand", "_rand"),
    # The actions in the tables of a parser, which it compares with ``is``.
    ("lark.parsers.lalr_analysis", "Shift"),
    ("lark.parsers.lalr_analysis", "Reduce"),
)
NEVER = ("builtins", "__main__")
# While a cell runs, IPython replaces the method ``write`` of stdout and stderr by this function, which keeps a history.
IPYTHON_WRITE = "InteractiveShell._tee.<locals>.write"

# The namespace of its package, the size of that when it was searched, and the names of its instances by id.
_by_type: Dict[type, Tuple[Dict[str, Any], int, Dict[int, str]]] = {}


class Singletons:
    """The objects that are pickled by name, as they are now."""

    def __init__(self) -> None:
        self._names: Dict[int, str] = {}
        self._trying: Set[int] = set()
        self._picklable: Set[int] = set()
        self._kept: List[Any] = []  # an id may not be used again
        for module, name in ALWAYS:
            obj = getattr(sys.modules.get(module), name, None)
            if obj is not None:
                self._names.setdefault(id(obj), _expression(module, name))

    def reduce(self, obj: Any) -> Any:
        """Return the reduced form of an object that goes by its name, else NotImplemented.

        An instance that a library has at the top of its package, such as ``loguru.logger``, goes by name if it
        cannot be pickled.
        """
        number = id(obj)
        if number in self._names:
            return eval, (self._names[number],)
        name = _instances(type(obj)).get(number)
        if name is None or number in self._picklable or number in self._trying:
            return NotImplemented
        self._kept.append(obj)
        if self._can_be_pickled(obj):
            self._picklable.add(number)
            return NotImplemented
        self._names[number] = name
        return eval, (name,)

    def _can_be_pickled(self, obj: Any) -> bool:
        self._trying.add(id(obj))
        try:
            pickle.dumps(obj)
        except Exception:  # whatever its __reduce__ raises
            return False
        finally:
            self._trying.discard(id(obj))
        return True


def is_stream_write(obj: Any) -> bool:
    """Return whether an object is IPython's replacement of ``sys.stdout.write`` or ``sys.stderr.write``."""
    return type(obj) is types.FunctionType and obj.__qualname__ == IPYTHON_WRITE


def reduce_stream_write(obj: Any) -> Any:
    """Return the reduced form of such a replacement: the method of the other side's stream."""
    variables = dict(zip(obj.__code__.co_freevars, obj.__closure__))  # noqa: B905 -- strict= is newer than Python 3.9
    stream = "stderr" if variables["channel"].cell_contents == "stderr" else "stdout"
    return eval, (f"{_expression('sys', stream)}.write",)


def _instances(kind: type) -> Dict[int, str]:
    """Return the names of the instances of a class that its package has, by their ids."""
    known = _by_type.get(kind)
    if known is not None and len(known[0]) == known[1]:
        return known[2]
    root = str(kind.__module__).partition(".")[0]
    skipped = root in NEVER or root in getattr(sys, "stdlib_module_names", ())
    names: Dict[str, Any] = {} if skipped else getattr(sys.modules.get(root), "__dict__", {})
    found = {id(each): _expression(root, name) for name, each in list(names.items()) if type(each) is kind}
    _by_type[kind] = names, len(names), found
    return found


def _expression(module: str, name: str) -> str:
    return f"__import__('importlib').import_module({module!r}).{name}"
