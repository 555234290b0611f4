"""Random programs: the analysis never misses a name that a cell may read before it sets it."""

from __future__ import annotations

import contextlib
import random
import textwrap
from typing import Any

import pytest
from podtask.cell.cell import Cell

NAMES = "xyz"
PROGRAMS = 100
TURNS = 200  # limit of the calls of a program, which may loop forever


class Writer:
    """Generate random programs of assignments, walruses, branches, loops, errors and handlers."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def block(self, depth: int, loop: bool = False) -> str:
        """Return a few statements."""
        count = self._random.randint(1, 3)
        return "\n".join(self._statement(depth, loop) for _ in range(count))

    def _inner(self, depth: int, loop: bool) -> str:
        return textwrap.indent(self.block(depth - 1, loop), "    ")

    def _value(self) -> str:
        one, two, three = (self._random.choice(NAMES) for _ in "abc")
        return self._random.choice(
            [
                "coin()",
                one,
                f"{one} + 1",
                f"(coin() and ({one} := 1))",
                f"({one} := coin())",
                f"(({one} := 2) if coin() else {two})",
                f"[{one} := n for n in some()]",
                f"(coin() or ({one} := 3)) and {two}",
                f"(coin() < ({one} := 1) < ({two} := 2))",
                f"(lambda: {three})()",
            ]
        )

    def _statement(self, depth: int, loop: bool) -> str:
        name = self._random.choice(NAMES)
        simple = [
            f"{name} = {self._value()}",
            f"{name} = 1",
            f"use({name})",
            f"use({self._value()})",
            f"del {name}",
            f"{name} += 1",
            f"def f():\n    return {name}\nf()",
        ]
        leaves = ["raise Known", *(["break", "continue"] if loop else [])]
        if not depth or self._random.random() < 0.4:
            return self._random.choice([*simple, *simple, *leaves])
        inner, other = self._inner(depth, loop), self._inner(depth, loop)
        body, last = self._inner(depth, True), self._inner(depth, False)
        return self._random.choice(
            [
                f"if {self._value()}:\n{inner}\nelse:\n{other}",
                f"if {self._value()}:\n{inner}",
                f"for {name} in some():\n{body}\nelse:\n{inner}",
                f"while True:\n    coin()\n{body}\n    if coin():\n        break",
                f"while coin() and {self._value()}:\n{body}",
                f"with suppress(Known):\n{inner}\nuse({name})",
                f"try:\n{inner}\nexcept Known:\n{other}",
                f"try:\n{inner}\nexcept Known:\n{other}\nelse:\n{inner}\nfinally:\n{last}",
                f"match coin():\n    case 0:\n{textwrap.indent(inner, '    ')}\n"
                f"    case {name}:\n{textwrap.indent(other, '    ')}",
            ]
        )


class Known(Exception):
    """Error that the programs raise."""


class Enough(BaseException):
    """Error that ends a program after a number of steps."""


def outcome(source: str, given: set[str], seed: int) -> Any:
    """Return how a program ends with some of the names; the seed determines its random choices."""
    coins, turns = random.Random(seed), [TURNS]
    seen: list[Any] = []

    def coin() -> int:
        turns[0] -= 1
        if not turns[0]:
            raise Enough
        return coins.randint(0, 1)

    def use(value: Any) -> None:
        turns[0] -= 1
        if turns[0] <= 0:
            raise Enough
        seen.append(repr(value))

    space = {"coin": coin, "use": use, "Known": Known, "suppress": contextlib.suppress}
    space["some"] = lambda: range(coin() * 2)
    space |= dict.fromkeys(given, 10)
    try:
        exec(compile(source, "<random>", "exec"), space)
    except (Exception, Enough) as error:
        seen.append(type(error).__name__)
    return seen


@pytest.mark.parametrize("part", range(4))
def test_no_read_is_missed(part: int) -> None:
    """A program behaves the same with only the names that the analysis finds as with all names."""
    for seed in range(part * PROGRAMS, (part + 1) * PROGRAMS):
        source = Writer(seed).block(3)
        with contextlib.suppress(SyntaxError):  # a walrus is not allowed everywhere
            reads = set(Cell.of(source).reads) & set(NAMES)
            for coins in range(4):
                wanted = outcome(source, set(NAMES), coins)
                assert outcome(source, reads, coins) == wanted, source
