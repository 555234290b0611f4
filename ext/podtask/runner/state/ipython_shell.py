"""The notebook's shell: the expressions that it displays (``ast_node_interactivity``), and formatters of the user."""

from typing import Any, Dict, Optional

from ..ipython import display
from .libraries import LOST, value_of

OWN_FORMATTERS = ("IPython", "ipykernel", "matplotlib", "matplotlib_inline")  # they register their own


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return what differs from a new shell."""
    if not module.InteractiveShell.initialized():
        return None
    shell = module.InteractiveShell.instance()
    found: Dict[str, Any] = {}
    own = _own_formatters(shell.display_formatter.formatters, pieces)
    if own:
        found["formatters"] = own
    if shell.ast_node_interactivity != "last_expr":
        found["interactivity"] = shell.ast_node_interactivity
    formatters = shell.display_formatter.formatters
    text = formatters["text/plain"]
    if not hasattr(text, "float_format"):  # replaced: rich.pretty.install()
        pieces.owner = "sys"  # which every cell has
        library = type(text).__module__.partition(".")[0]
        pieces.leave_out(f"the text formatter of {library}", "print values as that library does")
    float_format = getattr(text, "float_format", "%r")
    if float_format != "%r":
        found["float_format"] = float_format
    disabled = [mime for mime, each in formatters.items() if not each.enabled]
    if disabled and "text/html" in formatters and len(disabled) < len(formatters) - 1:  # not a terminal's
        found["disabled"] = disabled
    return found or None


def _own_formatters(formatters: Dict[str, Any], pieces: Any) -> Dict[str, Dict[str, Any]]:
    """Return MIME type -> name of a class -> formatter, of those that the user has registered."""
    found: Dict[str, Dict[str, Any]] = {}
    for mime, formatter in formatters.items():
        deferred = getattr(formatter, "deferred_printers", {})
        for kind, function in [*getattr(formatter, "type_printers", {}).items(), *deferred.items()]:
            owner, name = kind if isinstance(kind, tuple) else (kind.__module__, kind.__qualname__)
            root = str(getattr(function, "__module__", None)).partition(".")[0]
            if (
                root in OWN_FORMATTERS
                or owner.startswith("matplotlib")
                or (mime, name) == ("text/plain", "float")
            ):
                continue
            piece = pieces.pickled(f"the formatter of {name} for {mime}", function)
            if piece != LOST:
                found.setdefault(mime, {})[f"{owner}.{name}"] = piece
    return found


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Display values as that shell does; a formatter is loaded when it is first needed."""
    settings = display.settings
    settings.interactivity = data.get("interactivity", settings.interactivity)
    settings.float_format = data.get("float_format", "")
    settings.disabled = data.get("disabled", [])
    settings.formatters = data.get("formatters", {})
    settings.load = value_of
