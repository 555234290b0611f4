"""The compared parts of an observation, and the accepted differences with their reasons."""

from __future__ import annotations

import re
from typing import Any

from podtask.frontend import TEXT_STYLE

from tests.differential.cases import Case
from tests.differential.cell_runner import Event, Observation, frames

# pattern, its replacement on both sides, the reason
TEXTS = (
    (r"0x[0-9a-f]{6,}", "0x", "an address in another process"),
    (
        r"(?:/tmp/ipykernel_\d+/\d+\.py|<ipython-input-[^>]*>)",
        "<cell>",
        "a cell is named after its source, and the magic's line is part of that",
    ),
    (r"\n?in (?:pod podtask-|process \d)[^\n]*", "", "an error's last line says where it was raised"),
    (r"\((?:unknown location|/[^)]*)\)", "(where)", "a module's place is the image's"),
    (r"\(\d+\.py, line", "(<cell>, line", "the same, in a SyntaxError"),
    (r"Cell In\[\d+\]", "Cell In[]", "kernels have run unlike numbers of cells"),
    (
        r"(?m)^[^\n]*: UserWarning: This figure was saved with matplotlib[^\n]*\n[^\n]*\n",
        "",
        "matplotlib says that the image has another version of it",
    ),
    (
        r"(?m)^[^\n]*: UserWarning: To exit: use 'exit'[^\n]*\n[^\n]*stacklevel=1\)\n",
        "",
        "IPython says this once a kernel",
    ),
    (r"(?m)^ +[~^]+\n", "", "Python marks places in a line of a traceback from 3.11 on"),
    (r"\r\n", "\n", "the kernel's own terminal for !commands ends lines so"),
    (r"(?m)^(?:CPU times|Wall time): .*$", "times", "times differ"),
)
# image -> (a module, what of the notebook's set-up makes a value that the image's version of that
# module cannot unpickle, why, what the error says)
UNREADABLE = {
    "science:3.9": (
        "pandas",
        r"pd\.(?:DataFrame|Series)\(",
        "pandas 2, the last for Python 3.9, cannot unpickle the tables of pandas 3",
        r"This happened while \w+ was unpacked, before the cell's first line\.\n"
        r"pandas is 3\S* in the notebook and 2\S* in the pod: choose an image",
    ),
}
NOTHING = {"stdout": "", "stderr": ""}
MEANT = {
    "own displays": "the status line is podtask's",
    "clear": "the status line is shown anew, so the output is always replaced at the next thing",
    "order of streams": "the kernel gathers stdout and stderr apart; podtask keeps their true order",
    "library frames": "paths and lines of libraries are the image's",
    "views": "arrays share memory in a pickle only where they are the same object: a view arrives apart",
    "pictures": "of the pixels only that there are some: fonts are the image's",
}


def comparable(seen: Observation) -> dict[str, Any]:
    """Return the part of an observation that must be equal for every way of running the cell."""
    error = seen.error
    compared: dict[str, Any] = {
        "events": _events(seen.events),
        "error": error and [error[0], _text(error[1]), frames(error[2])],
        "values": seen.report["values"],
        "result": seen.report["_"],
        "last error": seen.report["error"],
        "afterwards": _events(seen.after),
    }
    clean = {key: _clean(each) for key, each in compared.items()}
    for key in ("events", "afterwards"):  # removed parts leave no trace
        clean[key] = [event for event in clean[key] if event[1:] != [NOTHING]]
    return clean


def refused(case: Case, image: str) -> str:
    """Return a pattern of the expected error if an image cannot unpickle the cell's inputs, else an empty string."""
    module, makes, _, says = UNREADABLE.get(image, ("", "", "", ""))
    return says if module in case.needs and re.search(makes, case.setup) else ""


def comparable_across_versions(compared: dict[str, Any], case: Case) -> dict[str, Any]:
    """Return the part of an observation that must also be equal in a pod with another Python."""
    error = compared["error"]
    if case.other == "differs":
        streams = [event[0] for event in compared["events"]]
        return {"error": error and [error[0], error[2]], "streams": streams}
    if case.other == "frames":
        return {**compared, "error": error and error[:2]}
    if case.other == "stays":
        error = compared["error"]
        if error and error[0] == "TaskError" and error[1].startswith("-o "):
            error = None  # a name of -o that stays there is an error here
        return {"events": compared["events"], "error": error}
    return compared


def _events(events: list[Event]) -> list[Any]:
    made: list[Any] = []
    ids: dict[str, int] = {}
    for kind, *rest in events:
        if kind in ("stdout", "stderr"):
            if not made or made[-1][0] != "text":
                made.append(["text", {"stdout": "", "stderr": ""}])
            made[-1][1][kind] += rest[0]
        elif kind == "clear":
            made.append(["clear"])
        elif kind == "error":
            made.append([kind, *rest])
        elif TEXT_STYLE not in str(rest[0].get("text/html", "")):
            shown = [_data(rest[0]), rest[1]]
            if len(rest) > 2 and rest[2] is not None:
                shown.append(ids.setdefault(rest[2], len(ids)))
            made.append([kind, *shown])
    for each in made:
        if each[0] == "text":
            each[1] = {name: _text(text) for name, text in each[1].items()}
    return made


def _data(bundle: dict[str, Any]) -> dict[str, Any]:
    return {
        mime: "a picture" if mime in ("image/png", "image/svg+xml") and len(text) > 400 else text
        for mime, text in bundle.items()
    }


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {key: _clean(each) for key, each in value.items()}
    return value


def _text(text: str) -> str:
    for pattern, replacement, _ in TEXTS:
        text = re.sub(pattern, replacement, text)
    return text
