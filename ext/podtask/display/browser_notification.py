"""Notifications of the browser, as scripts in the status line of a task. Pure."""

from __future__ import annotations

import json
import time

MAX_AGE_SECONDS = 60  # a saved notebook that is opened later shows nothing
# A browser asks its user only in the moment after a key or a button was pressed, such as that which runs the cell.
ASK_SCRIPT = "<script>if(window.Notification&&Notification.permission==='default')Notification.requestPermission()</script>"


def notification_script(task: str, text: str) -> str:
    """Return a script that shows a notification, if the user has allowed it.

    Args:
        task: Name of the task's pod: the browser replaces an earlier notification with it.
        text: The text.
    """
    options = json.dumps({"body": text, "tag": task}).replace("<", "\\u003c")
    return (
        "<script>if(window.Notification&&Notification.permission==='granted'"
        f"&&Math.abs(Date.now()-{time.time() * 1000:.0f})<{MAX_AGE_SECONDS * 1000})"
        f"new Notification('podtask',{options})</script>"
    )
