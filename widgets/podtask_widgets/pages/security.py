"""The page of as whom a pod runs, and what it may."""

from __future__ import annotations

from typing import Any

from podtask.presets import restricted

from ..converters import WHOLE
from ..draft import Draft
from ..field_refs import FieldRef, at, entries, filled
from ..inputs import YES_NO
from ..list_editors import Entry, Items
from ..page import Page

CLAIMS = (
    "spec.serviceAccountName",
    "spec.automountServiceAccountToken",
    "spec.imagePullSecrets",
    "spec.securityContext",
    "@.securityContext",
)


def count(draft: Draft) -> int:
    """Returns how many pull secrets there are, and settings of the pod and its primary container."""
    identity = [draft.field(name) for name in ("serviceAccountName", "automountServiceAccountToken")]
    contexts = draft.field("securityContext"), at(draft.container, "securityContext")
    return entries(draft.field("imagePullSecrets"), *contexts) + filled(*identity)


def build(page: Page) -> list[Any]:
    """Returns the page's widgets."""
    draft = page.draft
    pod, own = draft.field("securityContext"), at(draft.container, "securityContext")

    def number(place: FieldRef, name: str, label: str) -> Any:
        return page.field(page.text(at(place, name), label, WHOLE, hint="the image's"))

    def yes_no(place: FieldRef, name: str, label: str) -> Any:
        return page.field(page.choice(at(place, name), label, YES_NO))

    def restrict() -> None:
        page.replace(draft.template().with_(restricted()))

    def secret(entry: Entry) -> list[Any]:
        return [
            page.text(
                at(entry.place, "name"),
                f"Pull secret {entry.number}",
                hint="secret",
                kind="secret",
                after=entry.write,
            ).widget
        ]

    account = page.text(
        draft.field("serviceAccountName"), "Service account", kind="service account", hint="default"
    )
    return [
        page.head("Identity in the cluster"),
        page.grid(
            page.field(account, "Its token is mounted only where one is named"),
            yes_no(draft.spec, "automountServiceAccountToken", "Mount its token"),
        ),
        page.head("Image pull secrets", "for private registries"),
        Items(page, draft.field("imagePullSecrets"), "pull secret", secret, "minmax(0,1fr)").box,
        page.head("All containers"),
        page.grid(
            number(pod, "runAsUser", "Run as user (number)"),
            number(pod, "runAsGroup", "Run as group (number)"),
            number(pod, "fsGroup", "Group of volumes (number)"),
            yes_no(pod, "runAsNonRoot", "Must not be root"),
        ),
        page.head("Primary container"),
        page.grid(
            yes_no(own, "readOnlyRootFilesystem", "Root file system is read only"),
            yes_no(own, "allowPrivilegeEscalation", "May gain privileges"),
        ),
        page.button("Set all that Pod Security “restricted” wants", restrict),
    ]
