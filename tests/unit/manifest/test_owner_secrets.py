"""The owner's secrets: private files, bound to the pod, removed with the task."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from podtask.manifest import owner_secrets
from podtask.manifest.identity import Identity, lock_of, new_identity

pytestmark = pytest.mark.fault(84)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the files, which does not exist yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "podtask" / "tasks"


def forget_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be another kernel of the same user."""
    monkeypatch.setattr(owner_secrets, "_secrets", {})


def load(task: Identity) -> str | None:
    return owner_secrets.load(task.name, task.key, task.lock)


def test_next_kernel_of_the_user_has_the_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file and its folder are private; the secret is gone once the task is removed."""
    task = new_identity(None, "", {})
    assert owner_secrets.save(task)
    assert load(task) == task.secret
    forget_memory(monkeypatch)
    assert stat.S_IMODE((folder / task.name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert load(task) == task.secret
    owner_secrets.remove(task.name)
    assert list(folder.iterdir()) == []
    assert load(task) is None


def test_another_pod_does_not_get_the_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, key and hash of the pod must be those of the task."""
    task, other = new_identity(None, "", {}), new_identity(None, "", {})
    owner_secrets.save(task)
    for memory in (True, False):
        if not memory:
            forget_memory(monkeypatch)
        assert owner_secrets.load(other.name, task.key, task.lock) is None
        assert owner_secrets.load(task.name, other.key, task.lock) is None
        assert owner_secrets.load(task.name, task.key, other.lock) is None
        assert owner_secrets.load(task.name, task.key, "") is None
    assert owner_secrets.load(f"../tasks/{task.name}x", task.key, "") is None


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o777])
def test_folder_that_others_may_read_gets_no_secret(
    mode: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret stays in memory, and the caller learns that the next kernel will not have it."""
    folder.mkdir(parents=True)
    folder.chmod(mode)
    task = new_identity(None, "", {})
    assert not owner_secrets.save(task)
    assert list(folder.iterdir()) == []
    assert load(task) == task.secret
    forget_memory(monkeypatch)
    assert load(task) is None


def test_folder_that_cannot_be_created_leaves_the_secret_in_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data folder that is a file, for example, does no harm."""
    folder.parent.write_text("")
    task = new_identity(None, "", {})
    assert not owner_secrets.save(task)
    assert load(task) == task.secret
    owner_secrets.remove(task.name)


def test_file_that_others_may_read_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose mode was changed may have been written by others."""
    task = new_identity(None, "", {})
    owner_secrets.save(task)
    forget_memory(monkeypatch)
    (folder / task.name).chmod(0o644)
    assert load(task) is None


def test_folder_that_others_may_read_later_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose mode was changed may have files of others."""
    task = new_identity(None, "", {})
    owner_secrets.save(task)
    forget_memory(monkeypatch)
    folder.chmod(0o755)
    assert load(task) is None


@pytest.mark.parametrize("plain", [True, False])
def test_file_says_that_results_are_plain(plain: bool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another kernel unpickles nothing of such a task, even if its pod no longer says so."""
    task = new_identity(None, "", {})
    owner_secrets.save(task, plain)
    for memory in (True, False):
        if not memory:
            forget_memory(monkeypatch)
        assert load(task) == task.secret
        assert owner_secrets.is_plain(task.name) == plain
    assert not owner_secrets.is_plain("podtask-other")


@pytest.mark.parametrize("name", ["../../victim", "{}/victim", "..", ""])
def test_path_in_place_of_a_name_removes_and_reads_nothing(name: str, folder: Path, tmp_path: Path) -> None:
    """An API server that sends a path as the name of a pod does not choose the file that is removed."""
    owner_secrets.save(new_identity(None, "", {}))
    victim = tmp_path / "victim"
    victim.write_text("ab cd")
    victim.chmod(0o600)
    owner_secrets.remove(name.format(tmp_path))
    assert victim.exists()
    assert owner_secrets.load(name.format(tmp_path), "ab", lock_of("cd")) is None


def test_hash_that_is_not_ascii_matches_nothing(folder: Path) -> None:
    """A pod that another person has written may have any text in place of the key and the hash."""
    task = new_identity(None, "", {})
    owner_secrets.save(task)
    assert owner_secrets.load(task.name, task.key, "é") is None
    assert owner_secrets.load(task.name, "é", task.lock) is None
    assert owner_secrets.load("podtask-other", "", "é") is None


def test_files_of_tasks_that_others_removed_go_with_time(folder: Path) -> None:
    """Old files are removed when a new task is saved."""
    old, new = new_identity(None, "", {}), new_identity(None, "", {})
    owner_secrets.save(old)
    os.utime(folder / old.name, (0, 0))
    owner_secrets.save(new)
    assert [path.name for path in folder.iterdir()] == [new.name]


def test_key_of_shared_secrets_is_the_same_in_all_kernels_of_the_user(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is in a private file; a file that others may read is not used, and then the key is this kernel's."""
    key = owner_secrets.part_key()
    path = folder.parent / "part-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setattr(owner_secrets, "_kernel_part_key", b"of another kernel")
    assert owner_secrets.part_key() == key
    path.chmod(0o644)
    assert owner_secrets.part_key() == b"of another kernel"
    path.chmod(0o600)
    path.write_text("")  # another kernel is writing it
    assert owner_secrets.part_key() == b"of another kernel"
