"""Errors for requests that the API server refuses. Pure.

The tree: ``ApiError`` is the server's answer as it came. ``Namespace`` turns it into a ``Refusal``,
which a user can understand: ``RequestDenied`` for any request, ``PodRejected`` for a pod that the server
does not accept.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from ..errors import ClusterError, InputError, PodtaskError
from .admission import FAILED_WEBHOOK, admission_hint

MAX_RETRY_SECONDS = 30.0


class ApiError(Exception):
    """The API server answered with a Status other than success.

    Attributes:
        code: Code of the HTTP answer.
        reason: Reason of its Status, such as "AlreadyExists".
        message: Message of its Status.
        details: Details of its Status.
        retry_seconds: Seconds to wait before the next request (Retry-After); 0 if not given.
    """

    def __init__(self, code: int, status: dict[str, Any], retry_after: str = "") -> None:
        super().__init__(code, status.get("message", ""))
        self.code = code
        self.reason = str(status.get("reason", ""))
        self.message = str(status.get("message", ""))[:2000]
        self.details: dict[str, Any] = status.get("details") or {}
        self.retry_seconds = min(MAX_RETRY_SECONDS, float(retry_after)) if retry_after.isdecimal() else 0.0


class Refusal(PodtaskError):
    """A request that the API server refused, in words for the user.

    Attributes:
        code: Code of the HTTP answer.
        reason: Reason of its Status.
        server_message: Message of its Status.
        retry_seconds: Seconds to wait before the next request; 0 if not given.
    """

    code = 0
    reason = ""
    server_message = ""
    retry_seconds = 0.0

    @property
    def is_gone(self) -> bool:
        """Whether the object of a deletion is gone, even if another one has its name now."""
        return self.code == 404 or (self.code == 409 and "precondition" in self.server_message.lower())


R = TypeVar("R", bound=Refusal)


class RequestDenied(Refusal, ClusterError):
    """The API server refused a request, and not because of the pod in it."""


class PodRejected(Refusal, InputError):
    """The API server does not accept a pod."""


# The classes that a user can catch. Jupyter's error message takes the name (ename) from the class itself.
RequestDenied.__name__ = ClusterError.__name__
PodRejected.__name__ = InputError.__name__


def rejection_error(error: ApiError, context: str, namespace: str, primary: str) -> Refusal:
    """Return the error for a pod that the API server does not accept.

    Args:
        error: The server's answer.
        context: Name of the kubeconfig context.
        namespace: Namespace of the pod.
        primary: Name of the pod's primary container.
    """
    message = error.message
    may_not = error.code == 403 and "cannot create resource" in message
    is_away = (error.code >= 500 or error.code == 429) and FAILED_WEBHOOK not in message
    if error.code == 401 or may_not or is_away:
        return denial_error(error, "create", "pods", f"{context}/{namespace}")
    return _with_answer(PodRejected(*_explain_rejection(error, context, namespace, primary)), error)


def denial_error(error: ApiError, verb: str, resource: str, where: str) -> RequestDenied:
    """Return the error for a request that was refused for another reason than the pod in it.

    Args:
        error: The server's answer.
        verb: Verb of the right that the request needs.
        resource: Resource of that right.
        where: Context and namespace, separated by a slash.
    """
    return _with_answer(RequestDenied(*_explain_denial(error, verb, resource, where)), error)


def expired_message(context: str, message: str) -> str:
    """Return what a 401 means, as a sentence without its full stop.

    Args:
        context: Name of the kubeconfig context.
        message: Message of the refusal; more than "Unauthorized" if the login itself fails.
    """
    details = "" if message in ("", "Unauthorized") else f" ({message.rstrip('.')})"
    return f"The credentials of context {context!r} have expired or are invalid{details}"


def _with_answer(refusal: R, error: ApiError) -> R:
    refusal.code = error.code
    refusal.reason = error.reason
    refusal.server_message = error.message
    refusal.retry_seconds = error.retry_seconds
    return refusal


def _explain_rejection(error: ApiError, context: str, namespace: str, primary: str) -> tuple[str, str]:
    where = f"{context}/{namespace}"
    if error.code == 404 and error.details.get("kind") == "namespaces":
        return (
            f"Namespace {namespace!r} does not exist in context {context!r}.",
            "Choose another one with -n; `kubectl get namespaces` lists them.",
        )
    text = " ".join(error.message.split())
    hint = admission_hint(text, namespace, primary)
    if hint:
        # The message starts with the name of the pod and the kind of the answer.
        message = re.sub(r'^.*?pods "[^"]*" is (forbidden|invalid): ', "", text)
        return f"The API server rejected the pod in {where}: {message}", hint
    causes = error.details.get("causes") or []
    if causes:
        listed = "\n".join(f"  {each.get('field', '')}: {each.get('message', '')}" for each in causes[:10])
        return f"The API server rejected the pod:\n{listed}", "Change these fields of the template."
    return (
        f"The API server rejected the pod in {where}: {text}",
        "Change the template, or ask the cluster's administrator.",
    )


def _explain_denial(error: ApiError, verb: str, resource: str, where: str) -> tuple[str, str]:
    if error.code == 401:
        return f"{expired_message(where.partition('/')[0], error.message)}.", "Log in again."
    if error.code == 403:
        return (
            f"You may not {verb} {resource} in {where} (verb {verb}, resource {resource}).",
            "Ask for a Role with this right, or choose another namespace with -n.",
        )
    return f"The API server of {where} answered with {error.code}: {error.message}", "Try again later."
