"""The address and credentials of a cluster, from the kubeconfig or the pod's service account.

The official client library reads the files and runs login programs; nothing else of it is used.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shlex
import shutil
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ClusterError, InputError, did_you_mean
from .login_program import collect_log, one_line
from .proxies import check_proxy, environment_proxy

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
KEY_FOLDER_PREFIX = "podtask-keys-"
IN_CLUSTER_CONTEXT = "in-cluster"  # shown as the context of a notebook without a kubeconfig
LOGIN_HINT = "Run `kubectl get pods` in a terminal to see the output of the same login, and log in again."
NO_CLUSTER_HINT = "Set KUBECONFIG or run `kubectl config use-context`, or run on this machine with --local."


@dataclass(frozen=True)
class Access:
    """Address and credentials of an API server.

    Args:
        host: URL of the API server.
        context: Name of the kubeconfig context, or IN_CLUSTER_CONTEXT.
        namespace: Namespace of the context.
        tls: TLS settings for https.
        server_name: Name that the server's certificate must have; None for the host's.
        proxy: URL of a proxy, or None.
        headers: Function that returns the headers of a request.
        slow: Whether ``headers`` may block: it may run a program or ask a server for a new token.
        certificate: Digest of the client's certificate and key; empty if there is none.
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
        """Return a kubectl command for this server that does not depend on the current context."""
        context = [] if self.context == IN_CLUSTER_CONTEXT else ["--context", self.context]
        return shlex.join(["kubectl", *context, "-n", namespace, *words])


def load_access(context: str | None) -> Access:
    """Return the address and credentials of a context. Blocks.

    Args:
        context: Name of the kubeconfig context; None for the current one, or for the pod's service
            account if there is no kubeconfig.

    Raises:
        InputError: The context does not exist, or no cluster is configured.
        ClusterError: The credentials cannot be read.
    """
    # The library creates this folder if it must write a client key to a file, which only loading it needs.
    key_folder = os.path.join(tempfile.gettempdir(), f"{KEY_FOLDER_PREFIX}{secrets.token_hex(8)}")
    try:
        return _load_access(context, key_folder)
    finally:
        shutil.rmtree(key_folder, ignore_errors=True)


def _load_access(context: str | None, key_folder: str) -> Access:
    config = _library()
    # Start-up cost: loaded when it is first needed.
    from kubernetes.client import Configuration

    settings = Configuration()
    files, proxy = kubeconfig_files(), None
    has_kubeconfig = any(_home(file).exists() for file in files.split(os.pathsep) if file)
    try:
        if not has_kubeconfig and (SERVICE_ACCOUNT_FOLDER / "token").exists() and context is None:
            config.load_incluster_config(client_configuration=settings)
            name, namespace = IN_CLUSTER_CONTEXT, (SERVICE_ACCOUNT_FOLDER / "namespace").read_text().strip()
        elif not has_kubeconfig:
            raise InputError(f"No cluster is configured: {files} does not exist.", NO_CLUSTER_HINT)
        else:
            name, namespace = _context(config, context, files)
            with collect_log() as messages:
                # Without the path, the library would use the KUBECONFIG from when it was imported.
                config.load_kube_config(
                    files, context=name, client_configuration=settings, temp_file_path=key_folder
                )
            if messages:  # the login program failed, and the library ignores that
                raise ClusterError(
                    f"Cannot get the credentials of context {name!r}: {one_line(messages[-1])}", LOGIN_HINT
                )
            proxy = _proxy_url(config, files, name)
    except config.ConfigException as error:
        raise ClusterError(
            f"Cannot read the kubeconfig {files}: {one_line(_first_line(error))}", NO_CLUSTER_HINT
        ) from None

    def make_headers() -> dict[str, str]:
        headers = {}
        with collect_log():  # an error here is not final: the API server may accept the token
            auth_settings: Any = settings.auth_settings()
        for setting in auth_settings.values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        if not all(value.isprintable() for value in headers.values()):  # it would end the header
            raise ClusterError(
                f"The token of context {name!r} has line breaks or control characters.", LOGIN_HINT
            )
        return headers

    proxy = proxy or environment_proxy(settings.host)
    if proxy:
        check_proxy(proxy, name)
    return Access(
        settings.host.rstrip("/"),
        name,
        namespace,
        _tls(settings),
        getattr(settings, "tls_server_name", None),
        proxy,
        make_headers,
        settings.refresh_api_key_hook is not None,
        _digest(settings),
    )


