"""Steps that fill in the form, in the browser or without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class FormUser(Protocol):
    """User of the form, who finds inputs and buttons by their labels."""

    def open(self, title: str) -> None:
        """Open a page."""

    def write(self, label: str, text: str) -> None:
        """Type into an input."""

    def choose(self, label: str, option: str) -> None:
        """Choose an option of a dropdown."""

    def click(self, label: str) -> None:
        """Click a button."""


def add_pairs(user: FormUser, noun: str, pairs: Mapping[str, Any] | None) -> None:
    """Add labels, annotations or attributes on the open page."""
    for number, (key, value) in enumerate((pairs or {}).items(), 1):
        user.click(f"Add {noun}")
        user.write(f"{noun} {number}, key", key)
        user.write(f"{noun} {number}, value", value)


def add_csi_volume(user: FormUser, name: str, driver: str, attributes: dict[str, str], path: str) -> None:
    """Add a CSI volume and its mount."""
    user.open("Volumes")
    user.click("Add volume")
    user.write("Volume 1", name)
    user.choose("Kind", "CSI driver")
    user.write("Driver", driver)
    add_pairs(user, "attribute", attributes)
    user.write("Mount 1, path", path)


def add_metrics_sidecar(user: FormUser) -> None:
    """Add the sidecar of the example ``METRICS``."""
    user.open("Sidecars")
    user.click("Add sidecar")
    user.write("Sidecar 1", "metrics-sidecar")
    user.write("Image", "prom/pushgateway:latest")
    user.click("Add port")
    user.write("Port 1", "9091")
