"""Errors for an API server that cannot be reached, in words for the user. Pure."""

from __future__ import annotations

import ssl
import urllib.parse

import aiohttp

from ..errors import ClusterError
from .credentials import Access

REACH_HINT = (
    "Check the cluster and the VPN with `kubectl get --raw /readyz`, or run on this machine with --local."
)
# Codes of OpenSSL (X509_V_ERR_*).
NOT_YET_VALID, EXPIRED = 9, 10
UNKNOWN_ISSUER_CODES = (2, 7, 18, 19, 20, 21)  # 7: a new cluster with an authority of the same name
WRONG_HOST_CODES = (62, 64)


class Unreachable(ClusterError):
    """The API server cannot be reached at the moment.

    Attributes:
        connected: Whether there was a connection: the request may or may not have taken effect.
    """

    connected = False


class StreamRefused(ConnectionError):
    """The API server, or a proxy before it, does not open a stream. Its text says how in a few words."""


class CertificateRejected(ClusterError):
    """The API server's certificate is not accepted. Another attempt does not help."""


def connection_error(error: Exception, access: Access) -> Unreachable | CertificateRejected:
    """Return the error for a request that got no answer.

    Args:
        error: Error of the HTTP library.
        access: Address of the API server.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        certificate_error = error.certificate_error
        if isinstance(certificate_error, ssl.SSLCertVerificationError):
            return CertificateRejected(*_explain_certificate(certificate_error, access))
    unreachable = Unreachable(
        f"Cannot reach the API server of context {access.context!r}: {error_text(error)}", REACH_HINT
    )
    before = (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        aiohttp.ClientHttpProxyError,
        aiohttp.InvalidURL,
    )
    unreachable.connected = not isinstance(error, before)
    return unreachable


def error_text(error: Exception) -> str:
    """Return an error of the HTTP library in one line."""
    return str(error) or type(error).__name__


def _explain_certificate(error: ssl.SSLCertVerificationError, access: Access) -> tuple[str, str]:
    address = urllib.parse.urlsplit(access.host).netloc
    certificate = f"The certificate of {address}, the API server of context {access.context!r},"
    code = error.verify_code
    if code == EXPIRED:
        return (
            f"{certificate} has expired.",
            "Ask the cluster's administrator to renew it, and check the clock of this machine.",
        )
    if code == NOT_YET_VALID:
        return f"{certificate} is not valid yet.", "Check the clock of this machine."
    if code in UNKNOWN_ISSUER_CODES:
        return (
            f"{certificate} is signed by an authority that the kubeconfig does not trust: "
            f"{error.verify_message}.",
            "Get the cluster's kubeconfig again. If a proxy replaces certificates, add its CA to "
            "certificate-authority-data.",
        )
    if code in WRONG_HOST_CODES:
        return (
            f"{certificate} is for another host: {error.verify_message.rstrip('.')}.",
            "Use a name of the certificate as the server in the kubeconfig, or set tls-server-name there.",
        )
    return (
        f"{certificate} is not accepted: {error.verify_message}.",
        "`kubectl get --raw /readyz` checks the same certificate; ask the cluster's administrator.",
    )
