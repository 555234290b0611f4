"""Answers of the API server as the client reads them."""

from __future__ import annotations

import pytest
from podtask.cluster.client import decode_answer


@pytest.mark.pod("P20")
@pytest.mark.parametrize(
    ("answer", "items"),
    [(b'{"items": null}', []), (b'{"items": []}', []), (b'{"items": [{"a": null}]}', [{"a": None}])],
)
def test_list_without_items_is_empty(answer: bytes, items: list[object]) -> None:
    """A list that Go writes as null is an empty list; null elsewhere stays."""
    assert decode_answer(answer, "prod")["items"] == items


def test_object_without_items_has_none() -> None:
    """An object that is not a list gets no items."""
    assert decode_answer(b'{"kind": "Pod"}', "prod") == {"kind": "Pod"}
