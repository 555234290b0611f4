"""The largest field that ``csv`` reads (``csv.field_size_limit``)."""

from typing import Any, Optional

DEFAULT = 128 << 10


def capture(module: Any, pieces: Any) -> Optional[int]:
    """Return the limit if it is not the default."""
    limit: int = module.field_size_limit()
    return None if limit == DEFAULT else limit


def apply(module: Any, data: int) -> None:
    """Set the limit."""
    module.field_size_limit(data)
