"""The Security page: service account, pull secrets and security contexts."""

from __future__ import annotations

from typing import Any

from ..converters import INTEGER
from ..draft import Draft
from ..field_refs import FieldRef, count_entries, count_set, field_ref
from ..inputs import YES_NO
from ..list_editors import Entry, ListEditor
from ..page import Page
from ..shortcuts import RESTRICTED

PAGE_PATHS = (
    "spec.serviceAccountName",
    "spec.automountServiceAccountToken",
    "spec.imagePullSecrets",
    "spec.securityContext",
    "@.securityContext",
)


def count(draft: Draft) -> int:
    """Return the number of pull secrets, and of the settings of the pod and its primary container."""
    identity = [draft.field(name) for name in ("serviceAccountName", "automountServiceAccountToken")]
    contexts = draft.field("securityContext"), field_ref(draft.container, "securityContext")
    return count_entries(draft.field("imagePullSecrets"), *contexts) + count_set(*identity)


def build(page: Page) -> list[Any]:
    """Return the page's widgets."""
    draft = page.draft
    pod_context = draft.field("securityContext")
    container_context = field_ref(draft.container, "securityContext")

    def integer(context: FieldRef, name: str, label: str) -> Any:
        return page.field(page.text_input(field_ref(context, name), label, INTEGER, placeholder="from image"))

    def yes_no(parent: FieldRef, name: str, label: str) -> Any:
        return page.field(page.dropdown(field_ref(parent, name), label, YES_NO))

    def pull_secret_widgets(entry: Entry) -> list[Any]:
        return [
            page.text_input(
                field_ref(entry.ref, "name"),
                f"Pull secret {entry.number}",
                placeholder="secret",
                kind="secret",
                on_change=entry.save,
            ).widget
        ]

    account = page.text_input(
        draft.field("serviceAccountName"), "Service account", kind="service account", placeholder="default"
    )
    return [
        page.heading("Identity in the cluster"),
        page.grid(
            page.field(account, "Its token is mounted only if an account is named"),
            yes_no(draft.spec, "automountServiceAccountToken", "Mount its token"),
        ),
        page.heading("Image pull secrets", "for private registries"),
        ListEditor(
            page, draft.field("imagePullSecrets"), "pull secret", pull_secret_widgets, "minmax(0,1fr)"
        ).box,
        page.heading("All containers"),
        page.grid(
            integer(pod_context, "runAsUser", "Run as user (UID)"),
            integer(pod_context, "runAsGroup", "Run as group (GID)"),
            integer(pod_context, "fsGroup", "Group of volumes (GID)"),
            yes_no(pod_context, "runAsNonRoot", "Require non-root user"),
        ),
        page.heading("Primary container"),
        page.grid(
            yes_no(container_context, "readOnlyRootFilesystem", "Read-only root file system"),
            yes_no(container_context, "allowPrivilegeEscalation", "Allow privilege escalation"),
        ),
        page.shortcut(RESTRICTED),
    ]
