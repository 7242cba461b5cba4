"""Which addresses in the web may be asked: public ones, and those that somebody allowed by name.

A page can name any address, and a name can stand for any address. So nothing is decided by how an address looks:
the name is resolved, every number that it stands for must be permitted, and the caller connects to one of those
very numbers, so that a second resolution cannot answer differently.
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
"""The numbers that a host and port stand for; raises OSError when there are none."""

_USUAL_PORTS: Final = (80, 443)
_LONGEST_URL: Final = 2_000
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)

# Python's own `is_global` has changed between its patch releases; this list is the registries' and stays the same.
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
"""All that is given out. IPv4 inside IPv6 (mapped, compatible, NAT64), unique local and link-local lie outside."""
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
    """Whether an address belongs to the public internet and carries no other address inside.

    Args:
        address: The address itself; of the forms of IPv4 inside IPv6 none is public.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    return address.scope_id is None and address in _OPEN_6 and not any(address in network for network in _CLOSED_6)


class Gate:
    """Decides where a connection may go.

    Args:
        allow: What is allowed although it is private or has an odd port: `host`, `host:port`, an address (IPv6 with
            a port in square brackets) or a network such as `10.0.0.0/8`. Without a port 80 and 443 are meant. A host
            that is named here may stand for any address, so name only hosts whose addresses you rule over.
        resolve: Turns names into numbers. The default asks the system.

    Raises:
        ValueError: An entry of `allow` cannot be understood.
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
        found = re.fullmatch(r"\[([0-9a-f:.]+)\](?::(\d{1,5}))?|([^\s\[\]:@/]+)(?::(\d{1,5}))?", text)
        host, port = text, None
        if found:
            host, port = found[1] or found[3], found[2] or found[4]
        ports = (int(port),) if port else _USUAL_PORTS
        try:
            self._networks.append((ipaddress.ip_network(host), ports))
        except ValueError:
            if not found or found[1] or not all(_LABEL.fullmatch(label) for label in host.split(".")):
                raise ValueError(f"'{entry}' is neither a host, host:port, address nor network") from None
            self._hosts.update((host, number) for number in ports)

    def url(self, text: str) -> "httpx2.URL":
        """An address in the web that may be asked, as far as its looks tell.

        Args:
            text: What a model or a redirect gave.

        Raises:
            ToolException: It is no such address.
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
        """The port that an address means.

        Args:
            url: As `url` gave it.
        """
        return url.port if url.port is not None else {"http": 80, "https": 443}[url.scheme]

    @staticmethod
    def _check_host(url: "httpx2.URL", text: str, shown: str) -> None:
        host = url.raw_host.decode("ascii").lower()
        if ":" in host:  # IPv6, whose form the parser has checked; a zone would choose the network card
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
        if not authority.isascii() and "xn--" not in host:
            raise ToolException(f"error: '{shown}' is written with look-alike characters; use plain letters")

    def addresses(self, host: str, port: int, seconds: float) -> list[str]:
        """The numbers to which a connection may be made; the caller must use these and not resolve again.

        Args:
            host: A name or an address.
            port: The port that is to be asked.
            seconds: How long resolving may take.

        Raises:
            ToolException: The host stands for an address that may not be asked.
            OSError: It stands for none.
            TimeoutError: Resolving took too long.
        """
        try:
            found: Sequence[str] = [str(ipaddress.ip_address(host))]
        except ValueError:
            found = _in_time(lambda: self._resolve(host, port), seconds)
        if not found:
            raise OSError("the name is not known")
        named = (host.lower().removesuffix("."), port) in self._hosts
        for number in found:
            if not named and not self._permits(ipaddress.ip_address(number), port):
                raise ToolException(
                    f"error: {host}:{port} may not be asked: it is not in the public web ({number}); use another "
                    "address, or go on with what you have"
                )
        return list(dict.fromkeys(found))

    def _permits(self, address: IPAddress, port: int) -> bool:
        if is_public(address) and port in _USUAL_PORTS:
            return True
        return any(
            port in ports and address.version == network.version and address in network
            for network, ports in self._networks
        )


def _shown(text: str) -> str:
    """A model's text as it can be repeated to it: short and without control signs."""
    return "".join(sign if sign.isprintable() else "?" for sign in text.strip()[:200])


def _ask_system(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _in_time(work: Callable[[], Sequence[str]], seconds: float) -> Sequence[str]:
    """What some work gives. The system's resolver knows no limit, so it is left behind when it takes too long."""
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
