"""A name means one task: the user's own first, and never a guess among several."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from podtask.errors import InputError
from podtask.manage.lookup import MAX_CANDIDATES, look_up_task
from podtask.manifest import owner_secrets
from podtask.manifest.identity import Identity
from podtask.manifest.labels import MANAGED_BY

from .cluster import OPTIONS, FakeApi, task_pod

pytestmark = pytest.mark.fault(85)
Connect = Callable[[FakeApi], FakeApi]


def find(name: str) -> str:
    """Return the name of the pod that is found."""
    return asyncio.run(look_up_task(name, OPTIONS))[1].name


def test_own_task_comes_before_a_newer_one_of_another_user(connect: Connect) -> None:
    """Age does not decide."""
    connect(FakeApi(task_pod("a", "bob", "train", age=1), task_pod("b", "alice", "train", age=99)))
    assert find("train") == "b"


@pytest.mark.parametrize(
    "others",
    [
        [("train", "alice", "")],
        [("b", "alice", "train")],
        [("train", "alice", "train"), ("c", "alice", "train")],
    ],
    ids=["its pod has the name", "its task has the name", "both"],
)
def test_pod_that_claims_to_be_the_users_does_not_come_before_the_own_task(
    others: list[tuple[str, str, str]], connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever creates pods chooses their names, labels, keys and locks; the secret decides, which belongs to one name."""
    connect(FakeApi(*(task_pod(*each, age=1) for each in others), task_pod("own", "alice", "train", age=99)))
    monkeypatch.setattr(owner_secrets, "_secrets", {})
    owner_secrets.save(Identity("own", "ab" * 32, "cd" * 32, 20_000))
    assert find("train") == "own"


def test_task_of_another_user_is_found_if_there_is_no_own_one(connect: Connect) -> None:
    """Commands that only read accept it."""
    connect(FakeApi(task_pod("a", "bob", "train")))
    assert find("train") == "a"


def test_name_of_a_pod_comes_before_the_same_name_of_a_task(connect: Connect) -> None:
    """The full name of a pod always finds that pod."""
    connect(FakeApi(task_pod("a", alias="b"), task_pod("b", alias="a")))
    assert (find("a"), find("b")) == ("a", "b")


def test_task_that_is_being_deleted_comes_last(connect: Connect) -> None:
    """So a name can be used again while its old pod terminates."""
    connect(FakeApi(task_pod("a", alias="train", terminating=True), task_pod("b", alias="train")))
    assert find("train") == "b"


def test_only_task_of_a_name_is_found_while_it_terminates(connect: Connect) -> None:
    """Its log can still be read."""
    connect(FakeApi(task_pod("a", alias="train", terminating=True)))
    assert find("train") == "a"


def test_name_of_several_tasks_is_refused_with_all_of_them(connect: Connect) -> None:
    """The newest come first, each with its owner and age; a long list is cut."""
    pods = [task_pod(f"pod-{n}", "bob", "train", age=60 * (n + 1)) for n in range(MAX_CANDIDATES + 2)]
    connect(FakeApi(*reversed(pods)))
    with pytest.raises(InputError, match=r"^10 tasks are named 'train' in test/n: pod-0 ") as caught:
        find("train")
    assert "(bob, 60 s old), pod-1 (bob, 2 min old)" in caught.value.message
    assert caught.value.message.endswith("pod-7 (bob, 8 min old), and 2 more.")


def test_pod_that_podtask_has_not_created_is_refused(connect: Connect) -> None:
    """It is named as such, and not as missing."""
    pod = task_pod("db-0")
    del pod.pod["metadata"]["labels"][MANAGED_BY]
    connect(FakeApi(pod))
    with pytest.raises(InputError, match="The pod db-0 in test/n does not run a podtask task"):
        find("db-0")


def test_missing_task_is_named_with_its_namespace(connect: Connect) -> None:
    """The hint says what may have become of it."""
    connect(FakeApi(task_pod("a")))
    with pytest.raises(InputError, match="'gone' not found in test/n") as caught:
        find("gone")
    assert "Its result was fetched, or it was deleted" in caught.value.hint


def test_invalid_name_is_not_sent_to_the_api_server(connect: Connect) -> None:
    """It would be part of a path or of a selector."""
    api = connect(FakeApi(task_pod("a")))
    with pytest.raises(InputError):
        find("a,podtask/user=bob")
    assert api.requests == []
