"""Execute the source of a cell: its statements, then its last expression, whose value is returned.

A cell with a top-level ``await`` runs in one event loop. Other cells find a loop in which they can start tasks.
"""

import ast
import types
from typing import Any, Dict, List, Optional

from . import event_loop
from .leftovers import LEFTOVER_SECONDS

CO_COROUTINE = 0x80  # inspect.CO_COROUTINE


class CompiledCell:
    """A compiled cell.

    Args:
        source: Source of the cell.
        filename: File name in tracebacks.
        quiet: Whether to drop the value of a last expression.
        flags: Compiler flags of ``__future__`` imports.
        interactivity: Which expressions are displayed, as IPython's ``ast_node_interactivity``.
        stays: Whether the asyncio tasks that it starts go on when it has ended.

    Raises:
        SyntaxError: The source does not compile in this version of Python.
    """

    def __init__(
        self,
        source: str,
        filename: str,
        quiet: bool,
        flags: int = 0,
        interactivity: str = "last_expr",
        stays: bool = False,
    ) -> None:
        self._stays = stays
        self.running_tasks: List[str] = []  # asyncio tasks that still run when the cell has ended
        tree = ast.parse(source, filename)
        last: Optional[ast.Expr] = None
        if interactivity == "last_expr_or_assign" and not quiet:
            tree.body += _assigned_name(tree.body)
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not quiet and interactivity != "none":
            last = tree.body.pop()  # type: ignore[assignment]
        flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        # The displayed statements run one by one: compiled as "single", they call sys.displayhook.
        single = 0
        if not quiet and interactivity in ("all", "last"):
            single = len(tree.body) if interactivity == "all" else 1 if last is None else 0
        shown = tree.body[len(tree.body) - single :] if single else []
        del tree.body[len(tree.body) - len(shown) :]
        self._parts = [compile(tree, filename, "exec", flags, dont_inherit=True)]
        for node in shown:
            self._parts.append(compile(ast.Interactive([node]), filename, "single", flags, dont_inherit=True))
        if last is not None:
            value = ast.Expression(last.value)
            self._parts.append(compile(value, filename, "eval", flags, dont_inherit=True))

    def run(self, namespace: Dict[str, Any]) -> Any:
        """Return the value of the last expression, None if there is none."""
        if any(_awaits(part) for part in self._parts):
            # Start-up cost: the import takes longer than most cells.
            import asyncio

            if self._stays:
                return event_loop.run(self._run_parts(namespace))
            return asyncio.run(self._run_in_loop(namespace))
        value = None
        try:
            for part in self._parts:
                value = eval(part, namespace)
        finally:
            if not self._stays:
                self.running_tasks = event_loop.finish(LEFTOVER_SECONDS)
        return value

    async def _run_parts(self, namespace: Dict[str, Any]) -> Any:
        """Execute the parts in this loop; return the value of the last expression."""
        value = None
        for part in self._parts:
            value = eval(part, namespace)
            if _awaits(part):
                value = await value
        return value

    async def _run_in_loop(self, namespace: Dict[str, Any]) -> Any:
        """Execute the parts in this loop; wait a second for asyncio tasks that they leave behind."""
        # Start-up cost: loaded when it is first needed.
        import asyncio

        value = await self._run_parts(namespace)
        unfinished = asyncio.all_tasks() - {asyncio.current_task()}
        if unfinished:
            unfinished = (await asyncio.wait(unfinished, timeout=LEFTOVER_SECONDS))[1]
        self.running_tasks = [f"asyncio task {task.get_name()!r}" for task in unfinished]
        return value


def _assigned_name(body: List[ast.stmt]) -> List[ast.stmt]:
    """Return an expression that reads the name that the last statement assigns; nothing for other statements."""
    node = body[-1] if body else None
    targets: List[Any] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets = [node.target]
    if len(targets) != 1 or not isinstance(targets[0], ast.Name) or getattr(node, "value", None) is None:
        return []
    name = ast.Expr(ast.Name(targets[0].id, ast.Load()))
    return [ast.fix_missing_locations(ast.copy_location(name, targets[0]))]


def _awaits(code: types.CodeType) -> bool:
    return bool(code.co_flags & CO_COROUTINE)
