"""Any program of classes arrives in the pod as it was, and nothing of the notebook changes when values return."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podtask.pickling.inputs import pack_inputs
from podtask.runner.worker import definition_changes

from tests.differential.programs import Program, contents, describe, everything, run
from tests.unit.packing import Pod

MANY = int(os.environ.get("PODTASK_FUZZ", "1"))
# Each test takes a hundred programs, and 10,000 in `make fuzz`.
BOUNDED = settings(
    max_examples=100 if MANY == 1 else 200 * MANY, deadline=None, derandomize=MANY == 1, database=None
)
SEEDS = st.integers(0, 2**32)
CHANGES = """
for each in kinds:
    type.__setattr__(each, "added", [each.__name__])
    if isinstance(vars(each).get("a"), list):
        each.a.append(9)
registry["pod"] = 1
calls.append("pod")
"""


def sent(program: Program, namespace: dict[str, object]) -> Pod:
    """Return the pod after it has loaded a program's definitions."""
    values = {name: namespace[name] for name in program.names}
    return Pod(pack_inputs(values, namespace))


@BOUNDED
@given(SEEDS)
def test_program_arrives_as_it_was(seed: int) -> None:
    """Classes and functions have the same attributes, order, identities and MRO in the pod; no hook runs again."""
    program = Program(seed)
    namespace = run(program)
    assert describe(sent(program, namespace).names, program.names) == describe(namespace, program.names)


@BOUNDED
@given(SEEDS)
def test_values_come_back_and_nothing_changes(seed: int) -> None:
    """After a round trip, every class, function and value of the notebook has the same objects as before.

    That is so for values, the last expression and errors, although the cell has changed the classes.
    """
    program = Program(seed)
    namespace = run(program)
    pod = sent(program, namespace)
    objects = everything(namespace)
    before = {key: contents(each) for key, each in objects.items()}
    kinds = ", ".join(program.classes)
    pod.run(f"kinds = [{kinds}]\n{CHANGES}\nout = [[each() for each in kinds], kinds, MISSING, TOKEN]")
    error: Any = ("error", "0", (ValueError, (pod.names["out"],), {}))
    back = pod.unpack(*pod.pack(["out", *program.names], [("result", "", pod.names["out"]), error]))
    after = {key: contents(each) for key, each in objects.items()}
    assert after == before
    instances, found, missing, token = back["out"]
    assert all(type(each) is namespace[name] for each, name in zip(instances, program.classes, strict=True))
    assert all(each is namespace[name] for each, name in zip(found, program.classes, strict=True))
    assert missing is namespace["MISSING"]
    assert token is namespace["TOKEN"]
    assert back["error 0"][1][0][1] == found


@BOUNDED
@given(SEEDS)
def test_changes_that_are_asked_for_are_what_the_pod_has(seed: int) -> None:
    """With ``-o auto`` the notebook's classes and values are described as those of the pod."""
    program = Program(seed)
    namespace = run(program)
    pod = sent(program, namespace)
    pod.run(f"kinds = [{', '.join(program.classes)}]\n{CHANGES}")
    back = pod.unpack(*pod.pack("auto"))
    for change in back.pop("changes"):
        definition_changes.apply(change)
    namespace.update(back)
    assert describe(namespace, program.names) == describe(pod.names, program.names)


def test_programs_differ() -> None:
    """The measure of these tests sees a changed attribute, and the programs have all kinds of definitions."""
    sources = "\n".join(Program(seed).source for seed in range(200))
    for word in (
        "__slots__",
        "metaclass=",
        "@dataclass",
        "enum.IntFlag",
        "Generic[T]",
        "Protocol",
        "lru_cache",
        "(decimal.Decimal)",
    ):
        assert word in sources
    namespace = run(Program(1))
    before = describe(namespace, ["Token"])
    namespace["Token"].added = 1
    with pytest.raises(AssertionError):
        assert describe(namespace, ["Token"]) == before
