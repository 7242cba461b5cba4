"""Proxies of the environment, and which hosts are in a private network."""

import ipaddress
import os
from functools import cache
from urllib.request import getproxies, proxy_bypass

import httpx2

from orchestrator.errors import ConfigError

OPENAI_URL = "https://api.openai.com/v1"

_HOME_DOMAINS = (".local", ".localhost", ".internal", ".lan", ".home.arpa")


def proxy_for(url: str) -> str | None:
    """The proxy that the environment has for an address; None to go there directly.

    `OPENAI_PROXY` goes before the general settings, and the exceptions from those do not count for it. A proxy on
    another machine could never reach this machine's own loopback, so it is not asked to.

    Args:
        url: The endpoint's address.

    Raises:
        ConfigError: It is no address.
    """
    if own := os.environ.get("OPENAI_PROXY"):
        return _with_scheme(own)
    found = getproxies()
    if not found:
        return None
    try:
        at = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise ConfigError(f"'{url}' is no address: {error}") from error
    proxy = found.get(at.scheme) or found.get("all")
    if not proxy or _is_excepted(at, found.get("no", "")):
        return None
    proxy = _with_scheme(proxy)
    return None if is_loopback(url) and not is_loopback(proxy) else proxy


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_excepted(at: httpx2.URL, exceptions: str) -> bool:
    """By the rules of the standard library, and by networks such as 10.0.0.0/8, which it does not know."""
    if proxy_bypass(f"{at.host}:{at.port}" if at.port else at.host):
        return True
    address = _address(at.host)
    networks = [part.strip() for part in exceptions.split(",") if "/" in part]
    return address is not None and any(_is_inside(address, network) for network in networks)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None  # a name


def _is_inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False  # something else with a slash


def is_loopback(url: str) -> bool:
    """Whether an address is one of this machine's own."""
    host = _host(url)
    address = _address(host)
    return address.is_loopback if address is not None else host == "localhost" or host.endswith(".localhost")


@cache
def is_private_network(url: str) -> bool:
    """Whether an address is on this machine or in its own network, where nobody's published prices hold."""
    host = _host(url)
    address = _address(host)
    if address is not None:
        return not address.is_global
    return bool(host) and ("." not in host or host.endswith(_HOME_DOMAINS))


def _host(url: str) -> str:
    try:
        return httpx2.URL(url).host.lower().rstrip(".")
    except httpx2.InvalidURL:
        return ""
