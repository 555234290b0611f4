"""Problems as whole sentences, in which fields have the labels of their inputs. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from podtask.errors import Problem

PATH = re.compile(r"\b(?:spec|metadata)(?:\.[A-Za-z][-\w]*(?:\.?[-\w]+/[-\w.]*\w)?|\[\d+\])+")
OF_CONTAINER = re.compile(r"of container '[^']*' ")
SINGULAR, PLURAL = ("is", "has", "must"), ("are", "have")


def problem_sentences(problem: Problem, label_of: Callable[[str], str]) -> str:
    """Return what is wrong with a field and what to do, as whole sentences without the field's name.

    Args:
        problem: The problem, whose message continues a sentence that begins with the path of the field.
        label_of: Returns the label of the input for a path, or "" if it has none.
    """
    message = OF_CONTAINER.sub("", problem.message.lstrip(": ")).removeprefix("is invalid: ")
    first = message.split(" ", 1)[0]
    if first in SINGULAR:
        message = f"The value {message}"
    elif first in PLURAL:
        message = f"The values {message}"
    elif first == "requests":
        message = f"The container {message}"
    elif match := re.match(r"\((.+?)\) (.*)", message):
        message = f"The volume {match[1]} {match[2]}"
    sentences = [_sentence(each) for each in (message, problem.hint) if each]
    return PATH.sub(lambda match: _quoted(label_of(match[0])) or match[0], " ".join(sentences))


def problem_text(problem: Problem, label_of: Callable[[str], str]) -> str:
    """Return the label of the field, or its path if it has no input, and then :func:`problem_sentences`."""
    label = label_of(problem.path) or problem.path
    sentences = problem_sentences(problem, label_of)
    return f"{label}: {sentences}" if label else sentences


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!…" else ".")


def _quoted(label: str) -> str:
    return f"“{label}”" if label else ""
