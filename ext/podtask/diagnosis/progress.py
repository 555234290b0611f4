"""Describe the progress of a pod that takes long: images that are pulled, nodes that are added. Pure."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from .model import Events, event_container, event_time, one_line

IMAGE = re.compile(r'image "(?P<name>[^"]+)"')
IMAGE_SIZE = re.compile(r"Image size: (?P<bytes>\d+) bytes")
PULL_TIME = re.compile(r" in (?P<time>[\d.hms]+)")
END_OF_PULL = {"Pulled", "Failed", "BackOff", "Created", "Started"}
# Of Cluster Autoscaler: pod triggered scale-up: [{https://.../instanceGroups/gpu-pool 0->1 (max: 3)}]
GROUP = re.compile(r"\{(?:\S*/)?(?P<name>\S+) (?P<before>\d+)->(?P<after>\d+) \(max: (?P<max>\d+)\)\}")
# Of Karpenter: Pod should schedule on: nodeclaim/default-x7k2p
NODE_CLAIM = re.compile(r"should schedule on: (?P<name>.+)", re.DOTALL)


def describe_pull(events: Events) -> str:
    """Return which image is being pulled, since when, and what was pulled before; empty if none is.

    Args:
        events: Events of the pod, oldest first.
    """
    current: dict[str, dict[str, Any]] = {}  # by container
    for event in events:
        _, container = event_container(event)
        if event.get("reason") == "Pulling":
            current[container] = event
        elif event.get("reason") in END_OF_PULL:
            current.pop(container, None)
    if not current:
        return ""
    container, event = next(reversed(current.items()))
    message = one_line(event.get("message"))
    text = message[:1].lower() + message[1:]
    text += f" for container {container!r}" if container else ""
    since = clock_time(event_time(event))
    text += f" since {since}" if since else ""
    pulled = describe_pulled(events)
    return f"{text}; {pulled}" if pulled else text


def describe_pulled(events: Events) -> str:
    """Return which images were pulled for a pod, each with its size and time; empty if none was.

    Args:
        events: Events of the pod, oldest first.
    """
    images = {}
    for event in events:
        message = str(event.get("message") or "")
        image = IMAGE.search(message)
        if event.get("reason") == "Pulled" and image and message.startswith("Successfully pulled"):
            size, seconds = IMAGE_SIZE.search(message), PULL_TIME.search(message)
            about = [
                _megabytes(int(size["bytes"])) if size else "",
                f"in {seconds['time']}" if seconds else "",
            ]
            details = " ".join(filter(None, about))
            images[image["name"]] = f"{image['name']}{details and f' ({details})'}"
    return f"pulled {', '.join(images.values())}" if images else ""


def describe_scale_up(event: dict[str, Any]) -> str:
    """Return which node an autoscaler adds for a pod, in words.

    Args:
        event: The event of the autoscaler.
    """
    message = str(event.get("message") or "")
    groups = [
        f"group {group['name']} grows from {group['before']} to {group['after']} (at most {group['max']})"
        for group in GROUP.finditer(message)
    ]
    claim = NODE_CLAIM.search(message)
    details = ", ".join(groups) or (one_line(claim["name"]) if claim else one_line(message))
    since = clock_time(event_time(event))
    return f"the cluster is adding a node for the pod{since and f' since {since}'}: {details}"


def clock_time(time: dt.datetime | None) -> str:
    """Return a time of day in the time zone of this machine; empty if there is none."""
    return time.astimezone().strftime("%H:%M:%S") if time else ""


def _megabytes(size: int) -> str:
    """Return a size as registries and runtimes write it: ``48 MB``, ``3.2 GB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"
