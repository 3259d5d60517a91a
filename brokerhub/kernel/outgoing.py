"""One request to an address that somebody has named, whose server may be slow, broken or hostile.

It goes to an address that was checked (`addresses.py`) and to no other: no proxy, no redirect, no second look at the
DNS. Nothing here touches the database.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse

import certifi

from brokerhub.kernel import addresses
from brokerhub.kernel.addresses import AddressRefused, Target

CONNECT_TIMEOUT = 5.0  # seconds, for each of the addresses a name has
MOST_ADDRESSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`deadline` is in seconds, from the connection to the end of the answer, however it drips in."""

    url: str
    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline: float = 15.0
    allow_private: bool = False


@contextmanager
def sent(request: Request) -> Iterator[HTTPResponse]:
    """Send it once; the answer may be read until its deadline. Raises AddressRefused, OSError and HTTPException."""
    target = addresses.parse(request.url, allow_private=request.allow_private)
    sock, connected_at = _connected(target, request), time.monotonic()
    hang_up = threading.Timer(request.deadline, _shut, [sock])
    hang_up.daemon = True
    hang_up.start()
    try:
        connection = HTTPConnection(target.host, target.port)
        connection.sock = sock
        headers = {"Host": target.host_header, **request.headers}
        connection.request(request.method, target.path, request.body, headers)
        with connection.getresponse() as response:
            yield response
    except (OSError, HTTPException) as error:
        if time.monotonic() - connected_at >= request.deadline:
            raise TimeoutError from error  # it is we who hung up
        raise
    finally:
        hang_up.cancel()
        sock.close()


def _shut(sock: socket.socket) -> None:
    """Whoever waits for the other side stops waiting."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is closed already
        return


def _connected(target: Target, request: Request) -> socket.socket:
    """To one of the addresses that were checked, with the certificate checked for the name. Raises OSError."""
    reason: OSError | None = None
    for address in addresses.resolve(target, allow_private=request.allow_private)[:MOST_ADDRESSES]:
        try:
            sock = socket.create_connection((address, target.port), timeout=CONNECT_TIMEOUT)
        except OSError as error:
            reason = error
            continue
        sock.settimeout(request.deadline)
        if not target.is_https:
            return sock
        try:
            return _tls().wrap_socket(sock, server_hostname=target.host)
        except OSError:
            sock.close()
            raise
    raise reason or OSError("no address")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The machine's own authorities, and those of the package for machines that have none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def in_words(error: Exception, deadline: float) -> str:
    """Why there was no answer, for whoever named the address."""
    match error:
        case AddressRefused():
            return str(error)
        case socket.gaierror():
            return "Its name has no address in the DNS."
        case ssl.SSLCertVerificationError():
            return f"Its certificate is not valid: {error.verify_message}."
        case ssl.SSLError():
            return "It does not speak TLS as it should."
        case TimeoutError():
            return f"It did not answer within {deadline:.0f} seconds."
        case ConnectionRefusedError():
            return "It refuses connections."
        case HTTPException() | ConnectionError():
            return "It closed the connection without an answer in HTTP."
    return "It cannot be reached."
