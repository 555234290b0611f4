"""Inline script metadata in a cell (PEP 723): its Python version and packages. Pure.

Source: https://packaging.python.org/en/latest/specifications/inline-script-metadata/
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from ..errors import InputError

METADATA_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
VERSION_CLAUSE = re.compile(r"\s*(?P<sign>==|!=|<=|>=|~=|<|>)\s*(?P<version>\d+(\.\d+)*)(?P<any>\.\*)?\s*")
PYTHON_VERSIONS = [f"3.{minor}" for minor in range(14, 8, -1)]  # versions with a default image, newest first


@dataclass(frozen=True)
class ScriptMetadata:
    """The script metadata of a cell.

    Args:
        python: Value of ``requires-python``; empty if not given.
        packages: Value of ``dependencies``.
    """

    python: str = ""
    packages: tuple[str, ...] = ()

    @classmethod
    def parse(cls, source: str) -> ScriptMetadata:
        """Return the metadata in a source text; without a metadata block it is empty.

        Raises:
            InputError: There are two blocks, or the block is invalid.
        """
        blocks = [each for each in METADATA_BLOCK.finditer(source) if each["type"] == "script"]
        if not blocks:
            return cls()
        if len(blocks) > 1:
            raise InputError(f"The cell has {len(blocks)} blocks of script metadata.", "Keep only one.")
        if sys.version_info >= (3, 11):
            # Start-up cost: loaded when it is first needed.
            import tomllib
        else:
            # Start-up cost: loaded when it is first needed.
            import tomli as tomllib
        lines = blocks[0]["content"].splitlines()
        try:
            table = tomllib.loads("\n".join(line[2:] for line in lines))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"The cell's script metadata is not valid TOML: {error}", "Fix it.") from None
        python, packages = table.get("requires-python", ""), table.get("dependencies", [])
        if not isinstance(python, str) or not (
            isinstance(packages, list) and all(isinstance(each, str) for each in packages)
        ):
            raise InputError(
                "The cell's script metadata has values of the wrong type.",
                'Write requires-python = ">=3.11" and dependencies = ["name"].',
            )
        made = cls(python, tuple(packages))
        made.accepts("3.12.0")
        return made

    def accepts(self, python: str) -> bool:
        """Return whether a Python version such as ``3.11.2`` satisfies ``requires-python``.

        Raises:
            InputError: ``requires-python`` is not a version specifier.
        """
        version = _numbers(python)
        for clause in filter(None, self.python.split(",")):
            match = VERSION_CLAUSE.fullmatch(clause)
            if match is None:
                raise InputError(
                    f"requires-python {self.python!r} is not a valid version specifier.",
                    "Write >=3.11 or ==3.12.*, for example.",
                )
            required = _numbers(match["version"])
            # "==3.12" means any 3.12: image tags give no exact version.
            same_length = version[: len(required)]
            comparisons = {
                "==": same_length == required,
                "!=": same_length != required,
                "<": version < required,
                ">=": version >= required,
                "<=": same_length <= required,
                ">": same_length > required,
                "~=": same_length >= required and version[: len(required) - 1] == required[:-1],
            }
            if not comparisons[match["sign"]]:
                return False
        return True

    def choose_minor(self, preferred: str) -> str:
        """Return the minor version of Python to use: the preferred one if the cell accepts it.

        Raises:
            InputError: The cell accepts none of the available versions.
        """
        for each in (preferred, *PYTHON_VERSIONS):
            if self.accepts(f"{each}.99"):
                return each
        raise InputError(
            f"No Python version from {PYTHON_VERSIONS[-1]} to {PYTHON_VERSIONS[0]} satisfies requires-python {self.python!r}.",
            "Change requires-python, or name an image with --image.",
        )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
