"""Durations as text, in the same notation wherever podtask writes one: ``42 s``, ``12 min``, ``3 h 10 min``, ``2 d``."""

SECONDS_UP_TO = 100  # then minutes
MINUTES_UP_TO = 60  # then hours
HOURS_UP_TO = 48  # then days


def duration(seconds: float) -> str:
    """Return a duration in whole seconds, minutes, hours with minutes, or days; a negative one is ``0 s``."""
    if seconds < SECONDS_UP_TO:
        return f"{max(0, int(seconds))} s"
    minutes = int(seconds / 60 + 0.5)
    hours, rest = divmod(minutes, 60)
    if minutes < MINUTES_UP_TO:
        return f"{minutes} min"
    if hours < HOURS_UP_TO:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{hours // 24} d"


def exact_duration(seconds: float) -> str:
    """Return the duration of something that has ended: below 100 s with tenths, below an hour with seconds."""
    if seconds < SECONDS_UP_TO:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < MINUTES_UP_TO else duration(seconds)
