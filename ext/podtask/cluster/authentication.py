"""Who this kernel is to an API server as time goes on: credentials expire, and are read anew."""

from __future__ import annotations

import asyncio
import time

from ..errors import ClusterError, PodtaskError
from .credentials import LOGIN, Access, load
from .login_program import aside, said

LOGIN_SECONDS = 60.0  # for a program that asks a person, or a server far away
RENEW_SECONDS = 5.0  # between two looks for new credentials: such a program may run each time


class Login:
    """The credentials of one session.

    Args:
        access: they, at first.
        context: of the kubeconfig, None for the current one.

    Attributes:
        access: they, now.
    """

    def __init__(self, access: Access, context: str | None = None) -> None:
        self.access = access
        self._trouble = ""
        self._context = context
        self._renewing = asyncio.Lock()
        self._renewed = -RENEW_SECONDS

    @classmethod
    async def for_context(cls, context: str | None) -> Login:
        """Returns the credentials of a context.

        Raises:
            PodtaskError: no cluster is configured, or they cannot be had.
        """
        return cls(await _read(context), context)

    async def headers(self) -> dict[str, str]:
        """Returns the headers of the next request.

        Raises:
            ClusterError: the credentials cannot be had, and why.
        """
        access = self.access
        if not access.slow:
            return access.headers()
        name = f"of context {access.context!r}"
        try:
            return await aside(access, access.headers, LOGIN_SECONDS)
        except asyncio.TimeoutError:
            raise _late(name) from None
        except Exception as error:
            raise _failed(name, error) from error

    async def renew(self, refused: Access) -> bool:
        """Reads the credentials anew after a 401; returns whether others are there than were refused.

        They are somebody's who has logged in again, or whose token or certificate was rotated.
        """
        async with self._renewing:
            if self.access is not refused:
                return True  # done for another request
            if time.monotonic() - self._renewed < RENEW_SECONDS:
                return False
            self._trouble = ""
            try:
                found = await _read(self._context)
                same = found.certificate == refused.certificate and await aside(
                    (found, refused), lambda: found.headers() == refused.headers(), LOGIN_SECONDS
                )
            except PodtaskError as error:
                self._trouble, same = error.message, True
            except Exception as error:  # noqa: BLE001 -- told by who was refused
                self._trouble, same = said(error), True
            self._renewed = time.monotonic()
            if same or found.host != refused.host:
                return False
            self.access = found
            return True

    def refused(self) -> dict[str, str]:
        """Returns the Status of who is refused, with why there are no newer credentials."""
        return {"reason": "Unauthorized", "message": self._trouble or "Unauthorized"}


async def _read(context: str | None) -> Access:
    name = f"of context {context!r}" if context else "of the current context"
    try:
        return await aside(("load", context), lambda: load(context), LOGIN_SECONDS)
    except PodtaskError:
        raise
    except asyncio.TimeoutError:
        raise _late(name) from None
    except Exception as error:
        raise _failed(name, error) from error


def _late(name: str) -> ClusterError:
    return ClusterError(
        f"Timed out after {LOGIN_SECONDS:g} s while reading the credentials {name}: "
        "the login program of the kubeconfig is still running.",
        LOGIN,
    )


def _failed(name: str, error: Exception) -> ClusterError:
    return ClusterError(f"Cannot get the credentials {name}: {said(error)}", LOGIN)
