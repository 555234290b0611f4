"""Cells that do not yet behave as in the kernel: each is a strict xfail, with its reason."""

from __future__ import annotations

# id of the cell -> (where: "local", "pod", an image, or "both"; the reason)
DEFECTS: dict[str, tuple[str, str]] = {
    "classes-class-in-a-function": ("both", "__qualname__ of an inner class is lost"),
    "classes-metaclass-of-the-notebook": (
        "both",
        "a metaclass runs again where the class is made anew",
    ),
    "classes-nested-class": ("both", "__qualname__ of an inner class is lost"),
    "classes-slots": ("both", "__slots__ of a notebook class are lost"),
    "displays-all-repr-methods": ("both", "_repr_pdf_ is not asked"),
    "displays-display-nested-list-pretty": (
        "both",
        "text/plain is repr, not IPython's pretty printer",
    ),
    "displays-display-of-a-class-is-its-name": (
        "both",
        "text/plain is repr, not IPython's pretty printer",
    ),
    "errors-broken-html-repr-still-shows-text": (
        "both",
        "an error in a repr method fails the cell; IPython shows the other forms",
    ),
    "errors-chain-of-three": ("both", "cause and context of an error do not come back"),
    "errors-chain-through-functions": ("both", "cause and context of an error do not come back"),
    "errors-chained-by-context": ("both", "cause and context of an error do not come back"),
    "errors-chained-with-from": ("both", "cause and context of an error do not come back"),
    "errors-error-in-a-context-manager's-exit": (
        "both",
        "cause and context of an error do not come back",
    ),
    "errors-error-re-raised-keeps-its-first-line": (
        "both",
        "rebuilt frames are shown without their function",
    ),
    "errors-error-with-attributes-and-unpicklable-parts": (
        "both",
        "an error that does not unpickle loses its class and attributes",
    ),
    "errors-exception-group": (
        "both",
        "a group is shown with our own frames, its members without theirs",
    ),
    "errors-import-error": ("both", "a note about the image is added without one, too"),
    "errors-indentation-error-in-the-cell": (
        "both",
        "the kind of SyntaxError, or its text, is another",
    ),
    "errors-inspect-finds-the-cell's-source": (
        "both",
        "the source of the notebook's functions does not travel",
    ),
    "errors-nested-exception-group": (
        "both",
        "a group is shown with our own frames, its members without theirs",
    ),
    "errors-recursion-error-uncaught": ("both", "rebuilt frames are shown without their function"),
    "errors-syntax-error-from-compile-with-a-file-name": (
        "both",
        "a SyntaxError raised by the cell is shown with the magic's own frame",
    ),
    "errors-syntax-error-from-exec": (
        "both",
        "a SyntaxError raised by the cell is shown with the magic's own frame",
    ),
    "errors-syntax-error-in-the-cell": ("both", "the kind of SyntaxError, or its text, is another"),
    "functions-a-function-with-a-global-that-did-not-come-back": ("both", "not yet looked at"),
    "functions-closures-share-a-cell": (
        "both",
        "functions that share a closure's cell come back with a cell each",
    ),
    "functions-lru-cache": ("both", "a cached function pickles by a name that is not there"),
    "functions-partial-of-a-notebook-function-comes-in-and-back": (
        "both",
        "a function in a partial comes back as a copy",
    ),
    "last-pretty-method": ("both", "text/plain is repr, not IPython's pretty printer"),
    "statements-class-body-does-not-leak-into-a-comprehension": (
        "both",
        "a name of the class body hides the module's from its comprehension",
    ),
    "statements-exec-and-eval-see-the-namespace": ("both", "names in strings are not captured"),
    "statements-future-annotations-stay-in-their-cell": (
        "both",
        "IPython keeps __future__ flags of earlier cells",
    ),
    "statements-globals-and-locals-are-one": ("both", "names in strings are not captured"),
    "async-context-variables": ("both", "a ContextVar cannot be pickled: refused by name"),
    "async-asyncio-run-in-a-cell-without-await": (
        "both",
        "meant: without await no event loop runs in the pod, so asyncio.run works there",
    ),
    "classes-generic-class": ("both", "a TypeVar loses its identity on the way back"),
    "errors-return-outside-a-function": (
        "both",
        "a cell that does not compile raises a class named SyntaxError, not that class",
    ),
}
