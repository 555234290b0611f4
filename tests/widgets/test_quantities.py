"""The form refuses quantities that are surely a mistake (row U7 of the cases of use)."""

from __future__ import annotations

import pytest

from tests.widgets.user import User


def check_meaning(user: User, label: str, text: str, meant: str) -> None:
    """Check that an input shows the likely meaning of a text, and is valid with it."""
    user.open("Resources")
    user.write(label, text)
    assert any(f"Did you mean {meant}?" in note for note in user.notes())
    user.write(label, meant)
    assert user.state == "✓ valid"


@pytest.mark.parametrize(
    "label", ["Memory request", "Memory limit", "Disk request", "Disk limit", "Size of /dev/shm"]
)
@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("8", "8Gi"),
        ("512", "512Mi"),
        ("8GB", "8Gi"),
        ("8gb", "8Gi"),
        ("8 Gi", "8Gi"),
        ("1,5", "1.5Gi"),
    ],
)
def test_bytes(user: User, label: str, text: str, meant: str) -> None:
    """U7: an input for bytes shows the likely meaning, and is valid with it."""
    check_meaning(user, label, text, meant)


@pytest.mark.parametrize(("label", "text"), [("Memory request", " 8Gi"), ("CPU limit", "2 ")])
def test_blanks_around_a_quantity(user: User, label: str, text: str) -> None:
    """A quantity with blanks around it is valid, as it is for the API server."""
    user.open("Resources")
    user.write(label, text)
    assert user.state == "✓ valid"


@pytest.mark.parametrize("label", ["CPU request", "CPU limit"])
@pytest.mark.parametrize(
    ("text", "meant"), [("1000", "1000m"), ("1,5", "1.5"), ("2 cores", "2"), ("2Gi", "2")]
)
def test_cpus(user: User, label: str, text: str, meant: str) -> None:
    """U7: an input for CPUs shows the likely meaning, and is valid with it."""
    check_meaning(user, label, text, meant)


@pytest.mark.parametrize("text", ["0.5", "500m", "1.5"])
def test_gpus(user: User, text: str) -> None:
    """U7: a share of a GPU is a problem."""
    user.open("Resources")
    user.click("Add resource")
    user.write("resource 1, nvidia.com/gpu", "nvidia.com/gpu")
    user.write("resource 1, 1", text)
    assert "1 problem" in user.state
    assert any("not a whole number. Did you mean" in note for note in user.notes())


def test_sidecar(user: User) -> None:
    """U7: the inputs of a sidecar, too."""
    user.open("Sidecars")
    user.click("Add sidecar")
    user.write("Sidecar 1", "redis")
    user.write("Image", "redis:7")
    user.write("Memory limit", "8")
    assert any("8 bytes. Did you mean 8Gi?" in note for note in user.notes())
