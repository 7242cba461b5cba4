"""Addresses of endpoints: the proxy for each, and which are on this machine or in a private network."""

import ipaddress
import os
from functools import cache, lru_cache
from urllib.request import getproxies, proxy_bypass

import httpx2

from orchestrator.errors import ConfigError
from orchestrator.redaction import redact

OPENAI_URL = "https://api.openai.com/v1"

_PORTS = {"http": 80, "https": 443}
_HOME_DOMAINS = (".local", ".localhost", ".internal", ".lan", ".home.arpa")


def proxy_for(url: str) -> str | None:
    """Return the environment's proxy for an address; None for a direct connection.

    `OPENAI_PROXY` goes before the general variables, and `NO_PROXY` does not apply to it.

    Args:
        url: The endpoint's address.

    Raises:
        ConfigError: `url` is no address.
    """
    if own := os.environ.get("OPENAI_PROXY"):
        return _with_scheme(own)
    proxies = getproxies()
    if not proxies:
        return None
    try:
        address = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ConfigError(redact(f"'{url}' is no address: {error}")) from error
    proxy = proxies.get(address.scheme) or proxies.get("all")
    if not proxy or _is_excepted(address, proxies.get("no", "")):
        return None
    proxy = _with_scheme(proxy)
    # A proxy on another machine cannot reach this machine's loopback.
    return None if is_loopback(url) and not is_loopback(proxy) else proxy


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_excepted(address: httpx2.URL, exceptions: str) -> bool:
    if proxy_bypass(f"{address.host}:{address.port}" if address.port else address.host):
        return True
    # The standard library does not know networks such as 10.0.0.0/8; curl and requests do.
    ip = _ip_address(address.host)
    networks = [part.strip() for part in exceptions.split(",") if "/" in part]
    return ip is not None and any(_is_inside(ip, network) for network in networks)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None  # a name


def _is_inside(ip: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return ip in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False  # another text with a slash


def is_loopback(url: str) -> bool:
    """True if an address is one of this machine's own."""
    host = _host(url)
    ip = _ip_address(host)
    return ip.is_loopback if ip is not None else host == "localhost" or host.endswith(".localhost")


@cache  # asked at every call of a model
def is_private_network(url: str) -> bool:
    """True if an address is on this machine or in its network, where published prices do not apply."""
    host = _host(url)
    ip = _ip_address(host)
    if ip is not None:
        return not ip.is_global
    # The local network resolves names without a dot, for example those of containers.
    return bool(host) and ("." not in host or host.endswith(_HOME_DOMAINS))


@lru_cache(maxsize=256)
def plain_address(url: str) -> str:
    """Return an address in one spelling, without login, query and fragment, so that it can be shown and compared.

    A name and the number that it resolves to stay two addresses: another server may listen on the other one.
    """
    return redact(_spelled(url))  # a key can be a part of the path


def _spelled(url: str) -> str:
    try:
        parsed = httpx2.URL(url)  # with scheme and host in small letters
    except httpx2.InvalidURL:
        return url
    host = parsed.host.rstrip(".")
    if not host:
        return url
    has_port = parsed.port is not None and parsed.port != _PORTS.get(parsed.scheme)
    port = f":{parsed.port}" if has_port else ""
    return f"{parsed.scheme}://{f'[{host}]' if ':' in host else host}{port}{parsed.path.rstrip('/')}"


def _host(url: str) -> str:
    try:
        return httpx2.URL(url).host.lower().rstrip(".")
    except httpx2.InvalidURL:
        return ""
