"""What a deletion and a clean-up request, and what they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from podtask.errors import InputError
from podtask.manage.operations import CleanupResult, clean_up, delete_task, delete_task_pods, read_log
from podtask.manifest import owner_secrets
from podtask.manifest.identity import Identity

from .cluster import OPTIONS, FakeApi, ended, fetched, in_log, task_pod

Connect = Callable[[FakeApi], FakeApi]


@pytest.mark.fault(85)
@pytest.mark.parametrize(("force", "grace"), [(False, {}), (True, {"gracePeriodSeconds": 0})])
def test_deletion_is_of_this_pod_only(connect: Connect, force: bool, grace: dict[str, int]) -> None:
    """The request carries the UID: a new pod of the same name stays. Its secret goes, too."""
    api = connect(FakeApi(task_pod("podtask-a", alias="train")))
    owner_secrets.save(Identity("podtask-a", "ab" * 32, "cd" * 32, 1))
    assert asyncio.run(delete_task("train", OPTIONS, finished=True, force=force)) == "podtask-a"
    [body] = [body for method, _, body in api.requests if method == "DELETE"]
    assert body == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": {"uid": "uid-of-podtask-a"},
        **grace,
    }
    assert not (owner_secrets.folder() / "podtask-a").exists()


@pytest.mark.fault(85, 90)
@pytest.mark.parametrize(
    "command",
    [
        lambda: delete_task("podtask-a", OPTIONS, finished=True),
        lambda: clean_up(OPTIONS),
        lambda: delete_task_pods([task_pod("podtask-a")], OPTIONS),
    ],
    ids=["delete", "gc", "task list"],
)
def test_deletion_keeps_the_secret_of_another_task_of_the_name(
    command: Callable[[], Coroutine[Any, Any, object]], connect: Connect
) -> None:
    """Whoever creates a pod in another namespace chooses its name and labels; the user's running task keeps its owner."""
    connect(FakeApi(task_pod("podtask-a", status=fetched())))
    own = Identity("podtask-a", "ef" * 32, "cd" * 32, 1)
    owner_secrets.save(own)
    asyncio.run(command())
    assert owner_secrets.load(own.name, own.key, own.lock) == own.secret
    owner_secrets.remove(own.name)


@pytest.mark.fault(85)
@pytest.mark.feature("N10")
@pytest.mark.parametrize("name", ["sweep", "map-0123456789"])
def test_map_is_deleted_as_a_whole(connect: Connect, name: str) -> None:
    """Its name, or the name that the user gave it, means all its workers; a command for one pod says so."""
    workers = [task_pod(each, alias="sweep", map_name="map-0123456789") for each in ("a", "b")]
    api = connect(FakeApi(*workers, task_pod("c")))
    with pytest.raises(InputError, match=r"is a map with 2 workers .*\n.*one of its pods: a, b\."):
        asyncio.run(read_log(name, None, OPTIONS))
    assert asyncio.run(delete_task(name, OPTIONS, finished=False)) == "map-0123456789"
    assert api.deleted == ["a", "b"]


@pytest.mark.fault(85)
def test_task_of_another_user_is_deleted_by_its_full_name_only(connect: Connect) -> None:
    """The error gives that name."""
    api = connect(FakeApi(task_pod("podtask-b", "bob", "train")))
    with pytest.raises(InputError, match="'train' is a task of bob, not yours") as caught:
        asyncio.run(delete_task("train", OPTIONS, finished=True))
    assert caught.value.hint.endswith("give its full name: podtask-b")
    assert api.deleted == []
    asyncio.run(delete_task("podtask-b", OPTIONS, finished=True))
    assert api.deleted == ["podtask-b"]


def test_cancel_keeps_a_task_that_has_ended(connect: Connect) -> None:
    """Its result may be the only copy."""
    api = connect(FakeApi(task_pod("podtask-a", alias="train", status=in_log())))
    with pytest.raises(InputError, match="podtask-a has ended: ok, in its log"):
        asyncio.run(delete_task("train", OPTIONS, finished=False))
    assert api.deleted == []


@pytest.mark.fault(86)
def test_clean_up_deletes_own_finished_pods_without_a_waiting_result(connect: Connect) -> None:
    """Results wait as long as ``keep`` says; running tasks and those of others stay."""
    pods = [
        task_pod("done", status=fetched()),
        task_pod("failed", status=ended(1)),
        task_pod("waits", alias="month", status=in_log(ago=100)),
        task_pod("runs"),
        task_pod("other", "bob", status=fetched()),
    ]
    api = connect(FakeApi(*pods))
    assert asyncio.run(clean_up(OPTIONS)) == CleanupResult(["done", "failed"], ["month"])
    assert sorted(api.deleted) == ["done", "failed"]
    assert asyncio.run(clean_up(OPTIONS, keep=99)).kept == []
    assert "waits" in api.deleted


@pytest.mark.fault(91)
def test_only_the_log_of_an_own_cell_may_control_the_terminal(connect: Connect) -> None:
    """The owner's secret decides whose task it is, not the label."""
    connect(FakeApi(task_pod("podtask-a"), logs={"podtask-a": "\x1b[1mbold\n"}))
    assert asyncio.run(read_log("podtask-a", None, OPTIONS)) == "\\x1b[1mbold\n"
    owner_secrets.save(Identity("podtask-a", "ab" * 32, "cd" * 32, 1))
    assert asyncio.run(read_log("podtask-a", None, OPTIONS)) == "\x1b[1mbold\n"


@pytest.mark.parametrize(
    ("container", "expected"),
    [(None, "Container 'primary' of a has no log yet"), ("redis", "a has no container 'redis'")],
)
def test_missing_log_is_explained(connect: Connect, container: str | None, expected: str) -> None:
    """A container that has not started is told apart from one that does not exist."""
    connect(FakeApi(task_pod("a", status={"phase": "Pending"}), logs={"a": 400}))
    with pytest.raises(InputError, match=expected):
        asyncio.run(read_log("a", container, OPTIONS))
