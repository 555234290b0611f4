"""The timeout of new sockets (``socket.setdefaulttimeout``)."""

from typing import Any, Optional


def capture(module: Any, pieces: Any) -> Optional[float]:
    """Return the timeout in seconds, None if there is none."""
    timeout: Optional[float] = module.getdefaulttimeout()
    return timeout


def apply(module: Any, data: float) -> None:
    """Set the timeout."""
    module.setdefaulttimeout(data)
