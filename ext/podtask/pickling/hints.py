"""What may mend an error of a cell: names that the notebook has and the pod has not. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Mapping

UNKNOWN = re.compile(r"(?:name|local variable) '(\w+)' is not defined$")
NO_ATTRIBUTE = re.compile(r"module '__main__' has no attribute '(\w+)'$")
BY_TEXT = re.compile(r"\b(?:globals|locals|vars)\(\)")


def missing_module_hint(error: ModuleNotFoundError) -> str:
    """Return what may mend it that the image lacks a module, in a line."""
    root, inner, _ = (error.name or "").partition(".")
    version = getattr(sys.modules.get(root), "__version__", None)
    of = of_it = ""
    # A package of another version is there, as numpy 1 is for the arrays of numpy 2.
    if inner and isinstance(version, str):
        of, of_it = f" of {root}, which is {version} in the notebook", " in that version"
    return (
        f"The image lacks this module{of}: install it{of_it} with --pip, or name an image that "
        "has it with --image."
    )


def missing_name(error: BaseException, source: str) -> str:
    """Return the name that an error says is not there; empty for another error.

    Args:
        error: of the cell.
        source: of the cell.
    """
    kind = type(error)
    args: tuple[object, ...] = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    words = args[0] if args else ""
    if type(words) is not str:
        return ""
    # The words of the user's own classes are theirs; pandas' is of df.query("a > @name").
    if kind is NameError or (
        kind.__name__ == "UndefinedVariableError" and kind.__module__.startswith("pandas.")
    ):
        found = UNKNOWN.match(words)
    elif kind is AttributeError:
        found = NO_ATTRIBUTE.match(words)
    elif kind is KeyError and BY_TEXT.search(source):  # "{name}".format(**globals())
        return words
    else:
        return ""
    return found[1] if found else ""


def missing_name_hint(
    name: str, namespace: Container[str], sent: Mapping[str, object], left_out: Mapping[str, str]
) -> str:
    """Return what may mend that a name is missing, in a line; empty where nothing is known.

    Args:
        name: of the value.
        namespace: of the notebook.
        sent: what the cell was given.
        left_out: name -> why, of what was not sent since the cell may set it.
    """
    if name in left_out:
        return (
            f"The notebook's {name} cannot be sent ({left_out[name]}), and the cell had not yet set its own."
        )
    if name not in namespace or name in sent:
        return ""
    return (
        f"The notebook has {name}, but the cell's text does not show that it reads it: "
        f"send it with -i {','.join([*sent, name])}."
    )
