"""The configuration of structlog (``structlog.configure``) and the context that is bound to every entry."""

from typing import Any, Dict, Optional

from .libraries import apply_each, is_plain


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the parts of the configuration and of the context; None if nothing was set."""
    configuration = module.get_config() if module.is_configured() else {}
    context = module.contextvars.get_contextvars()
    if not configuration and not context:
        return None
    return {
        "configuration": {
            name: pieces.pickled(f"structlog's {name}", value) for name, value in configuration.items()
        },
        "context": {
            name: value if is_plain(value) else pieces.pickled(f"structlog's context {name}", value)
            for name, value in context.items()
        },
    }


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Configure structlog in the same way, as far as the configuration could be sent."""
    apply_each("structlog's", data["configuration"], lambda name, value: module.configure(**{name: value}))
    apply_each(
        "structlog's context",
        data["context"],
        lambda name, value: module.contextvars.bind_contextvars(**{name: value}),
    )