def context_names() -> list[str]:
    """Return the names of the contexts in the kubeconfig; none if the file does not exist. Blocks."""
    config = _library()
    try:
        known, _ = config.list_kube_config_contexts(config_file=kubeconfig_files())
    except config.ConfigException:
        return []
    return sorted(each["name"] for each in known)


def kubeconfig_files() -> str:
    """Return the paths of the kubeconfig, as KUBECONFIG has them."""
    return os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())


def current_context(files: str) -> tuple[str, str] | None:
    """Return the name and namespace of the current context; None if there is none. Blocks.

    Args:
        files: Paths of the kubeconfig.
    """
    config = _library()
    try:
        return _context(config, None, files)
    except Exception:  # noqa: BLE001 -- the file is being written, or was removed: the next login reports it
        return None


def _library() -> Any:
    """Return the config module of the client library.

    Raises:
        ClusterError: It cannot be imported.
    """
    try:
        # Start-up cost: loaded when it is first needed.
        from kubernetes import config
    except ImportError as error:
        raise ClusterError(
            f"Cannot import the Kubernetes client library: {error}.",
            "Run %pip install -U 'kubernetes>=31,!=36.0.0' and restart the kernel, or run on this machine with --local.",
        ) from None
    files = getattr(config.kube_config, "_temp_files", {})
    if not isinstance(files, _WrittenFiles):
        config.kube_config._temp_files = _WrittenFiles(files)  # noqa: SLF001 -- the library has no public way to delete the files
    return config


class _WrittenFiles(dict[str, str]):
    """The library's table of the files that it has written, by their content, without those of a key folder.

    For the same content, old versions of the library return such a file again, although it was deleted.
    """

    def __setitem__(self, content: str, file: str) -> None:
        if KEY_FOLDER_PREFIX not in file:
            super().__setitem__(content, file)


def _home(file: str) -> Path:
    return Path(file).expanduser()


def _context(config: Any, wanted: str | None, files: str) -> tuple[str, str]:
    contexts, current = config.list_kube_config_contexts(config_file=files)
    known = {each["name"]: each["context"] for each in contexts or []}
    if wanted is not None and wanted not in known:
        raise InputError(
            f"--context: {files} has no context {wanted!r}.{did_you_mean(wanted, known)}",
            f"Its contexts: {', '.join(sorted(known))}.",
        )
    if wanted is None and not current:
        raise InputError(f"No cluster is configured: {files} has no current context.", NO_CLUSTER_HINT)
    name = wanted or current["name"]
    return name, known[name].get("namespace") or "default"


def _proxy_url(config: Any, files: str, context: str) -> str | None:
    """Return the proxy-url of a context's cluster; the library reads it only from version 37 on."""
    existing = [path for path in map(_home, files.split(os.pathsep)) if path.is_file()]
    if not any("proxy-url" in path.read_text(errors="replace") for path in existing):
        return None  # merging reads all files again
    merged = config.kube_config.KubeConfigMerger(files).config
    cluster = merged["contexts"].get_with_name(context)["context"]["cluster"]
    url: str | None = merged["clusters"].get_with_name(cluster)["cluster"].safe_get("proxy-url")
    return url


def _tls(settings: Any) -> ssl.SSLContext | None:
    if not settings.host.startswith("https"):
        return None
    tls = ssl.create_default_context(cafile=settings.ssl_ca_cert)
    # Python sets this flag from 3.13 on. Certificates of EKS have no Authority Key Identifier; like kubectl,
    # podtask accepts them. Chain, dates and host are checked all the same.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not settings.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        tls.load_cert_chain(settings.cert_file, settings.key_file)
    return tls


def _digest(settings: Any) -> str:
    if not settings.cert_file:
        return ""
    files = [Path(file) for file in (settings.cert_file, settings.key_file) if file]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
