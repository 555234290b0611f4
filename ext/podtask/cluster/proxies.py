"""The proxy between the notebook and an API server, from the environment or the kubeconfig, as kubectl reads it."""

from __future__ import annotations

import ipaddress
import urllib.parse
import urllib.request

from ..errors import ClusterError

SCHEMES = ("http", "https")
DEFAULT_PORTS = {"http": 80, "https": 443}


def environment_proxy(host: str) -> str | None:
    """Return the proxy that the environment sets for an API server; None if NO_PROXY names the server.

    The client library's own choice is not used: some of its versions use HTTP_PROXY for https, and
    Python knows neither the CIDRs nor the ports of NO_PROXY.

    Args:
        host: URL of the API server.
    """
    url = urllib.parse.urlsplit(host)
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get(url.scheme)
    if not proxy or _is_bypassed(url, proxies.get("no", "")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def check_proxy(url: str, context: str) -> None:
    """Check that podtask can use a proxy.

    Args:
        url: URL of the proxy.
        context: Name of the kubeconfig context.

    Raises:
        ClusterError: Its scheme is not supported.
    """
    proxy = urllib.parse.urlsplit(url)
    name = f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}"  # without a password
    if proxy.scheme not in SCHEMES:
        raise ClusterError(
            f"The proxy {name} of context {context!r} cannot be used: podtask supports only HTTP proxies.",
            "Set proxy-url in the kubeconfig, or HTTPS_PROXY, to an http:// or https:// proxy, or forward the API "
            "server's port with `ssh -L`.",
        )


def _is_bypassed(url: urllib.parse.SplitResult, no_proxy: str) -> bool:
    """Return whether requests go to a server directly. The rules are those of Go's httpproxy package."""
    host = (url.hostname or "").rstrip(".")
    port = str(url.port or DEFAULT_PORTS.get(url.scheme, 0))
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    entries = (entry.strip().lower() for entry in no_proxy.split(","))
    return any(entry and _matches(entry, host, address, port) for entry in entries)


def _matches(
    entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: str
) -> bool:
    """Return whether an entry of NO_PROXY matches a server.

    Args:
        entry: ``*``, a network as CIDR, or an address or a domain, each with a port or without. A domain
            matches its subdomains, too, and with a dot in front only these.
        host: Name or address of the server.
        address: The same as an address; None if it is a name.
        port: Port of the server.
    """
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, wanted_port = entry.rpartition(":")
    if not colon or _address(entry) is not None:  # an IPv6 address has colons
        name, wanted_port = entry, ""
    if wanted_port not in ("", port):
        return False
    wanted_address = _address(name.strip("[]"))
    if wanted_address is not None:
        return address == wanted_address
    name = name.removeprefix("*")
    if name.startswith("."):
        return host.endswith(name)
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
