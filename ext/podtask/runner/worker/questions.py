"""Questions of a notebook about the variables of a session, answered between two cells: completions, help."""

import builtins
import inspect
from typing import Any, Dict, List

MAX_WORDS = 2000
MAX_WORD_CHARS = 200
MAX_TEXT_CHARS = 20_000
MAX_REPR_CHARS = 1000
MISSING = object()


def answer(question: Dict[str, Any], namespace: Dict[str, Any]) -> Dict[str, Any]:
    """Return the answer to a question; empty if the session does not know the name.

    Args:
        question: ``path`` is a dotted name, as a list. With ``prefix``: what follows it, of which the completions are
            wanted. Otherwise, its help is; with its source if ``source`` is true.
        namespace: Variables of the session.

    Raises:
        BaseException: Whatever an attribute of the user's raises.
    """
    path = question["path"]
    if not path:
        return {"words": _complete(list(namespace), question["prefix"])}
    value = namespace.get(path[0], getattr(builtins, path[0], MISSING))
    for name in path[1:]:
        value = MISSING if value is MISSING else getattr(value, name, MISSING)
    if value is MISSING:
        return {}
    if "prefix" in question:
        return {"words": _complete(dir(value), question["prefix"])}
    return {"text": _describe(value, bool(question["source"]))[:MAX_TEXT_CHARS]}


def _complete(words: List[Any], prefix: str) -> List[str]:
    shown = prefix.startswith("_")
    found = {
        word
        for word in words
        if isinstance(word, str) and word.startswith(prefix) and (shown or not word.startswith("_"))
    }
    return [word for word in sorted(found) if len(word) <= MAX_WORD_CHARS][:MAX_WORDS]


def _describe(value: Any, with_source: bool) -> str:
    """Return what ``value?`` shows, as IPython does."""
    rows = []
    if callable(value):
        try:
            rows.append(("Signature", f"{getattr(value, '__name__', '')}{inspect.signature(value)}"))
        except (TypeError, ValueError):
            pass  # some built-in functions have none
    else:
        rows.append(("Type", type(value).__name__))
        text = repr(value)
        rows.append(("String form", text[:MAX_REPR_CHARS] + ("..." if len(text) > MAX_REPR_CHARS else "")))
        try:
            rows.append(("Length", str(len(value))))
        except TypeError:
            pass  # it has none
    source = ""
    if with_source:
        try:
            source = inspect.getsource(value if callable(value) else type(value))
        except (OSError, TypeError):
            pass  # a built-in
    if source:
        rows.append(("Source", "\n" + source))
    else:
        rows.append(("Docstring", inspect.getdoc(value) or "<no docstring>"))
    width = max(len(label) for label, _ in rows) + 2
    return "".join(f"{label + ':':<{width}}{text}\n" for label, text in rows)
