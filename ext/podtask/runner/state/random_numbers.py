"""The generator behind the functions of ``random``."""

from typing import Any, List


def capture(module: Any, pieces: Any) -> List[Any]:
    """Return the state of the generator."""
    version, words, gauss = module.getstate()
    return [version, list(words), gauss]


def apply(module: Any, data: List[Any]) -> None:
    """Set the state of the generator."""
    version, words, gauss = data
    module.setstate((version, tuple(words), gauss))
