"""The name of the user: its sources in order, and which names are a person's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from podtask.errors import ClusterError
from podtask.manage import user
from podtask.manage.user import User, current_user, person_name
from podtask.manifest.identity import KERNEL_ID

pytestmark = pytest.mark.fault(85)
ROLE = "arn:aws:sts::123456789012:assumed-role/DataScience"


class Asked:
    """A namespace whose API server knows the user by a name."""

    def __init__(self, username: str = "", error: Exception | None = None, groups: Any = ()) -> None:
        self.times = 0
        self._info = {"username": username, "groups": list(groups)}
        self._error = error

    async def user_info(self) -> dict[str, Any]:
        """Return the UserInfo."""
        self.times += 1
        if self._error is not None:
            raise self._error
        return self._info


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file with the random name, which does not exist yet; no variable names the user."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for variable in user.USER_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    return tmp_path / "podtask" / "user"


def name(asked: Asked) -> str:
    found: User = asyncio.run(current_user(asked))  # type: ignore[arg-type]
    return found.name


def test_sources_of_the_name_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source comes before the next one; the API server is asked only without a variable."""
    monkeypatch.setattr("getpass.getuser", lambda: "of-os")
    assert name(Asked("system:admin")) == "of-os"
    assert name(Asked("of-cluster")) == "of-cluster"
    asked = Asked("of-cluster")
    monkeypatch.setenv("JUPYTERHUB_USER", "of-hub")
    assert name(asked) == "of-hub"
    monkeypatch.setenv("PODTASK_USER", "of-podtask")
    assert name(asked) == "of-podtask"
    monkeypatch.setenv("PODTASK_USER", "***")  # no letter of it can be in a label
    assert name(asked) == "of-hub"
    assert asked.times == 0


@pytest.mark.parametrize("os_user", ["root", "jovyan"])
def test_user_of_an_image_is_not_a_name(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, os_user: str
) -> None:
    """A random name takes its place, the same one in every kernel."""
    monkeypatch.setattr("getpass.getuser", lambda: os_user)
    first = name(Asked("system:serviceaccount:n:notebook"))
    assert first == name(Asked()) == data_folder.read_text()
    assert first.startswith("user-")
    assert os_user not in first


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 1234"), OSError("No username set")])
def test_user_id_without_a_name_has_a_random_one(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As OpenShift runs containers."""

    def getuser() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", getuser)
    assert name(Asked()) == data_folder.read_text()


def test_random_name_is_the_kernels_where_it_cannot_be_kept(data_folder: Path) -> None:
    """Two kernels of such users never take each other's tasks for their own."""
    data_folder.parent.parent.joinpath("podtask").write_text("a file in place of the folder")
    assert name(Asked()) == f"user-{KERNEL_ID}"


@pytest.mark.parametrize("error", [ClusterError("no answer"), asyncio.TimeoutError()])
def test_api_server_that_does_not_answer_is_no_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The next source counts."""
    monkeypatch.setattr("getpass.getuser", lambda: "of-os")
    assert name(Asked(error=error)) == "of-os"


@pytest.mark.parametrize(
    ("username", "groups", "expected"),
    [
        ("alice@example.com", ["system:authenticated"], "alice@example.com"),
        ("oidc:alice", [], "oidc:alice"),
        ("system:admin", [], ""),
        ("system:anonymous", [], ""),
        ("system:serviceaccount:n:default", [], ""),
        ("kubernetes-admin", ["kubeadm:cluster-admins"], ""),
        ("kubernetes-super-admin", [], ""),
        ("minikube-user", ["system:masters"], ""),
        ("", [], ""),
        (f"{ROLE}/botocore-session-1700000000", [], ROLE),
        (f"{ROLE}/alice@example.com", [], ROLE),
        (ROLE.replace("aws", "aws-cn") + "/i-0abc", [], ROLE.replace("aws", "aws-cn")),
        ("arn:aws:iam::123456789012:user/alice", [], "arn:aws:iam::123456789012:user/alice"),
    ],
)
def test_names_that_are_a_persons(username: str, groups: list[str], expected: str) -> None:
    """Accounts of services and of administrators are shared; each login to AWS has another session."""
    assert person_name({"username": username, "groups": groups}) == expected


@pytest.mark.parametrize("user_info", [{}, {"username": None, "groups": None}])
def test_answer_without_a_name_is_none(user_info: dict[str, Any]) -> None:
    """An API server may leave fields out."""
    assert person_name(user_info) == ""


def test_different_names_have_different_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label has 63 characters of ASCII: longer names, and those with other letters, keep a digest."""
    issuer = "https://sts.windows.net/0a1b2c3d-0000-1111-2222-333344445555/#"
    names = [f"{issuer}alice", f"{issuer}bob", "Müller", "Möller", "田中", "中田"]
    labels = [name(Asked(each)) for each in names]
    assert len(set(labels)) == len(names)
    assert all(len(label) <= 63 and label.isascii() and label[0].isalnum() for label in labels)
    assert name(Asked("alice@example.com")) == "alice-example.com"
