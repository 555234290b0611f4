"""How collections of weak references travel: with what they refer to.

Their objects live as long as the collection: what keeps them alive in the notebook may not have been sent.
"""

import weakref
from typing import Any, List


def reduce(collection: Any) -> Any:
    """Return the reduced form of a dictionary or set of weak references."""
    content = [*collection] if isinstance(collection, weakref.WeakSet) else [*collection.items()]
    return type(collection), (), content, None, None, fill


def fill(collection: Any, content: List[Any]) -> None:
    """Fill a dictionary or set of weak references."""
    collection.update(content)
    weakref.finalize(collection, content.clear).atexit = False
