"""What a cell of a session needs from the notebook: the values to send, and the questions to the session."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError, TaskError
from ..runner.protocol import SET_ALWAYS, SET_IF_CHANGED, SET_IF_MISSING
from ..runner.safe_text import safe_text
from ..runner.stamps import DEFINITIONS, Stamp
from ..runner.value_summary import SHORT_KINDS, summarize_value

MAX_SUMMARY_CHARS = 80
WITHOUT_VALUE = (SET_IF_CHANGED, SET_IF_MISSING)


@dataclass
class Choice:
    """The decision for one cell.

    Attributes:
        order: Place of the cell in the order of cells.
        values: The notebook's values to send, by name; classes and functions first.
        conditions: Maps each name that the cell may take from the notebook to the condition of the protocol.
        stamps: The stamps of these names in the notebook.
        kept: The names that are not sent, each with the reason.
        references: Names of values that are not sent: what is sent refers to the session's objects of these names.
        together: Names that are sent because they share objects with another one, which is the value.
        current: Names of the outputs that the notebook has as they are when the cell starts.
        notes: Lines to show.
        replaced: What was known of names before the cell was submitted; None for a name that the session did not have.
        seen: Stamps of what the notebook had, when it was submitted, under names that the cell may set.
    """

    order: int
    values: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, Stamp | None] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)
    together: dict[str, str] = field(default_factory=dict)
    current: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    replaced: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Stamp | None] = field(default_factory=dict)

    @property
    def about(self) -> dict[str, Any]:
        """The field ``shared`` of the RUN frame."""
        definitions = [name for name, value in self.values.items() if isinstance(value, DEFINITIONS)]
        return {
            "names": self.conditions,
            "sent": [*self.values],
            "definitions": definitions,
            "current": self.current,
        }

    @property
    def unsent(self) -> set[str]:
        """The names that are not sent although the cell or its functions need them: the session has them."""
        return {*self.kept, *self.conditions} - self.values.keys()

    def add(self, name: str, value: Any, condition: str, stamp: Stamp | None) -> None:
        """Let the session take a name from the notebook under a condition."""
        self.conditions[name], self.stamps[name] = condition, stamp
        if condition not in WITHOUT_VALUE:
            self.values[name] = value
        self.kept.pop(name, None)

    def read_report(self, shared: Any) -> dict[str, Any]:
        """Return the field ``shared`` of a RESULT frame; the pod may send anything.

        Raises:
            TaskError: It is not what a session sends.
        """
        try:
            if "wanted" in shared:
                return {
                    "conflicts": {
                        name: _shown(shared["conflicts"][name])
                        for name in shared["conflicts"]
                        if name in self.conditions
                    },
                    "wanted": [name for name in shared["wanted"] if name in self.conditions],
                }
            return {
                "loaded": [name for name in shared["loaded"] if name in self.values],
                "replaced": {
                    name: _shown(text) for name, text in shared["replaced"].items() if name in self.values
                },
                "bound": {
                    str(name): (_shown(summary), tuple(map(str, needs)))
                    for name, (summary, needs) in shared["bound"].items()
                },
                "deleted": [str(name) for name in shared["deleted"]],
            }
        except (KeyError, TypeError, ValueError, AttributeError):
            raise TaskError(
                "The pod sent a result that podtask cannot read: what the cell did to the names of its session.",
                "Another version of podtask may have started the session. End it, and run the cell again.",
            ) from None

    def sort_values(self) -> None:
        """Put classes and functions before what refers to them."""
        self.values = dict(sorted(self.values.items(), key=lambda item: not isinstance(item[1], DEFINITIONS)))

    def leave_to_session(self, names: Collection[str]) -> None:
        """Send these values only if the session does not have the names, once it has said so."""
        for name in names:
            self.conditions[name] = SET_IF_MISSING
            del self.values[name]

    def with_wanted(self, names: list[str], namespace: Mapping[str, Any]) -> None:
        """Send the values that the session has asked for."""
        for name in names:
            self.add(name, namespace[name], SET_ALWAYS, self.stamps[name])
        self.sort_values()

    @property
    def summary(self) -> str:
        """One line for the details of the cell: what is sent, and what is not."""
        parts = []
        sent = [name for name in self.values if name not in self.together]
        if sent:
            parts.append(f"sent: {', '.join(sent)}")
        parts += [f"with {other}: {name} (shares objects)" for name, other in self.together.items()]
        reasons: dict[str, list[str]] = {}
        for name, reason in self.kept.items():
            reasons.setdefault(reason, []).append(name)
        parts += [f"{reason}: {', '.join(names)}" for reason, names in reasons.items()]
        return " · ".join(parts)


def _shown(summary: Any) -> str:
    """Return a summary of the session's value as it is shown."""
    return safe_text(str(summary))[:MAX_SUMMARY_CHARS]


def replaced_lines(name: str, value: Any, theirs: str) -> list[str]:
    """Return the line for a name of the session that was set on both sides, and last in the notebook.

    Args:
        name: The name.
        value: The notebook's value.
        theirs: Summary of the session's value that it has replaced.
    """
    ours = summarize_value(value)
    if ours == theirs and isinstance(value, SHORT_KINDS):
        return []
    return [
        f"{name}: set here after the session had changed it; the notebook's {ours} replaces the session's {theirs}."
    ]


def unsendable_line(name: str, value: Any) -> str:
    """Return the line for a name that the notebook has set last, to a value that cannot be sent."""
    return (
        f"{name} ({type(value).__name__}) cannot be sent to the session; the cell uses the session's value. "
        "Make it in the session."
    )


def conflict_error(
    conflicts: Mapping[str, str], namespace: Mapping[str, Any], session: str, since: str
) -> InputError:
    """Return the error for names that were set on both sides in an unknown order.

    Args:
        conflicts: Maps each name to a summary of the session's value.
        namespace: The notebook's namespace.
        session: Name of the session.
        since: The last cell after which they were the same, such as ``In [12]``; empty if they never were.
    """
    names = ",".join(conflicts)
    each = "; ".join(
        f"{name} is {summarize_value(namespace[name])} in the notebook and {theirs} in session {session}"
        for name, theirs in conflicts.items()
    )
    after = f" since {since}" if since else ""
    calls = " A call that changes a default argument or an attribute changes its function."
    definition = calls if any(isinstance(namespace[name], DEFINITIONS) for name in conflicts) else ""
    return InputError(
        f"Changed on both sides{after}, so it is not known which value counts: {each}. The cell was not run.{definition}",
        f"Send the notebook's: -i {names}. Keep the session's: --theirs {names}.",
    )
