"""One POST to somebody's server, which may be slow, broken or hostile. Nothing here touches the database."""

import socket
import ssl
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead

import certifi

from brokerhub.webhooks import addresses
from brokerhub.webhooks.addresses import AddressRefused, Target

CONNECT_TIMEOUT = 5.0  # seconds, for each of the addresses a name has
DEADLINE = 15.0  # seconds from the connection to the end of the answer, however it drips in
MOST_ADDRESSES = 2
MOST_BYTES = 2048  # of the answer; the rest is not read
KEPT = 500  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came back. Without a status there was no answer, and `error` says why."""

    status: int | None = None
    text: str = ""
    error: str = ""
    duration_ms: int = 0
    retry_after: int | None = None  # seconds

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(url: str, body: str, headers: dict[str, str]) -> Outcome:
    """Send it once. Redirects are not followed, and no answer is an error of ours."""
    started = time.monotonic()
    try:
        status, text, retry_after = _exchange(url, body, headers)
    except (AddressRefused, OSError, HTTPException) as error:
        return Outcome(error=_in_words(error), duration_ms=_since(started))
    return Outcome(status=status, text=text, retry_after=retry_after, duration_ms=_since(started))


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _in_words(error: Exception) -> str:
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
            return f"It did not answer within {DEADLINE:.0f} seconds."
        case ConnectionRefusedError():
            return "It refuses connections."
        case HTTPException() | ConnectionError():
            return "It closed the connection without an answer in HTTP."
    return "It cannot be reached."


def _exchange(url: str, body: str, headers: dict[str, str]) -> tuple[int, str, int | None]:
    target = addresses.parse(url)
    sock, connected_at = _connected(target), time.monotonic()
    hang_up = threading.Timer(DEADLINE, _shut, [sock])
    hang_up.daemon = True
    hang_up.start()
    try:
        connection = HTTPConnection(target.host, target.port)
        connection.sock = sock
        connection.request("POST", target.path, body.encode(), {"Host": target.host_header, **headers})
        with connection.getresponse() as response:
            return response.status, _text(response), _retry_after(response)
    except (OSError, HTTPException) as error:
        if time.monotonic() - connected_at >= DEADLINE:
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


def _connected(target: Target) -> socket.socket:
    """To one of the addresses that were checked, with the certificate checked for the name. Raises OSError."""
    reason: OSError | None = None
    for address in addresses.resolve(target)[:MOST_ADDRESSES]:
        try:
            sock = socket.create_connection((address, target.port), timeout=CONNECT_TIMEOUT)
        except OSError as error:
            reason = error
            continue
        sock.settimeout(DEADLINE)
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


def _text(response: HTTPResponse) -> str:
    """How the answer begins, as far as it came: the status alone decides. PostgreSQL keeps no NUL."""
    try:
        content = response.read(MOST_BYTES)
    except IncompleteRead as error:
        content = error.partial
    except (OSError, HTTPException):
        return "(The rest of the answer did not come.)"
    return content.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")[:KEPT]


def _retry_after(response: HTTPResponse) -> int | None:
    value = (response.headers.get("Retry-After") or "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else None
