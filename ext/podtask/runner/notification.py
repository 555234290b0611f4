"""The text of a notification that a task has ended. It contains no value and no output of the cell."""

from typing import Any, Dict

from .durations import exact_duration

# Status of a task -> what the notification says.
ENDS = {
    "ok": "succeeded",
    "error": "failed",
    "crashed": "crashed",
    "timeout": "timed out",
    "terminated": "was terminated",
    "cancelled": "was cancelled",
}


def notification(name: str, status: str, seconds: float) -> Dict[str, Any]:
    """Return a notification, as the webhook receives it.

    Args:
        name: Name of the task.
        status: How it has ended.
        seconds: How long it ran.
    """
    text = f"{name} {ENDS.get(status, 'failed')} after {exact_duration(seconds)}"
    return {"text": text, "task": name, "status": status, "seconds": round(seconds, 1)}
