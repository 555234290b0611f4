"""Who we are at which cluster, as kubeconfig or the pod's service account say.

The official library reads the files and runs exec plugins; nothing else of it is used.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import ssl
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ClusterError, InputError, nearest
from .login_program import listening, said

CLUSTER_PREFIX = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NO_CONTEXT = "in-cluster"  # what is shown in its place where there is no kubeconfig
LOGIN = "Run `kubectl get pods` in a terminal to see the output of the same login, and log in again."
HELP = "Set KUBECONFIG or run `kubectl config use-context`, or run on this machine with --local."


@dataclass(frozen=True)
class Access:
    """An API server and the right to talk to it.

    Args:
        host: URL of the API server.
        context: name of the kubeconfig's context, or NO_CONTEXT.
        namespace: the context's.
        tls: for https.
        server_name: what the certificate must be for, where it is not the host.
        proxy: URL of a proxy, or None.
        headers: returns the headers of a request.
        slow: ``headers`` may run a program or ask a server for a new token, so it may block.
        certificate: a digest of the client's certificate and key; empty where there is none.
    """

    host: str
    context: str
    namespace: str
    tls: ssl.SSLContext | None
    server_name: str | None
    proxy: str | None
    headers: Callable[[], dict[str, str]]
    slow: bool
    certificate: str = ""

    def kubectl(self, namespace: str, *words: str) -> str:
        """Returns a shell line of kubectl for this server, whichever context is current there."""
        context = [] if self.context == NO_CONTEXT else ["--context", self.context]
        return shlex.join(["kubectl", *context, "-n", namespace, *words])


def load(context: str | None) -> Access:
    """Returns the access of a context (None: the current one, else in-cluster). Blocks.

    Raises:
        InputError: no such context, or no cluster is configured.
        ClusterError: the credentials cannot be had.
    """
    config = _library()
    from kubernetes.client import Configuration

    settings = Configuration()
    files, proxy = _files(), None
    there = any(_home(file).exists() for file in files.split(os.pathsep) if file)
    try:
        if not there and (CLUSTER_PREFIX / "token").exists() and context is None:
            config.load_incluster_config(client_configuration=settings)
            name, namespace = NO_CONTEXT, (CLUSTER_PREFIX / "namespace").read_text().strip()
        elif not there:
            raise InputError(f"No cluster is configured: {files} does not exist.", HELP)
        else:
            name, namespace = _context(config, context, files)
            with listening() as heard:
                # By name: the library keeps the KUBECONFIG of its import.
                config.load_kube_config(files, context=name, client_configuration=settings)
            if heard:  # the login program's failure, which the library goes on without
                raise ClusterError(
                    f"Cannot get the credentials of context {name!r}: {said(heard[-1])}", LOGIN
                )
            proxy = _proxy_url(config, files, name)
    except config.ConfigException as error:
        raise ClusterError(
            f"Cannot read the kubeconfig {files}: {said(_first_line(error))}", HELP
        ) from None

    def headers() -> dict[str, str]:
        found = {}
        with listening():  # a token that is soon to expire is still good; a refused one is told of
            known: Any = settings.auth_settings()
        for setting in known.values():
            if setting["in"] == "header" and setting["value"]:
                found[setting["key"]] = setting["value"]
        return found

    return Access(
        settings.host.rstrip("/"),
        name,
        namespace,
        _tls(settings),
        getattr(settings, "tls_server_name", None),
        proxy or _proxy(settings.host),
        headers,
        settings.refresh_api_key_hook is not None,
        _digest(settings),
    )


def contexts() -> list[str]:
    """Returns the names of the kubeconfig's contexts; none where there is no such file. Blocks."""
    config = _library()
    try:
        known, _ = config.list_kube_config_contexts(config_file=_files())
    except config.ConfigException:
        return []
    return sorted(each["name"] for each in known)


def _library() -> Any:
    """Returns the client library's config module.

    Raises:
        ClusterError: it cannot be imported: it was removed, or another version of it is broken.
    """
    try:
        from kubernetes import config
    except ImportError as error:
        raise ClusterError(
            f"Cannot import the Kubernetes client library: {error}.",
            "Run %pip install -U 'kubernetes>=31,!=36.0.0' and restart the kernel, or run on this machine with --local.",
        ) from None
    return config


def _files() -> str:
    return os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())


def _home(file: str) -> Path:
    return Path(file).expanduser()


def _context(config: Any, wanted: str | None, files: str) -> tuple[str, str]:
    contexts, current = config.list_kube_config_contexts(config_file=files)
    known = {each["name"]: each["context"] for each in contexts or []}
    if wanted is not None and wanted not in known:
        raise InputError(
            f"--context: {files} has no context {wanted!r}.{nearest(wanted, known)}",
            f"Its contexts: {', '.join(sorted(known))}.",
        )
    if wanted is None and not current:
        raise InputError(f"No cluster is configured: {files} has no current context.", HELP)
    name = wanted or current["name"]
    return name, known[name].get("namespace") or "default"


def _proxy_url(config: Any, files: str, context: str) -> str | None:
    """Returns the proxy that the kubeconfig names for a context's cluster: the library reads it from 37 on."""
    there = [path for path in map(_home, files.split(os.pathsep)) if path.is_file()]
    if not any("proxy-url" in path.read_text(errors="replace") for path in there):
        return None  # to merge them is to read them all once more
    merged = config.kube_config.KubeConfigMerger(files).config
    cluster = merged["contexts"].get_with_name(context)["context"]["cluster"]
    found: str | None = merged["clusters"].get_with_name(cluster)["cluster"].safe_get("proxy-url")
    return found


def _proxy(host: str) -> str | None:
    """Returns the environment's proxy for a host, unless NO_PROXY names it.

    The library's own choice is no help: some of its versions take HTTP_PROXY for https.
    """
    url = urllib.parse.urlsplit(host)
    if urllib.request.proxy_bypass(url.netloc):
        return None
    return urllib.request.getproxies().get(url.scheme)


def _tls(settings: Any) -> ssl.SSLContext | None:
    if not settings.host.startswith("https"):
        return None
    found = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    if not settings.verify_ssl:
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        found.load_cert_chain(settings.cert_file, settings.key_file)
    return found


def _digest(settings: Any) -> str:
    if not settings.cert_file:
        return ""
    files = [Path(file) for file in (settings.cert_file, settings.key_file) if file]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
