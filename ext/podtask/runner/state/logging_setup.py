"""The loggers of ``logging``: levels, filters, and handlers that write to stdout or stderr."""

import functools
import sys
from typing import Any, Dict, List, Optional

from .libraries import LOST, apply_each, value_of

# The loggers of the notebook's own machinery, and packages whose handlers are not the user's.
OWN = ("podtask", "ipykernel", "IPKernelApp", "traitlets", "comm", "tornado", "_pytest")
LEVELS = {0: "NOTSET", 10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}
STYLES = {"PercentStyle": "%", "StrFormatStyle": "{", "StringTemplateStyle": "$"}


def capture(module: Any, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the loggers that are set up otherwise than by default."""
    loggers: Dict[str, Any] = {}
    root = module.root
    if root.level != module.WARNING or root.handlers or root.filters or root.disabled:
        loggers["root"] = _describe_logger(root, "the root logger", pieces)
    for name, logger in [*root.manager.loggerDict.items()]:
        if (
            isinstance(logger, module.Logger)
            and (logger.level or logger.handlers or logger.filters or logger.disabled or not logger.propagate)
            and name.partition(".")[0] not in OWN
        ):
            pieces.owner = _library_of(name)
            loggers[name] = _describe_logger(logger, f"the logger {name}", pieces)
    found: Dict[str, Any] = {
        "loggers": {name: each for name, each in loggers.items() if each},
        "disabled": root.manager.disable,
        "warnings": module._warnings_showwarning is not None,  # noqa: SLF001 -- captureWarnings(True)
        "names": {
            level: name
            for level, name in module._levelToName.items()  # noqa: SLF001 -- addLevelName
            if LEVELS.get(level) != name
        },
    }
    return found if any(found.values()) else None


def split(data: Dict[str, Any]) -> Dict[str, Any]:
    """Return the data by the module whose import applies it.

    A library may set up its own logger when it is imported, so its logger is compared after that.
    """
    found: Dict[str, Any] = {"logging": {**data, "loggers": {}}}
    for name, logger in data["loggers"].items():
        found.setdefault(_library_of(name), {"loggers": {}})["loggers"][name] = logger
    return found


def apply(module: Any, data: Dict[str, Any]) -> None:
    """Set up the loggers in the same way; a handler that is there already stays the only one of its kind."""
    logging: Any = __import__("logging")
    for level, name in data.get("names", {}).items():
        logging.addLevelName(level, name)
    if data.get("disabled"):
        logging.disable(data["disabled"])
    if data.get("warnings"):
        logging.captureWarnings(True)
    for name, described in data["loggers"].items():
        logger = logging.root if name == "root" else logging.getLogger(name)
        logger.setLevel(described["level"])
        logger.propagate, logger.disabled = described["propagate"], described["disabled"]
        for each in described["filters"]:
            apply_each("the logging filter of", {name: each}, functools.partial(_add_filter, logger))
        _add_handlers(name, logger, described["handlers"])


def _library_of(name: str) -> str:
    """Return the module whose import in the pod concerns a logger: the library that it belongs to, or logging."""
    top = name.partition(".")[0]
    return top if name != "root" and top in sys.modules else "logging"


def _describe_logger(logger: Any, label: str, pieces: Any) -> Dict[str, Any]:
    handlers = [_describe_handler(each, label, pieces) for each in logger.handlers]
    filters = [
        pieces.pickled(f"a filter of {label}", each)
        for each in logger.filters
        # podtask has a filter of its own on the root logger while credentials are read.
        if not type(each).__module__.startswith("podtask.")
    ]
    return {
        "level": logger.level,
        "propagate": logger.propagate,
        "disabled": logger.disabled,
        "handlers": [each for each in handlers if each],
        "filters": [each for each in filters if each != LOST],
    }


def _describe_handler(handler: Any, label: str, pieces: Any) -> Optional[Dict[str, Any]]:
    """Return the description of a handler for stdout or stderr; None for any other."""
    logging: Any = sys.modules["logging"]
    kind = type(handler)
    if isinstance(handler, logging.NullHandler) or kind.__module__.partition(".")[0] in OWN:
        return None
    stream = _stream_name(getattr(handler, "stream", None))
    if not stream:
        pieces.leave_out(f"the {kind.__name__} of {label}")
        return None
    formatter = handler.formatter
    if type(formatter) is logging.Formatter and type(formatter._style).__name__ in STYLES:  # noqa: SLF001
        style = STYLES[type(formatter._style).__name__]  # noqa: SLF001
        formatter = [formatter._fmt, formatter.datefmt, style]  # noqa: SLF001
    elif formatter is not None:
        formatter = pieces.pickled(f"the formatter of {label}", formatter)
    own: Any = None
    if kind is not logging.StreamHandler:
        not_sent = ("lock", "stream", "formatter", "filters", "level")
        attributes = {name: each for name, each in vars(handler).items() if name not in not_sent}
        own = pieces.pickled(f"the {kind.__name__} of {label}", (kind, attributes))
        if own == LOST:
            return None
    filters = [pieces.pickled(f"a filter of {label}", each) for each in handler.filters]
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "own": own,
        "stream": stream,
        "level": handler.level,
        "formatter": None if formatter == LOST else formatter,
        "filters": [each for each in filters if each != LOST],
    }


def _add_filter(logger: Any, name: str, made: Any) -> None:
    logger.addFilter(made)


def _add_handlers(name: str, logger: Any, described: List[Dict[str, Any]]) -> None:
    """Add handlers; change those that the library itself has added."""
    own = [*logger.handlers]
    for each in described:
        like = [handler for handler in own if _is_like(handler, each)]
        if like:
            own.remove(like[0])

        def set_up(_: str, about: Any, handler: Any = like[0] if like else None) -> None:
            made = handler or _make_handler(about)
            _set_up_handler(made, about)
            if handler is None:
                logger.addHandler(made)

        apply_each("the logging handler of", {name: each}, set_up)


def _make_handler(described: Dict[str, Any]) -> Any:
    logging: Any = sys.modules["logging"]
    stream = getattr(sys, described["stream"])
    if described["own"] is None:
        return logging.StreamHandler(stream)
    kind, attributes = value_of(described["own"])
    handler = kind.__new__(kind)
    logging.StreamHandler.__init__(handler, stream)
    handler.__dict__.update(attributes)
    return handler


def _set_up_handler(handler: Any, described: Dict[str, Any]) -> None:
    handler.setLevel(described["level"])
    formatter = described["formatter"]
    if isinstance(formatter, list):
        form, date, style = formatter
        formatter = sys.modules["logging"].Formatter(form, date, style)
    if formatter is not None:
        handler.setFormatter(value_of(formatter))
    for each in described["filters"]:
        handler.addFilter(value_of(each))


def _is_like(handler: Any, described: Dict[str, Any]) -> bool:
    kind = type(handler)
    same = f"{kind.__module__}.{kind.__qualname__}" == described["class"]
    return bool(same and _stream_name(getattr(handler, "stream", None)) == described["stream"])


def _stream_name(stream: Any) -> str:
    """Return 'stdout' or 'stderr' if the stream is one of these, else an empty string."""
    for name in ("stdout", "stderr"):
        if stream is not None and stream in (getattr(sys, name), getattr(sys, f"__{name}__")):
            return name
    return ""
