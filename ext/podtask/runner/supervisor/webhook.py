"""Call the webhook of ``--notify`` in a process of its own, so that it holds nothing back."""

import json
import os
import select
import signal
from typing import Any, Dict, Iterable

from ..debug_log import logger
from ..notification import notification

CALL_SECONDS = 10
# Once no notebook needs the runner any more: the pod is deleted then, with a grace period of 5 s or more.
RELEASED_SECONDS = 4
PROXY_REFUSAL = "Tunnel connection failed: "  # from http.client
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM)


class WebhookCall:
    """One call of a webhook. The address is in none of its texts.

    Args:
        url: Address of the webhook.
        name: Name of the task.
        status: How it has ended.
        seconds: How long it ran.
        to_close: Files and sockets of the supervisor, which the process closes.

    Attributes:
        answer: Descriptor that becomes readable when the call has ended.
    """

    def __init__(self, url: str, name: str, status: str, seconds: float, to_close: Iterable[Any]) -> None:
        self.answer, end = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # the supervisor's handlers must not run in it
        self._pid = os.fork()
        if self._pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                signal.alarm(CALL_SECONDS)  # ends the process; the timeout of a socket is for each operation
                for each in to_close:
                    each.close()
                problem = _call(url, notification(name, status, seconds))
                os.write(end, json.dumps({"problem": problem}).encode())
            finally:
                os._exit(0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(end)

    def finish(self, wait_seconds: float) -> str:
        """End the call, and return why it failed; empty if the webhook has accepted the notification.

        Args:
            wait_seconds: How long to wait for its end.
        """
        limit = CALL_SECONDS
        if not select.select([self.answer], [], [], wait_seconds)[0]:
            limit = RELEASED_SECONDS
            os.kill(self._pid, signal.SIGKILL)
        with os.fdopen(self.answer, "rb") as answer:
            text = answer.read()
        problem = str(json.loads(text)["problem"]) if text else f"no answer within {limit} s"
        logger.debug("the webhook was called: %s", problem or "it has accepted the notification")
        return problem


def _call(url: str, message: Dict[str, Any]) -> str:
    """Send a message; return why that failed, empty on success."""
    # Start-up cost: only the process of the call needs them.
    import urllib.error

    # Start-up cost: likewise.
    import urllib.request

    class NoRedirects(urllib.request.HTTPRedirectHandler):
        """Refuses to repeat a request elsewhere: it would lose its body, and the answer would pass for success."""

        def redirect_request(self, *_: Any) -> None:
            """Return nothing, so that the redirect is an error."""

    headers = {"Content-Type": "application/json", "User-Agent": "podtask"}
    try:
        # The notebook has checked that the scheme is http or https.
        request = urllib.request.Request(url, json.dumps(message).encode(), headers)  # noqa: S310
        with urllib.request.build_opener(NoRedirects).open(request):
            return ""
    except urllib.error.HTTPError as error:
        return f"it answered with HTTP status {error.code}"
    except Exception as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, OSError) and reason.strerror and not type(reason).__name__.startswith("SSL"):
            return str(reason.strerror)
        if str(reason).startswith(PROXY_REFUSAL):
            return f"the proxy answered with HTTP status {str(reason)[len(PROXY_REFUSAL) :].split()[0]}"
        if type(reason).__name__ == "SSLCertVerificationError":
            return "the container does not trust its certificate"
        if isinstance(reason, str):
            return reason  # "unknown url type: https", where Python has no TLS
        return type(reason).__name__  # its text may contain the address


def problem_note(name: str, problem: str) -> str:
    """Return the line for the user about a call that failed."""
    return (
        f"{name}: the webhook of --notify has not accepted the notification: {problem}. "
        "Check notify_url in your settings, and that the container may connect to it."
    )
