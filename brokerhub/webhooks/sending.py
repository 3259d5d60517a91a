"""One POST to somebody's program. Nothing here touches the database."""

import time
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse, IncompleteRead

from django.conf import settings

from brokerhub.kernel import addresses, outgoing
from brokerhub.kernel.addresses import AddressRefused

DEADLINE = 15.0  # seconds from the connection to the end of the answer, however it drips in
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


def check(url: str) -> None:
    """What can be said when an address is entered. Raises AddressRefused."""
    addresses.parse(url, allow_private=settings.WEBHOOK_ALLOW_PRIVATE)


def post(url: str, body: str, headers: dict[str, str]) -> Outcome:
    """Send it once. Redirects are not followed, and no answer is an error of ours."""
    started = time.monotonic()
    request = outgoing.Request(
        url=url,
        method="POST",
        body=body.encode(),
        headers=headers,
        deadline=DEADLINE,
        allow_private=settings.WEBHOOK_ALLOW_PRIVATE,
    )
    try:
        with outgoing.sent(request) as response:
            status, text, retry_after = response.status, _text(response), _retry_after(response)
    except (AddressRefused, OSError, HTTPException) as error:
        return Outcome(error=outgoing.in_words(error, DEADLINE), duration_ms=_since(started))
    return Outcome(status=status, text=text, retry_after=retry_after, duration_ms=_since(started))


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


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
