"""How ``struct.Struct`` travels: by its format."""

from typing import Any


def reduce(obj: Any) -> Any:
    """Return the reduced form."""
    return type(obj), (obj.format,)
