"""Pickles between notebook and worker: functions keep the one namespace they live in.

cloudpickle gives each function from a notebook globals of its own. Here such globals are
``__main__`` on the other side, so that functions see the cell's variables as in a kernel. Used
by both sides; cloudpickle is imported at the first use only.
"""

import pickle
import sys
from typing import Any, Dict

PROTOCOL = 5  # of the oldest Python in an image, 3.8+


class _Main(dict):  # type: ignore[type-arg]
    """Stands for the namespace in cloudpickle's table of globals; not empty, so it stays as is."""


def pickler(file: Any, namespace: Dict[str, Any], carry: bool) -> pickle.Pickler:
    """Returns a cloudpickle pickler for which ``namespace`` is the other side's ``__main__``.

    Args:
        file: where the pickle goes.
        namespace: the globals of the notebook, or of the worker.
        carry: True to send, with a function, the globals it reads; False to leave them behind
            (the other side has its own, and they must not change behind the user's back).
    """
    import cloudpickle

    main = _Main(main=True)

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if obj is main:
                return vars, (sys.modules["__main__"],)
            return super().reducer_override(obj)

        def _dynamic_function_reduce(self, func: Any) -> Any:
            reduced = super()._dynamic_function_reduce(func)
            if not carry and func.__globals__ is namespace:
                reduced[2][1]["__globals__"].clear()
            return reduced

    made: Any = Pickler(file, protocol=PROTOCOL)
    made.globals_ref[id(namespace)] = main
    return made  # type: ignore[no-any-return]
