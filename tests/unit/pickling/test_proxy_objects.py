"""Instances that answer for any attribute arrive as themselves (row J3 of the cases)."""

from __future__ import annotations

from typing import Any

import pytest
from podtask.runner.proxy_objects import reduce_instance


class WithState:
    """Defines how it is pickled."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def __getstate__(self) -> Any:
        return {}


class Integer(int):
    """Has its value in memory that only int knows."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@pytest.mark.parametrize("value", [WithState(), Integer(3), object(), Integer, [1], ValueError("x")])
def test_other_values_are_pickled_as_always(value: object) -> None:
    """Classes with their own pickling or with memory in C, and classes without such a method, are left to pickle."""
    assert reduce_instance(value) is NotImplemented
