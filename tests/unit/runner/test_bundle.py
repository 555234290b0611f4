"""The program that is sent to a pod as text."""

import ast
import sys

from podtask.runner import protocol
from podtask.runner.bundle import boot_program


def test_the_boot_program_imports_the_standard_library_only() -> None:
    """boot.py imports only the standard library, because podtask is not in the image."""
    nodes = list(ast.walk(ast.parse(boot_program())))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= sys.stdlib_module_names
    assert not [node for node in nodes if isinstance(node, ast.ImportFrom)]


def test_the_boot_program_has_the_exit_codes_of_the_protocol() -> None:
    """The exit codes in boot.py equal those in the protocol."""
    calls = [node for node in ast.walk(ast.parse(boot_program())) if isinstance(node, ast.Call)]
    codes = {ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "sys.exit"}
    assert codes == {
        protocol.EXIT_OLD_PYTHON,
        protocol.EXIT_PORT_TAKEN,
        protocol.EXIT_NO_CLIENT,
    }
