"""Hints for errors of a cell: modules and names that the notebook has and the pod lacks."""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterable, Mapping

from .local_modules import is_local_module

UNKNOWN = re.compile(r"(?:name|local variable) '(\w+)' is not defined$")
NO_ATTRIBUTE = re.compile(r"module '__main__' has no attribute '(\w+)'$")
BY_TEXT = re.compile(r"\b(?:globals|locals|vars)\(\)")
_left_names: dict[str, str] = {}  # name -> where an earlier cell set it, without bringing it back


def missing_module_hint(error: ModuleNotFoundError, local: bool = False) -> str:
    """Return a one-line hint for a missing module; empty if there is none.

    Args:
        error: Error raised by the cell.
        local: Whether the cell ran on this machine, which lacks no module because of an image.
    """
    root, inner, _ = (error.name or "").partition(".")
    if is_local_module(root):
        return (
            f"This is a module of your own, which is sent if the cell imports it by name: add 'import {root}' "
            "to the cell."
        )
    archive = getattr(getattr(sys.modules.get(root), "__loader__", None), "archive", "")
    if archive:
        return (
            f"The notebook imports it from {archive}, which is not sent. Unpack it into a folder on sys.path."
        )
    if local:
        return ""
    version = getattr(sys.modules.get(root), "__version__", None)
    package = wanted = ""
    # The image has the package in another version, such as numpy 1 for arrays of numpy 2.
    if inner and isinstance(version, str):
        package, wanted = f" of {root}, which is {version} in the notebook", " in that version"
    elif root == "pyarrow" and "pandas" in sys.modules:
        package = ", in which the notebook's pandas keeps texts of tables"
    return (
        f"The image lacks this module{package}. Install it{wanted} with --pip, or choose "
        "an image that has it with --image."
    )


def missing_name(error: BaseException, source: str) -> str:
    """Return the undefined name that an error is about; empty for any other error.

    Args:
        error: Error raised by the cell.
        source: Source of the cell.
    """
    kind = type(error)
    args: tuple[object, ...] = BaseException.args.__get__(error)  # type: ignore[attr-defined]
    words = args[0] if args else ""
    if type(words) is not str:
        return ""
    # Subclasses defined by users may have any message. pandas raises its own for df.query("a > @b").
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


def remember_left_names(names: Iterable[str], where: str, returned: Iterable[str] = ()) -> None:
    """Remember the names that a cell has set and not brought back.

    Args:
        names: The names.
        where: Where they are: "the pod of cell [6]".
        returned: Names that the cell has brought back: an older cell does not matter any more.
    """
    for name in returned:
        _left_names.pop(name, None)
    _left_names.update(dict.fromkeys(names, where))


def left_name_hint(name: str) -> str:
    """Return a one-line hint for an undefined name that an earlier cell has set; empty if there is none."""
    where = _left_names.get(name)
    return f"{name} was set in {where}, and stayed there: run that cell with -o {name}." if where else ""


def missing_name_hint(
    name: str, namespace: Container[str], sent: Mapping[str, object], left_out: Mapping[str, str]
) -> str:
    """Return a one-line hint for an undefined name; empty if there is none.

    Args:
        name: Name that is not defined.
        namespace: Globals of the notebook.
        sent: Values that were sent to the cell.
        left_out: Reasons for values that were not sent because the cell may set them, by name.
    """
    if name in left_out:
        return (
            f"The notebook's {name} cannot be sent ({left_out[name]}), and the cell had not set the name yet."
        )
    if name not in namespace or name in sent:
        return ""
    return (
        f"The notebook has {name}, but it was not sent because the cell does not mention it as a name. "
        f"Send it with -i {','.join([*sent, name])}."
    )
