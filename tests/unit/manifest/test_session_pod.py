"""The name of a session's pod, what the pod says of it, and the key that is derived from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from podtask.manifest import owner_secrets
from podtask.manifest.diff import changed_fields
from podtask.manifest.identity import TASK_NAME, lock_of
from podtask.manifest.session_pod import SessionRecord, session_pod_name


def test_name_is_the_same_in_all_kernels_of_a_user() -> None:
    """User, namespace, session and the pod before it make the name."""
    name = session_pod_name("pat", "team", "gpu")
    assert TASK_NAME.fullmatch(name)
    assert name == session_pod_name("pat", "team", "gpu")
    others = [
        ("kim", "team", "gpu", ""),
        ("pat", "b", "gpu", ""),
        ("pat", "team", "x", ""),
        ("pat", "team", "gpu", "u1"),
    ]
    assert len({name, *(session_pod_name(*each) for each in others)}) == 5


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"idle": "x", "options": {}}', '{"idle": 1, "options": [1]}', "1"]
)
def test_damaged_record_is_none(text: str) -> None:
    """Whoever may change the pod may write anything into the annotation."""
    assert SessionRecord.parse(text) is None
    record = SessionRecord(60.0, {"memory": "8Gi", "template": None})
    assert SessionRecord.parse(record.to_text()) == record


def test_secret_is_derived_from_the_pod_and_proves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a pod whose lock was made with the user's key, for this name and key, is the user's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    secret = owner_secrets.session_secret("podtask-0123456789", "ab" * 32)
    lock = lock_of(secret)
    assert owner_secrets.load("podtask-0123456789", "ab" * 32, lock) == secret
    assert owner_secrets.load("podtask-0123456780", "ab" * 32, lock) is None
    assert owner_secrets.load("podtask-0123456789", "cd" * 32, lock) is None
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "of another user"))
    assert owner_secrets.load("podtask-0123456789", "ab" * 32, lock) is None


def test_changed_fields_are_named_with_both_values() -> None:
    """Defaults of the cluster and the variables of the runner do not count."""
    env = [{"name": "PODTASK_KEY", "value": "(made)"}, {"name": "A", "value": "1"}]
    ours = {"containers": [{"name": "primary", "image": "a:2", "env": env}], "priority": 5}
    theirs = {
        "containers": [{"name": "primary", "image": "a:1", "env": [{"name": "A", "value": "1"}]}],
        "dnsPolicy": "Default",
    }
    assert changed_fields(ours, theirs, "spec") == [
        ("spec.containers[primary].image", "a:2", "a:1"),
        ("spec.priority", "5", "not set"),
    ]
