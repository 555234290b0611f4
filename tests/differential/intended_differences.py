"""Cells that intentionally behave differently from the kernel: the reason and the expected behavior."""

from __future__ import annotations

from typing import Any

CAUSED = "The above exception was the direct cause of the following exception:"
MEANWHILE = "During handling of the above exception, another exception occurred:"
LINES = "IPython shows the line that a frame had come to last; podtask the line of each error"
BEFORE_TEXT = "('äää',('"  # counts, without indentation
ENDS = "the process of the cell ends with it: what a kernel keeps is finalized"
GROUPS = "IPython prints a group to stderr, with its own frames, and the cell counts as done"

# id of the cell -> (the reason, what of the comparison is otherwise: "key" or "key.part" -> value)
INTENDED: dict[str, tuple[str, dict[str, Any]]] = {
    "state-C4-every-expression-is-displayed": (
        "all expressions but the last are displays, as a cell has one result",
        {
            "events": [
                ["display_data", {"text/plain": "3"}, {}],
                ["display_data", {"text/plain": "0"}, {}],
                ["display_data", {"text/plain": "1"}, {}],
                ["result", {"text/plain": "'last'"}, {}],
            ]
        },
    ),
    "errors-chained-with-from": (
        LINES,
        {"error": ["ValueError", "outer", ["3 <module>", CAUSED, "5 <module>"]]},
    ),
    "errors-chained-by-context": (
        LINES,
        {
            "error": [
                "ValueError",
                "invalid literal for int() with base 10: 'x'",
                ["3 <module>", MEANWHILE, "5 <module>"],
            ]
        },
    ),
    "errors-chain-through-functions": (
        LINES,
        {
            "error": [
                "RuntimeError",
                "cannot read",
                ["5 read()", "2 load()", CAUSED, "4 <module>", "3 main()", "7 read()"],
            ]
        },
    ),
    "errors-chain-of-three": (
        LINES,
        {"error": ["TypeError", "c", ["4 <module>", CAUSED, "6 <module>", CAUSED, "8 <module>"]]},
    ),
    "errors-error-in-a-context-manager's-exit": (
        LINES,
        {
            "error": [
                "RuntimeError",
                "from exit",
                ["3 <module>", MEANWHILE, "2 <module>", "3 M.__exit__(self, *a)"],
            ]
        },
    ),
    "errors-error-re-raised-keeps-its-first-line": (
        LINES,
        {"error": ["ValueError", "first", ["6 <module>", "3 <module>", "1 f()"]]},
    ),
    "errors-J4-interrupt-during-the-clean-up-of-another-one": (
        LINES,
        {"error": ["KeyboardInterrupt", "", ["4 <module>", MEANWHILE, "7 <module>"]]},
    ),
    "errors-exception-group": (
        GROUPS,
        {"error": ["ExceptionGroup", "several (2 sub-exceptions)", []], "events": []},
    ),
    "errors-nested-exception-group": (
        GROUPS,
        {"error": ["ExceptionGroup", "outer (2 sub-exceptions)", []], "events": []},
    ),
    "errors-syntax-error-in-the-cell": (
        "IPython tries whether more lines would complete a cell, and says 'incomplete input'",
        {
            "error": ["SyntaxError", "'(' was never closed (<cell>, line 4)", ["4 <module>"]],
            "last error.args": [
                ["str", "\"'(' was never closed\""],
                [
                    1,
                    "builtins.tuple",
                    ["str", "'<cell>'"],
                    ["int", "4"],
                    ["int", "6"],
                    ["str", "'print(x\\n'"],
                    ["int", "4"],
                    ["int", "0"],
                ],
            ],
        },
    ),
    "errors-recursion-error-uncaught": (
        "of a long traceback 50 frames at either end are sent",
        {"error": ["RecursionError", "maximum recursion depth exceeded", ["5 <module>", *["4 f(n)"] * 99]]},
    ),
    "errors-broken-html-repr-still-shows-text": (
        "the cell is done and its value shown; IPython sends an error all the same",
        {
            "error": None,
            "last error": None,
            "events": [
                [
                    "text",
                    {
                        "stdout": "",
                        "stderr": "Traceback (most recent call last):\n"
                        '  File "<cell>", line 2, in _repr_html_\n    def _repr_html_(self): raise ValueError("no html")\nValueError: no html\n',
                    },
                ],
                ["result", {"text/plain": "plain B"}, {}],
            ],
        },
    ),
    "errors-error-whose-parts-say-something-else-in-the-notebook": (
        "a class below the error's own, of its name, keeps the words; parts are as they unpickle",
        {
            "last error.bases": ["RuntimeError", "RuntimeError", "Exception", "BaseException", "object"],
            "last error.args": [["str", "''"]],
        },
    ),
    "errors-error-with-attributes-and-unpicklable-parts": (
        "attributes that cannot be pickled stay in the pod",
        {"last error.dict": {"n": ["int", "3"]}},
    ),
    "functions-a-function-with-a-global-that-did-not-come-back": (
        "only what -o names is set in the notebook",
        {"afterwards": [["text", {"stdout": "False\n", "stderr": ""}]]},
    ),
    "async-asyncio-run-in-a-cell-without-await": (
        "no event loop runs in a pod unless the cell needs one, so asyncio.run works",
        {
            "error": None,
            "last error": None,
            "result": ["int", "5"],
            "events": [["result", {"text/plain": "5"}, {}]],
        },
    ),
    "displays-F1-output-area-of-a-widget": (
        "a pod has no widgets: the output is a display that is updated",
        {
            "events": [
                ["text", {"stdout": "before\n", "stderr": ""}],
                ["display_data", {"text/plain": ""}, {}, 0],
                ["update_display_data", {"text/plain": ""}, {}, 0],
                ["update_display_data", {"text/plain": "inside\n"}, {}, 0],
                ["text", {"stdout": "after\n", "stderr": ""}],
            ]
        },
    ),
    "last-J6-long-text-in-a-tuple": (
        "the text of a value is cut after a MiB while it is made",
        {
            "events": [
                [
                    "result",
                    {
                        "text/plain": f"('äää',\n ('{('text' * (1 << 18))[: -len(BEFORE_TEXT)]}…\n"
                        "[the first 1 MiB of the text of this tuple]"
                    },
                    {},
                ]
            ]
        },
    ),
    "output-D-exit-handlers-and-a-finalizer-of-a-value-that-is-kept": (
        ENDS,
        {
            "events": [["text", {"stdout": "cell\nexit handler\nfinalized\n", "stderr": ""}]],
            "afterwards": [],
        },
    ),
    "output-D-generator-and-object-that-the-cell-leaves-behind": (
        ENDS,
        {"events": [["text", {"stdout": "a\nclosed\nlog 9\n", "stderr": ""}]], "afterwards": []},
    ),
    "data-numpy-view-of-an-array": (
        "a view arrives as an array of its own",
        {"events": [["text", {"stdout": "0.0 False\n", "stderr": ""}]]},
    ),
    "classes-generic-class": (
        "a pickled alias is made anew, with a tuple of its own",
        {"result": [5, "builtins.tuple", ["int", "3"], [6, "builtins.tuple", ["same", 3]]]},
    ),
}


def with_intended_differences(compared: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the expected observation of a cell, based on that of the kernel.

    Args:
        compared: Compared part of the kernel's observation.
        name: ID of the cell.
    """
    wanted = dict(compared)
    for place, value in INTENDED.get(name, ("", {}))[1].items():
        key, _, part = place.partition(".")
        wanted[key] = {**wanted[key], part: value} if part else value
    return wanted
