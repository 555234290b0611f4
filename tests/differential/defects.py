"""Cells that do not yet behave as in the kernel: each is a strict xfail, with its reason."""

from __future__ import annotations

# id of the cell -> (where: "local", "pod", an image, or "both"; the reason)
DEFECTS: dict[str, tuple[str, str]] = {
    "classes-class-in-a-function": ("both", "__qualname__ of an inner class is lost"),
    "classes-descriptor-with-set-name": ("both", "rebuilt frames are shown without their function"),
    "classes-metaclass-of-the-notebook": (
        "both",
        "a metaclass runs again where the class is made anew",
    ),
    "classes-nested-class": ("both", "__qualname__ of an inner class is lost"),
    "classes-slots": ("both", "__slots__ of a notebook class are lost"),
    "displays-all-repr-methods": ("both", "_repr_pdf_ is not asked"),
    "displays-clear-output": (
        "both",
        "the image's own IPython.display does not know where to show",
    ),
    "displays-clear-output-in-a-loop": (
        "both",
        "the image's own IPython.display does not know where to show",
    ),
    "displays-display-from-a-notebook-function": (
        "both",
        "the image's own IPython.display does not know where to show",
    ),
    "displays-display-include-and-exclude": (
        "both",
        "include, exclude and metadata of display() are not heeded",
    ),
    "displays-display-metadata": (
        "both",
        "include, exclude and metadata of display() are not heeded",
    ),
    "displays-display-nested-list-pretty": (
        "both",
        "text/plain is repr, not IPython's pretty printer",
    ),
    "displays-display-of-a-class-is-its-name": (
        "both",
        "text/plain is repr, not IPython's pretty printer",
    ),
    "displays-ipython-display-method": ("both", "_ipython_display_ is not called"),
    "displays-object-that-answers-every-attribute": (
        "both",
        "an object that has every attribute is not told apart",
    ),
    "displays-publish-display-data": (
        "both",
        "the image's own IPython.display does not know where to show",
    ),
    "displays-update-of-an-id-of-nobody": (
        "both",
        "the image's own IPython.display does not know where to show",
    ),
    "errors-broken-html-repr-still-shows-text": (
        "both",
        "an error in a repr method fails the cell; IPython shows the other forms",
    ),
    "errors-broken-repr-of-the-last-value": (
        "both",
        "rebuilt frames are shown without their function",
    ),
    "errors-chain-of-three": ("both", "cause and context of an error do not come back"),
    "errors-chain-suppressed": ("both", "cause and context of an error do not come back"),
    "errors-chain-through-functions": ("both", "cause and context of an error do not come back"),
    "errors-chained-by-context": ("both", "cause and context of an error do not come back"),
    "errors-chained-with-from": ("both", "cause and context of an error do not come back"),
    "errors-error-in-a-class-body": ("both", "rebuilt frames are shown without their function"),
    "errors-error-in-a-comprehension": ("both", "rebuilt frames are shown without their function"),
    "errors-error-in-a-context-manager's-exit": (
        "both",
        "cause and context of an error do not come back",
    ),
    "errors-error-in-a-decorator": ("both", "rebuilt frames are shown without their function"),
    "errors-error-in-a-generator": ("both", "rebuilt frames are shown without their function"),
    "errors-error-in-a-lambda": ("both", "rebuilt frames are shown without their function"),
    "errors-error-in-a-multi-line-call": (
        "both",
        "rebuilt frames are shown without their function",
    ),
    "errors-error-in-a-notebook-function": (
        "both",
        "rebuilt frames are shown without their function",
    ),
    "errors-error-in-the-cell's-own-function": (
        "both",
        "rebuilt frames are shown without their function",
    ),
    "errors-error-re-raised-keeps-its-first-line": (
        "both",
        "rebuilt frames are shown without their function",
    ),
    "errors-error-with-a-keyword-constructor": (
        "both",
        "an error that does not unpickle loses its class and attributes",
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
    "last-semicolon-and-a-comment-hide-the-value": (
        "both",
        "the semicolon rule looks at text, not at tokens",
    ),
    "last-semicolon-in-a-comment-does-not-hide": (
        "both",
        "the semicolon rule looks at text, not at tokens",
    ),
    "output-stdout-and-displays-in-order": (
        "both",
        "display does not flush an unfinished line before it",
    ),
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
    "errors-system-exit-with-text": ("both", "seen to differ, not yet looked at"),
    "errors-return-outside-a-function": ("both", "seen to differ, not yet looked at"),
    "errors-key-error-with-a-strange-key": ("both", "seen to differ, not yet looked at"),
    "last-expression-in-a-for-is-not-shown": ("both", "seen to differ, not yet looked at"),
}
