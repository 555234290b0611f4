"""What tells that a pod has a session: its name, and an annotation with the options of the session's first cell. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .identity import NAME_PREFIX

PLAIN_TYPES = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class SessionRecord:
    """What the pod of a session says of it.

    Args:
        idle_seconds: Seconds without a cell after which it ends.
        options: The options of its first cell that shape the pod, as plain values.
    """

    idle_seconds: float
    options: Mapping[str, Any]

    def to_text(self) -> str:
        """Return the text of the annotation."""
        return json.dumps({"idle": self.idle_seconds, "options": dict(self.options)}, sort_keys=True)

    @classmethod
    def parse(cls, text: str) -> SessionRecord | None:
        """Return the record of an annotation; None if it is damaged: whoever may change the pod may write anything."""
        try:
            found = json.loads(text)
            options = {str(name): value for name, value in found["options"].items()}
            return cls(max(0.0, float(found["idle"])), options)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None


def session_pod_name(user: str, namespace: str, session: str, predecessor: str = "") -> str:
    """Return the name of the pod of a session.

    All kernels of the user choose the same name, so the API server decides which of two kernels starts the session.

    Args:
        user: Name of the user.
        namespace: Namespace of the pod.
        session: Name of the session.
        predecessor: UID of the newest pod of the session that still exists, and has ended; empty if there is none.
    """
    text = json.dumps([user, namespace, session, predecessor])
    return f"{NAME_PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def plain_value(value: Any) -> Any:
    """Return the value of an option as it is kept in the annotation; a hash if it is not a plain value."""
    if isinstance(value, PLAIN_TYPES):
        return value
    text = value.to_yaml() if hasattr(value, "to_yaml") else repr(value)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
