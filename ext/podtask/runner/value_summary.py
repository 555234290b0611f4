"""A few words on a value, for messages: its text if it is short, else its type and size. Pure."""

from typing import Any

SHORT_KINDS = (bool, int, float, complex, str, bytes, type(None))
MAX_CHARS = 30


def summarize_value(value: Any) -> str:
    """Return ``5``, ``list (3 items)`` or ``ndarray (10 x 3)``; no code of the value's own class can make it fail."""
    kind = type(value)
    if kind in SHORT_KINDS:
        text = repr(value) if kind not in (str, bytes) or len(value) <= MAX_CHARS else ""
        if text and len(text) <= MAX_CHARS:
            return text
    try:
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and shape and not isinstance(value, type):
            return f"{kind.__name__} ({' x '.join(map(str, shape))})"[:60]
        if hasattr(kind, "__len__"):
            return f"{kind.__name__} ({len(value)} item{'s' * (len(value) != 1)})"
    except Exception:  # whatever the user's class raises
        return str(kind.__name__)
    return str(kind.__name__)
