"""The names that a cell has bound at its top level, from its statements and from the namespace before and after it.

An identity alone does not tell: ``x = 0`` executed again binds the same object. A statement alone does not, either:
the body of an ``if`` may not have been executed. So what is always executed counts as bound; everything else does if
the name refers to another object than before.
"""

import ast
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.AsyncFor)


class BoundNames(NamedTuple):
    """What a cell did to the names of its namespace.

    Attributes:
        bound: Names that it bound and that exist afterwards.
        deleted: Names that existed before and do not exist afterwards.
    """

    bound: List[str]
    deleted: List[str]


class BindingStatements:
    """The statements of a cell that bind names.

    Args:
        tree: The cell.
        namespace: Its namespace, before the cell is executed.
    """

    def __init__(self, tree: Any, namespace: Dict[str, Any]) -> None:
        self._before = _identities(namespace)
        self._names: List[Tuple[int, Set[str]]] = []  # last line of a statement, names that it always binds
        for statement in getattr(tree, "body", ()):
            names: Set[str] = set()
            _collect(statement, names)
            if names:
                self._names.append((statement.end_lineno or statement.lineno, names))

    def names_after(self, namespace: Dict[str, Any], failed_line: Optional[int] = None) -> BoundNames:
        """Return what the cell did, once it has ended.

        Args:
            namespace: Its namespace.
            failed_line: Line of the statement at the top level that raised an error; None if none did.
        """
        bound = {name for name, number in _identities(namespace).items() if self._before.get(name) != number}
        for line, names in self._names:
            if failed_line is None or line < failed_line:
                bound |= names
        return BoundNames(
            sorted(name for name in bound if name in namespace),
            sorted(name for name in self._before if name not in namespace),
        )


def failed_line(error: Optional[BaseException], namespace: Dict[str, Any]) -> Optional[int]:
    """Return the line of the statement of a cell that raised an error, None if there was none.

    Args:
        error: The error.
        namespace: Namespace of the cell.
    """
    trace = None if error is None else error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_globals is namespace and frame.f_code.co_name == "<module>":
            return trace.tb_lineno
        trace = trace.tb_next
    return None if error is None else 0  # nothing was executed, as far as is known


def _identities(namespace: Dict[str, Any]) -> Dict[str, int]:
    return {name: id(value) for name, value in namespace.items() if _is_own(name)}


def _is_own(name: str) -> bool:
    """Return whether a name is the user's, judging by how it begins: IPython sets ``_``, ``_i1`` and more."""
    return not name.startswith("_")


def _collect(node: Any, names: Set[str]) -> None:
    """Add the names that a piece of code binds or deletes whenever it is executed without an error.

    A loop counts as executed; a branch and an expression do not.
    """
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        names.add(node.name)
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    elif isinstance(node, ast.Name):
        names.add(node.id)
    else:
        for part in _binding_parts(node):
            _collect(part, names)


def _binding_parts(node: Any) -> List[Any]:
    """Return the targets of a statement and the statements in it that are always executed; the parts of a target."""
    if isinstance(node, LOOPS):
        return [node.target, *node.body]
    if hasattr(node, "handlers"):  # try, and the one of ``except*``
        return [*([] if node.handlers else node.body), *node.finalbody]
    if isinstance(node, (ast.With, ast.AsyncWith)):
        return [*(item.optional_vars for item in node.items), *node.body]
    if isinstance(node, (ast.Assign, ast.Delete)):
        return list(node.targets)
    if isinstance(node, ast.AugAssign) or (isinstance(node, ast.AnnAssign) and node.value is not None):
        return [node.target]
    if isinstance(node, (ast.Tuple, ast.List)):
        return list(node.elts)
    if isinstance(node, ast.Starred):
        return [node.value]
    return [node.name] if type(node).__name__ == "TypeAlias" else []  # since Python 3.12
