"""numpy's global generator: ``numpy.random.seed`` and the functions that draw from it."""

import base64
import sys
from typing import Any, List, Optional

WORDS = "<u4"  # of the generator, in the order that every processor can read


def capture(module: Any, pieces: Any) -> Optional[List[Any]]:
    """Return the state of the generator; None if the user has replaced it by one of another kind."""
    kind, words, *rest = module.get_state()
    return [base64.b64encode(words.astype(WORDS).tobytes()).decode(), *rest] if kind == "MT19937" else None


def apply(module: Any, data: List[Any]) -> None:
    """Set the state of the generator."""
    words, *rest = data
    module.set_state(("MT19937", sys.modules["numpy"].frombuffer(base64.b64decode(words), WORDS), *rest))
