"""Why the API server refuses a pod, in words. Pure."""

from __future__ import annotations

import re
from typing import Any

from ..errors import ClusterError, InputError, PodtaskError

# Part of the message -> what to do. The message itself says what is wrong.
# Source: plugin/pkg/admission/*, staging/src/k8s.io/apiserver/pkg/admission of Kubernetes 1.35.
ADMISSION = (
    (
        r"exceeded quota: (?P<what>[^,]+),",
        "Quota {what} of namespace {namespace} is used up: end other pods, ask for less (resources in "
        "the template, --cpu, --memory, --gpu), or name another namespace with -n.",
    ),
    (
        r"failed quota: (?P<what>[^:]+): must specify (?P<more>[\w.,-]+)",
        "Quota {what} of namespace {namespace} wants {more} set: give resources in the template, or "
        "--cpu and --memory.",
    ),
    (
        r"(maximum|minimum) \S+ usage per|(maximum|max) limit to request ratio",
        "A LimitRange of namespace {namespace}: change resources in the template, or --cpu and --memory.",
    ),
    (
        r"violates PodSecurity",
        "Set what it names (securityContext, volumes, hostPath) in the template, or name another namespace with -n.",
    ),
    (
        r'serviceaccount "(?P<what>[^"]+)" not found',
        "Create service account {what!r} in namespace {namespace}, or change: spec.serviceAccountName.",
    ),
    (
        r"no PriorityClass with name (?P<what>\S+)",
        "`kubectl get priorityclasses` lists them; change: spec.priorityClassName.",
    ),
    (r"RuntimeClass|runtimeclass", "`kubectl get runtimeclasses` lists them; change: spec.runtimeClassName."),
    (
        r'failed calling webhook "(?P<what>[^"]+)"',
        "Webhook {what!r} does not answer: try again, or ask who runs the cluster.",
    ),
    (
        r'admission webhook "(?P<what>[^"]+)" denied|ValidatingAdmissionPolicy \'(?P<policy>[^\']+)\'',
        "A policy of the cluster: change what it names in the template, or ask who runs the cluster.",
    ),
)


def refusal(code: int, message: str, details: dict[str, Any], context: str, namespace: str) -> PodtaskError:
    """Returns the error for a pod that the API server does not take.

    Args:
        code: of the HTTP answer.
        message: of its Status.
        details: of its Status.
        context: of the kubeconfig.
        namespace: of the pod.
    """
    where = f"{context}/{namespace}"
    if code == 404 and details.get("kind") == "namespaces":
        return InputError(
            f"Namespace {namespace!r} does not exist in context {context!r}.",
            "Name another with -n; `kubectl get namespaces` lists them.",
        )
    if code == 401 or (code == 403 and "cannot create resource" in message):
        return denied(code, message, "create", "pods", where)
    text = " ".join(message.split())
    for pattern, do in ADMISSION:
        match = re.search(pattern, text)
        if match:
            # What stands before it is the name of the pod and of the answer.
            say = re.sub(r'^.*?pods "[^"]*" is (forbidden|invalid): ', "", text)
            return InputError(
                f"The API server refuses the pod in {where}: {say}",
                do.format(namespace=repr(namespace), **match.groupdict()),
            )
    causes = details.get("causes") or []
    if causes:
        listed = "\n".join(f"  {each.get('field', '')}: {each.get('message', '')}" for each in causes[:10])
        return InputError(
            f"The API server refuses the pod:\n{listed}", "Change these fields of the template."
        )
    return InputError(
        f"The API server refuses the pod in {where}: {text}",
        "Change the template, or ask who runs the cluster.",
    )


def denied(code: int, message: str, verb: str, resource: str, where: str) -> ClusterError:
    """Returns the error for a request that is not about what a pod has in it.

    Args:
        code: of the HTTP answer.
        message: of its Status.
        verb: of the right that it takes.
        resource: of that right.
        where: context/namespace.
    """
    if code == 401:
        return ClusterError(f"{expired(where.partition('/')[0], message)}.", "Log in again.")
    if code == 403:
        return ClusterError(
            f"You may not {verb} {resource} in {where} (verb {verb}, resource {resource}).",
            "Ask for a Role with it, or name another namespace with -n.",
        )
    return ClusterError(f"The API server of {where} answers {code}: {message}", "Try again later.")


def expired(context: str, message: str) -> str:
    """Returns what a 401 means, as a sentence without its full stop.

    Args:
        context: of the kubeconfig.
        message: of the refusal; more than "Unauthorized" where the login itself fails.
    """
    more = "" if message in ("", "Unauthorized") else f" ({message.rstrip('.')})"
    return f"The credentials of context {context!r} are expired or wrong{more}"
