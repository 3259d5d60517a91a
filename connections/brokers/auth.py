"""What several ways of signing in share."""

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from typing import Any

import requests
from django.conf import settings
from requests_oauthlib import OAuth2Session

from connections.brokers.calls import Operation
from connections.brokers.transport import CONNECT_TIMEOUT, Judge, Wire

TOKEN_READ_TIMEOUT = 30.0  # seconds; with the deadline it bounds a renewal, on which others wait (tokens.WATCH_SECONDS)
TOKEN_DEADLINE = 60.0


def pkce() -> tuple[str, str]:
    """(verifier, S256 challenge) by RFC 7636 section 4."""
    verifier = secrets.token_urlsafe(48)
    return verifier, urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class MeteredOAuth2Session(OAuth2Session):
    """requests-oauthlib's session, each of whose requests goes over the wire that meters and judges."""

    def __init__(self, wire: Wire, operation: Operation, judge: Judge, **options: Any) -> None:
        super().__init__(**options)
        self._wire, self._operation, self._judge = wire, operation, judge

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        answer: list[requests.Response] = []

        def send() -> requests.Response:
            read_timeout = min(settings.BROKER_READ_TIMEOUT, TOKEN_READ_TIMEOUT)
            options.update(stream=True, allow_redirects=False, timeout=(CONNECT_TIMEOUT, read_timeout))
            answer.append(super(MeteredOAuth2Session, self).request(method, url, **options))
            return answer[0]

        deadline = time.monotonic() + TOKEN_DEADLINE
        self._wire.exchange(self._operation, send, judge=self._judge, deadline=deadline)
        return answer[0]
