"""Gate: the addresses that the web tools may contact, public ones and those that the user allowed by name.

A page can name any URL, and a host name can resolve to any IP address, so the look of a URL decides nothing. The name
is resolved, every IP address must be permitted, and the caller connects to one of these very addresses. A second
resolution could answer differently (DNS rebinding).
"""

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Final

import httpx2
from langchain_core.tools import ToolException

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]
"""Return the IP addresses of a host and port, or raise OSError if there are none."""

_USUAL_PORTS: Final = (80, 443)
_LONGEST_URL: Final = 2_000
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)

# `is_global` changed between patch releases of Python. This list, of the IANA registries, stays the same.
_CLOSED_4: Final[tuple[IPNetwork, ...]] = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared behind a carrier's NAT, and Alibaba's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's platform service, in a public range
        "169.254.0.0/16",  # link-local, and the clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, and Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # measurements
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_OPEN_6: Final = ipaddress.ip_network("2000::/3")
"""All allocated addresses. IPv4 inside IPv6 (mapped, compatible, NAT64), unique local and link-local lie outside."""
_CLOSED_6: Final[tuple[IPNetwork, ...]] = tuple(
    ipaddress.ip_network(one)
    for one in (
        "2001::/23",  # protocol assignments: Teredo, which carries IPv4, ORCHID, measurements
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries IPv4
        "3fff::/20",  # documentation
    )
)


