"""Which of the values that a cell reads are sent to the session. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def choose_values(
    values: Mapping[str, Any], in_session: Collection[str], named: Collection[str] | None
) -> dict[str, Any]:
    """Return the values to send: those that the session does not have, or those that the user names.

    Args:
        values: The values that the cell reads, by name; only the named ones if there are any.
        in_session: The names of the session's variables.
        named: The names of ``-i``; None without it.
    """
    if named is not None:
        return dict(values)
    return {name: value for name, value in values.items() if name not in in_session}
