"""Where the hub is willing to go when people name the address: public hosts over https, nothing of its own network.

An address is looked at twice: as it is written, when somebody enters it, and as it resolves, each time the hub goes
there. What is connected to is the very address that was looked at, so a name that changes its mind in between (DNS
rebinding) leads nowhere else. `outgoing.py` is the only way there.
"""

import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from brokerhub.kernel.errors import HubError

LONGEST = 500
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Not public either, which not every version of Python says: protocol assignments, 6to4 relays, site-local.
MORE = tuple(ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "fec0::/10"))
NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
INTERNAL_NAMES = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".onion")


class AddressRefused(HubError):
    """The hub does not go to this address. The text says why, without naming what a name resolved to."""

    code = "address_refused"


NOT_PUBLIC = "This address is not on the public internet, so the hub does not connect to it."


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart. `host` is a name in ASCII, or an IP address without brackets."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_https(self) -> bool:
        return self.scheme == "https"

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_https else 80) else f"{host}:{self.port}"


def parse(url: str, *, allow_private: bool = False) -> Target:
    """What can be said about an address without asking anybody. Raises AddressRefused.

    `allow_private` also lets the hub's own network in, on any port, and this machine by plain http.
    """
    if not url.isprintable() or " " in url or "\\" in url or len(url) > LONGEST:
        raise AddressRefused(f"This is not a web address of at most {LONGEST} characters.")
    try:
        parts = parse_url(url)
    except (LocationParseError, ValueError) as error:
        raise AddressRefused("This is not a web address.") from error
    if parts.scheme not in ("https", "http") or not parts.host:
        raise AddressRefused("The address has to begin with https://.")
    if parts.auth is not None:
        raise AddressRefused("A user name or password in the address would be seen by everybody. Leave it out.")
    host = parts.host.strip("[]").rstrip(".")
    port = (443 if parts.scheme == "https" else 80) if parts.port is None else parts.port
    target = Target(scheme=parts.scheme, host=host, port=port, path=parts.request_uri)
    _check_spelling(target)
    if not allow_private:
        _check_scheme(target)
        _check_port(target)
        _check_host(target)
    return target


def _check_spelling(target: Target) -> None:
    if _literal(target.host) is None and not NAME.fullmatch(target.host):
        raise AddressRefused("This is not a web address.")


def _check_scheme(target: Target) -> None:
    if not target.is_https:
        raise AddressRefused("The address has to begin with https://, so that nobody on the way can read along.")


def _check_port(target: Target) -> None:
    """443, or one that needs no privileges: the lower ones belong to mail, shells and the like."""
    if target.port != 443 and not 1024 <= target.port <= 65535:
        raise AddressRefused("The port has to be 443 or 1024 to 65535.")


def _check_host(target: Target) -> None:
    literal = _literal(target.host)
    if literal is not None:
        check(literal)
    elif "." not in target.host or f".{target.host}".endswith(INTERNAL_NAMES):
        raise AddressRefused(NOT_PUBLIC)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The host as an IP address, in every way the system would read it as one (127.1, 0x7f000001); None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def resolve(target: Target, *, allow_private: bool = False) -> list[str]:
    """The addresses to connect to, each of them checked. Raises AddressRefused, and OSError where there is none."""
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        if allow_private:
            _check_plain(target, address)
        else:
            check(address)
    return addresses


def _check_plain(target: Target, address: IPv4Address | IPv6Address) -> None:
    if not target.is_https and not address.is_loopback:
        raise AddressRefused("Without https:// the hub connects to its own machine only.")


def check(address: IPv4Address | IPv6Address) -> None:
    """Raises AddressRefused for all that is not public: private, loopback, link-local with the clouds' metadata,
    shared by carriers, unique local, multicast, reserved, and what any of them is wrapped in."""
    for each in _layers(address):
        outside = each.is_global and not (each.is_multicast or each.is_reserved or each.is_unspecified)
        if not outside or any(each in network for network in MORE):
            raise AddressRefused(NOT_PUBLIC)


def _layers(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """The address and the IPv4 address in it, if there is one. NAT64 is only a way to the one inside."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address in NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
        return
    yield address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        yield inner
    if address.teredo is not None:
        yield from address.teredo
