"""Keep the credentials of a session valid: read them again when they expire."""

from __future__ import annotations

import asyncio
import dataclasses
import time

from ..errors import ClusterError, PodtaskError
from . import current_context
from .credentials import IN_CLUSTER_CONTEXT, LOGIN_HINT, Access, load_access
from .login_program import one_line, run_in_thread

LOGIN_SECONDS = 60.0  # the login program may wait for a person, or for a distant server
RENEW_SECONDS = 5.0  # between two attempts to read new credentials: each may run a program


class Login:
    """Hold the credentials of one session and renew them.

    Args:
        access: The first credentials.
        context: Name of the kubeconfig context; None for the current one.

    Attributes:
        access: The current credentials.
    """

    def __init__(self, access: Access, context: str | None = None) -> None:
        self.access = access
        self._renewal_error = ""
        self._context = context
        self._renewing = asyncio.Lock()
        self._renewed = -RENEW_SECONDS

    @classmethod
    async def for_context(cls, context: str | None) -> Login:
        """Return the login of a context; without one, of the context that was current when it was first used.

        Raises:
            PodtaskError: No cluster is configured, or the credentials cannot be read.
        """
        if context is not None:
            return cls(await _read(context), context)
        before = await asyncio.to_thread(current_context.stamp)
        access = await _read(current_context.first_context())
        current_context.remember(access, before)
        return cls(access, access.context if access.context != IN_CLUSTER_CONTEXT else None)

    async def headers(self) -> dict[str, str]:
        """Return the headers of the next request.

        Raises:
            ClusterError: The credentials cannot be read.
        """
        access = self.access
        if not access.slow:
            return access.headers()
        name = f"of context {access.context!r}"
        try:
            return await run_in_thread(access, access.headers, LOGIN_SECONDS)
        except PodtaskError:
            raise
        except asyncio.TimeoutError:
            raise _timed_out(name) from None
        except Exception as error:
            raise _failed(name, error) from error

    async def renew(self, refused: Access) -> bool:
        """Read the credentials again after a 401 and return whether they differ from the refused ones.

        They differ after a new login, or if the token or certificate was rotated.

        Args:
            refused: The credentials that the API server refused.
        """
        async with self._renewing:
            if self.access is not refused:
                return True  # renewed for another request
            if time.monotonic() - self._renewed < RENEW_SECONDS:
                return False
            self._renewal_error = ""
            try:
                access = await _read(self._context)
                same = access.certificate == refused.certificate and await run_in_thread(
                    (access, refused), lambda: access.headers() == refused.headers(), LOGIN_SECONDS
                )
            except PodtaskError as error:
                self._renewal_error, same = error.message, True
            except Exception as error:  # noqa: BLE001 -- shown with the refusal
                self._renewal_error, same = one_line(error), True
            self._renewed = time.monotonic()
            if same or access.host != refused.host:
                return False
            self.access = dataclasses.replace(access, namespace=refused.namespace)
            return True

    def refusal_status(self) -> dict[str, str]:
        """Return a Kubernetes Status for a 401.

        Its message is the error from renewing the credentials, if that failed.
        """
        return {"reason": "Unauthorized", "message": self._renewal_error or "Unauthorized"}


async def _read(context: str | None) -> Access:
    name = f"of context {context!r}" if context else "of the current context"
    try:
        return await run_in_thread(("load", context), lambda: load_access(context), LOGIN_SECONDS)
    except PodtaskError:
        raise
    except asyncio.TimeoutError:
        raise _timed_out(name) from None
    except Exception as error:
        raise _failed(name, error) from error


def _timed_out(name: str) -> ClusterError:
    return ClusterError(
        f"Timed out after {LOGIN_SECONDS:g} s while reading the credentials {name}: "
        "the login program of the kubeconfig is still running.",
        LOGIN_HINT,
    )


def _failed(name: str, error: Exception) -> ClusterError:
    return ClusterError(f"Cannot get the credentials {name}: {one_line(error)}", LOGIN_HINT)
