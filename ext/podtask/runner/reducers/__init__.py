"""How objects travel that pickle and cloudpickle do not send as they are: one module for each kind of object.

The functions that rebuild an object are pickled by name, so both sides have this package. It imports the
standard library only, never changes an object that it reduces, and knows nothing of jobs and results.
"""

__all__ = [
    "classes",
    "containers",
    "enums",
    "identity",
    "library_objects",
    "rich_consoles",
    "source_functions",
    "typing_objects",
]