def is_public(address: IPAddress) -> bool:
    """True if an address belongs to the public internet and contains no other address.

    Args:
        address: The address; no form of IPv4 inside IPv6 counts as public.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    return address.scope_id is None and address in _OPEN_6 and not any(address in network for network in _CLOSED_6)


class Gate:
    """Permits connections to public addresses, and to those that the user allows.

    Args:
        allow: Exceptions for private addresses and other ports: `host`, `host:port`, an address (IPv6 with a port in
            square brackets) or a network such as `10.0.0.0/8`. Without a port, 80 and 443 are allowed. An allowed
            host may resolve to any address, so name only hosts whose addresses you control.
        resolve: Resolves a name to IP addresses; by default the system does.

    Raises:
        ValueError: An entry of `allow` is malformed.
    """

    def __init__(self, allow: Collection[str] = (), resolve: Resolve | None = None) -> None:
        self._hosts: set[tuple[str, int]] = set()
        self._networks: list[tuple[IPNetwork, tuple[int, ...]]] = []
        self._resolve = resolve or _ask_system
        for entry in allow:
            self._add(entry)
        self._ports = {*_USUAL_PORTS, *(port for _, port in self._hosts)}
        self._ports.update(port for _, ports in self._networks for port in ports)

    def _add(self, entry: str) -> None:
        text = entry.strip().lower()
        match = re.fullmatch(r"\[([0-9a-f:.]+)\](?::(\d{1,5}))?|([^\s\[\]:@/]+)(?::(\d{1,5}))?", text)
        host, port = text, None
        if match:
            host, port = match[1] or match[3], match[2] or match[4]
        ports = (int(port),) if port else _USUAL_PORTS
        try:
            self._networks.append((ipaddress.ip_network(host), ports))
        except ValueError:
            if not match or match[1] or not all(_LABEL.fullmatch(label) for label in host.split(".")):
                raise ValueError(f"'{entry}' is neither a host, host:port, address nor network") from None
            self._hosts.update((host, number) for number in ports)

    def url(self, text: str) -> "httpx2.URL":
        """Parse a URL, and refuse forms that need no resolution to be refused.

        Args:
            text: The URL that a model or a redirect gave.

        Raises:
            ToolException: The text is no URL of the web, or its form is not permitted.
        """
        import httpx2

        shown = _shown(text)
        try:
            url = httpx2.URL(text.strip())
        except (httpx2.InvalidURL, ValueError, UnicodeError) as error:
            raise ToolException(f"error: '{shown}' is not an address in the web; use one like https://…") from error
        if url.scheme not in ("http", "https"):
            raise ToolException(f"error: '{shown}' does not begin with http:// or https://; use such an address")
        if len(text) > _LONGEST_URL:
            raise ToolException(f"error: the address is longer than {_LONGEST_URL} characters; use a shorter one")
        if url.userinfo:
            raise ToolException("error: the address holds a user name or password; use it without")
        self._check_host(url, text, shown)
        if self.port(url) not in self._ports:
            raise ToolException(f"error: port {url.port} may not be asked; use an address without a port")
        return url

    @staticmethod
    def port(url: "httpx2.URL") -> int:
        """Return the port of a URL, also if the URL does not name one.

        Args:
            url: A result of `url`.
        """
        return url.port if url.port is not None else {"http": 80, "https": 443}[url.scheme]

    @staticmethod
    def _check_host(url: "httpx2.URL", text: str, shown: str) -> None:
        host = url.raw_host.decode("ascii").lower()
        if ":" in host:  # IPv6, whose form the parser has checked; a zone would choose a network interface
            if "%" in host:
                raise ToolException(f"error: '{shown}' names a network card; use an address in the web")
            return
        if _ENDS_IN_NUMBER.fullmatch(host):
            # 127.1, 0x7f.1, 2130706433 and 0177.0.0.1 are 127.0.0.1 to some systems and names to others.
            try:
                ipaddress.IPv4Address(host)
            except ValueError as error:
                raise ToolException(f"error: '{shown}' has a disguised number for a host; use the name") from error
        labels = host.removesuffix(".").split(".")
        if not host or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
            raise ToolException(f"error: '{shown}' has no proper host name; use an address like https://example.org/")
        authority = re.split(r"[/?#]", text.strip().split("//", 1)[-1], maxsplit=1)[0]
        # IDNA turns full-width digits, circled letters and ideographic full stops into plain ASCII.
        if not authority.isascii() and "xn--" not in host:
            raise ToolException(f"error: '{shown}' is written with look-alike characters; use plain letters")

    def addresses(self, host: str, port: int, seconds: float) -> list[str]:
        """Return the IP addresses for a connection. The caller must use these and not resolve the name again.

        Args:
            host: A name or an IP address.
            port: The port of the connection.
            seconds: Time limit for resolving the name.

        Raises:
            ToolException: The host has an address that is not permitted.
            OSError: The host has no address.
            TimeoutError: Resolving the name took too long.
        """
        try:
            addresses: Sequence[str] = [str(ipaddress.ip_address(host))]
        except ValueError:
            addresses = _in_time(lambda: self._resolve(host, port), seconds)
        if not addresses:
            raise OSError("the name is not known")
        is_allowed = (host.lower().removesuffix("."), port) in self._hosts
        for address in addresses:  # all of them: a name with one forbidden address is not trusted with the others
            if not is_allowed and not self._permits(ipaddress.ip_address(address), port):
                raise ToolException(
                    f"error: {host}:{port} may not be asked: it is not in the public web ({address}); use another "
                    "address, or go on with what you have"
                )
        return list(dict.fromkeys(addresses))

    def _permits(self, address: IPAddress, port: int) -> bool:
        if is_public(address) and port in _USUAL_PORTS:
            return True
        return any(
            port in ports and address.version == network.version and address in network
            for network, ports in self._networks
        )


def _shown(text: str) -> str:
    """Return a model's text, short and without control characters, for an error message."""
    return "".join(sign if sign.isprintable() else "?" for sign in text.strip()[:200])


def _ask_system(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _in_time(work: Callable[[], Sequence[str]], seconds: float) -> Sequence[str]:
    """Return the result of some work within a time limit."""
    # The system's resolver has no time limit, so a late one is left behind in its thread.
    box: queue.SimpleQueue[Sequence[str] | OSError | UnicodeError] = queue.SimpleQueue()

    def run() -> None:
        try:
            box.put(work())
        except (OSError, UnicodeError) as error:
            box.put(error)

    threading.Thread(target=run, name="resolve", daemon=True).start()
    try:
        result = box.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise TimeoutError("resolving the name took too long") from None
    if isinstance(result, UnicodeError):
        raise OSError("the name cannot be resolved") from result
    if isinstance(result, OSError):
        raise result
    return result
