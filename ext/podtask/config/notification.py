"""Settings of ``--notify``. They contain credentials and a program, so only the user sets them, and no option shows them."""

from __future__ import annotations

import os
import shlex
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import InputError
from .files import read_toml, user_file

NOTIFY_URL, NOTIFY_COMMAND = "notify_url", "notify_command"
KEYS = (NOTIFY_URL, NOTIFY_COMMAND)


@dataclass(frozen=True)
class NotificationSettings:
    """What is called when a task with ``--notify`` has ended.

    Args:
        url: Address of the webhook that the runner calls; empty if there is none.
        command: Words of the command that the notebook runs; empty if there is none.
        origins: Name of each setting that is set -> file or variable.
    """

    url: str = field(default="", repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)
    origins: Mapping[str, str] = field(default_factory=dict)


def read_notification_settings(environ: Mapping[str, str] | None = None) -> NotificationSettings:
    """Return the settings from the user's file and from ``PODTASK_*`` variables, which override it.

    Raises:
        InputError: The file is not valid TOML, or a value is invalid. The message names the file or the variable,
            and not the value.
    """
    found: dict[str, tuple[str, str]] = {}
    file = user_file()
    for key, value in read_toml(file).items():
        name = key.replace("-", "_")
        if name in KEYS:
            if not isinstance(value, str):
                raise InputError(f"{file}: {name} is not a string.", "Write the value in quotes.")
            found[name] = value, str(file)
    for name in KEYS:
        variable = f"PODTASK_{name.upper()}"
        value = (os.environ if environ is None else environ).get(variable, "")
        if value:
            found[name] = value, variable
    url, origin = found.get(NOTIFY_URL, ("", ""))
    if url and not _is_address(url):
        raise InputError(
            f"{origin}: {NOTIFY_URL} is not the address of a webhook.", "Write https://HOST/PATH."
        )
    command, origin = found.get(NOTIFY_COMMAND, ("", ""))
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise InputError(
            f"{origin}: {NOTIFY_COMMAND}: {error}.", "Close the quotes, as in a shell."
        ) from None
    return NotificationSettings(
        url, words, {name: source for name, (value, source) in found.items() if value}
    )


def _is_address(text: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError:
        return False
    is_plain = text.isascii() and text.isprintable() and " " not in text
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_plain
