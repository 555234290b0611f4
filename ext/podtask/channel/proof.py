"""Sign what notebook and runner send each other with the task's key. Pure.

``runner/boot.py`` has the runner's side of this: it cannot import anything.
"""

from __future__ import annotations

import hmac


def prove(key: bytes, *words: str) -> str:
    """Return the HMAC-SHA256 over the words, as hexadecimal digits.

    Args:
        key: Key of the task.
        *words: What is signed; the first word says what it is for.
    """
    return hmac.new(key, " ".join(words).encode(), "sha256").hexdigest()
