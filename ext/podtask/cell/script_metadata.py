"""Script metadata in a cell (PEP 723): which Python and which packages it needs. Pure.

Source: https://packaging.python.org/en/latest/specifications/inline-script-metadata/
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

from ..errors import InputError

BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
CLAUSE = re.compile(r"\s*(?P<sign>==|!=|<=|>=|~=|<|>)\s*(?P<version>\d+(\.\d+)*)(?P<any>\.\*)?\s*")
MINORS = [f"3.{minor}" for minor in range(14, 8, -1)]  # what there are images of, newest first


@dataclass(frozen=True)
class Script:
    """What a cell says that it needs.

    Args:
        python: ``requires-python``; empty where it says nothing.
        packages: ``dependencies``.
    """

    python: str = ""
    packages: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: str) -> Script:
        """Return the metadata of a source; an empty one where there is no block.

        Raises:
            InputError: there are two blocks, or the block is none.
        """
        blocks = [each for each in BLOCK.finditer(source) if each["type"] == "script"]
        if not blocks:
            return cls()
        if len(blocks) > 1:
            raise InputError(f"The cell has {len(blocks)} blocks of script metadata.", "Keep one.")
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        lines = blocks[0]["content"].splitlines()
        try:
            found = tomllib.loads("\n".join(line[2:] for line in lines))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"The cell's script metadata is no TOML: {error}", "Mend it.") from None
        python, packages = found.get("requires-python", ""), found.get("dependencies", [])
        if not isinstance(python, str) or not (
            isinstance(packages, list) and all(isinstance(each, str) for each in packages)
        ):
            raise InputError(
                "The cell's script metadata has values of another kind.",
                'Write requires-python = ">=3.11" and dependencies = ["name"].',
            )
        made = cls(python, tuple(packages))
        made.takes("3.12.0")
        return made

    def takes(self, python: str) -> bool:
        """Return whether a version of Python, ``3.11.2``, is one that the cell may have.

        Raises:
            InputError: ``requires-python`` is no version specifier.
        """
        have = _numbers(python)
        for clause in filter(None, self.python.split(",")):
            match = CLAUSE.fullmatch(clause)
            if match is None:
                raise InputError(
                    f"requires-python {self.python!r} is no version specifier.",
                    "Write >=3.11 or ==3.12.*, say.",
                )
            want = _numbers(match["version"])
            # "==3.12" of a script means any 3.12: what else could an image's tag give?
            begun = have[: len(want)]
            fits = {
                "==": begun == want,
                "!=": begun != want,
                "<": have < want,
                ">=": have >= want,
                "<=": begun <= want,
                ">": begun > want,
                "~=": begun >= want and have[: len(want) - 1] == want[:-1],
            }
            if not fits[match["sign"]]:
                return False
        return True

    def minor(self, preferred: str) -> str:
        """Return the minor version of Python to take, the preferred one where it may be.

        Raises:
            InputError: there is none.
        """
        for each in (preferred, *MINORS):
            if self.takes(f"{each}.99"):
                return each
        raise InputError(
            f"No Python from {MINORS[-1]} to {MINORS[0]} is {self.python}.",
            "Change requires-python, or name an image with --image.",
        )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
