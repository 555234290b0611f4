"""Service accounts with some rights in a namespace, made in one go: each has its own session with the API server."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from podtask.cluster.authentication import Login
from podtask.cluster.client import Api
from podtask.cluster.credentials import Access, load_access

RBAC = "rbac.authorization.k8s.io"
Rule = dict[str, list[str]]


def rule(resource: str, *verbs: str) -> Rule:
    """Return a rule of a Role for a resource of the core group."""
    return {"apiGroups": [""], "resources": [resource], "verbs": [*verbs]}


class Accounts:
    """Service accounts that are made when they are needed.

    Args:
        namespace: Namespace of the accounts and of their rights.
        admin: The administrator's access.
        restricted_kubeconfig: Makes the kubeconfig of one account, and waits until its rights are in force.
        monkeypatch: Sets KUBECONFIG for a moment.
    """

    def __init__(
        self,
        namespace: str,
        admin: Access,
        restricted_kubeconfig: Callable[[list[Rule]], Path],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self._namespace = namespace
        self._admin = admin
        self._restricted_kubeconfig = restricted_kubeconfig
        self._monkeypatch = monkeypatch

    @asynccontextmanager
    async def sessions(self, rights: Iterable[Iterable[Rule]]) -> AsyncIterator[tuple[Api, list[Api]]]:
        """Yield the administrator's session, and that of an account for each list of rules."""
        admin = Api(Login(self._admin))
        accounts: list[Api] = []
        try:
            making = (self._make(admin, f"account-{n}", rules) for n, rules in enumerate(rights))
            tokens = await asyncio.gather(*making)
            # Roles come into force in the order in which they were made: that of the next account is the last.
            config = await asyncio.to_thread(self._restricted_kubeconfig, [rule("pods", "get")])
            with self._monkeypatch.context() as patch:
                patch.setenv("KUBECONFIG", str(config))
                access = load_access(None)
            for token in tokens:
                headers = {"Authorization": f"Bearer {token}"}
                own = dataclasses.replace(access, headers=headers.copy)
                accounts.append(Api(Login(own)))
            yield admin, accounts
        finally:
            for api in (admin, *accounts):
                await api.close()

    async def _make(self, admin: Api, name: str, rules: Iterable[Rule]) -> str:
        """Make an account with some rights; return a token of it."""
        core, rbac = (f"/{group}/namespaces/{self._namespace}" for group in ("api/v1", f"apis/{RBAC}/v1"))
        metadata = {"name": name}
        subjects = [{"kind": "ServiceAccount", "name": name, "namespace": self._namespace}]
        binding: dict[str, Any] = {"metadata": metadata, "subjects": subjects}
        binding["roleRef"] = {"apiGroup": RBAC, "kind": "Role", "name": name}
        await admin.request("POST", f"{core}/serviceaccounts", {"metadata": metadata})
        await admin.request("POST", f"{rbac}/roles", {"metadata": metadata, "rules": [*rules]})
        await admin.request("POST", f"{rbac}/rolebindings", binding)
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        made = await admin.request("POST", f"{core}/serviceaccounts/{name}/token", review)
        return str(made["status"]["token"])
