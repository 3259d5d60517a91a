"""Request tokens, access tokens and live sessions. Nothing here knows HTTP; callers hold the world's lock.

An access token has no end of its own; a live session token has, after a day. A new one ends the one before it.
"""

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import padding

from connections.sandbox.clock import Clock
from connections.sandbox.ibkr.registration import Consumer
from connections.sandbox.ibkr.signing import live_session_token

REQUEST_LIFETIME = timedelta(minutes=10)
SESSION_LIFETIME = timedelta(hours=24)
BROKERAGE_IDLE = timedelta(minutes=6)
CLOCK_SKEW = timedelta(minutes=5)
TOKEN_BYTES, SECRET_BYTES, PRIVATE_BITS = 10, 32, 256


class Refused(Exception):
    """The text is the broker's own."""


@dataclass(slots=True)
class RequestToken:
    """From the app's first call to the person's answer. Spent when it is exchanged."""

    consumer: Consumer
    issued_at: datetime
    redirect_uri: str = ""
    login: str | None = None
    accounts: frozenset[str] = frozenset()
    verifier: str = field(default="", repr=False)


@dataclass(slots=True)
class Grant:
    """What a person lets a consumer see: an access token and the secret behind it."""

    consumer: Consumer
    login: str
    accounts: frozenset[str]
    token: str
    secret: bytes = field(repr=False)
    session: "Session | None" = None
    asked_for_accounts: bool = False  # the Web API wants that before anything else
    brokerage_until: datetime | None = None
    told_in_full: set[str] = field(default_factory=set)  # accounts whose positions came with their definitions

    def encrypted_secret(self) -> str:
        """The secret as the consumer gets it: under its encryption key, in base64."""
        sealed = self.consumer.encryption.public.encrypt(self.secret, padding.PKCS1v15())
        return base64.b64encode(sealed).decode()


@dataclass(slots=True)
class Session:
    token: bytes = field(repr=False)
    expires_at: datetime
    id: str = field(default_factory=lambda: secrets.token_hex(16))


class Authority:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.forget()

    def forget(self) -> None:
        self._requests: dict[str, RequestToken] = {}
        self._grants: dict[str, Grant] = {}
        self._nonces: dict[tuple[str, str], datetime] = {}

    # Replays

    def is_fresh(self, consumer_key: str, nonce: str, timestamp: str, *, once: bool) -> bool:
        """A known second, not too far from now, and with `once` a nonce that has not been seen."""
        if not nonce or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
            return False
        now, said = self.clock.now(), int(timestamp)
        if abs(now.timestamp() - said) > CLOCK_SKEW.total_seconds():
            return False
        self._nonces = {key: at for key, at in self._nonces.items() if abs(now - at) <= 2 * CLOCK_SKEW}
        key = consumer_key, f"{timestamp}:{nonce}"
        seen = key in self._nonces
        self._nonces[key] = now
        return not (seen and once)

    # Consent

    def begin(self, consumer: Consumer) -> str:
        token = secrets.token_hex(TOKEN_BYTES)
        self._requests[token] = RequestToken(consumer, self.clock.now())
        return token

    def request(self, token: str) -> RequestToken | None:
        """None when it is unknown, spent or too old."""
        request = self._requests.get(token)
        return request if request and self.clock.now() < request.issued_at + REQUEST_LIFETIME else None

    def allow(self, token: str, accounts: frozenset[str]) -> str:
        """The verifier that goes back with the browser."""
        request = self._requests[token]
        request.accounts, request.verifier = accounts, secrets.token_hex(TOKEN_BYTES)
        return request.verifier

    def deny(self, token: str) -> None:
        self._requests.pop(token, None)

    def exchange(self, token: str, verifier: str, consumer: Consumer) -> Grant:
        """The grant for an answered request token. Raises Refused; a request token once shown is spent."""
        request = self.request(token)
        self._requests.pop(token, None)
        if request is None or request.consumer is not consumer or request.login is None:
            raise Refused("invalid request token")
        if not request.verifier or not secrets.compare_digest(request.verifier.encode(), verifier.encode()):
            raise Refused("invalid verifier")
        return self.grant(consumer, request.login, request.accounts)

    def grant(self, consumer: Consumer, login: str, accounts: Iterable[str]) -> Grant:
        token = secrets.token_hex(TOKEN_BYTES)
        grant = Grant(consumer, login, frozenset(accounts), token, secrets.token_bytes(SECRET_BYTES))
        self._grants[token] = grant
        return grant

    # Sessions

    def granted(self, token: str) -> Grant | None:
        return self._grants.get(token)

    def of_consumer(self, consumer: Consumer, login: str) -> Grant | None:
        """The youngest grant of that pair."""
        return next((g for g in reversed(self._grants.values()) if g.consumer is consumer and g.login == login), None)

    def open_session(self, grant: Grant, challenge: int) -> tuple[int, Session]:
        """Our half of the key agreement and the session it leads to. Raises Refused for a challenge out of range."""
        prime, generator = grant.consumer.prime, grant.consumer.generator
        if not 1 < challenge < prime - 1:
            raise Refused("invalid diffie_hellman_challenge")
        private = secrets.randbits(PRIVATE_BITS) | 1 << PRIVATE_BITS - 1
        token = live_session_token(pow(challenge, private, prime), grant.secret)
        grant.session = Session(token, self.clock.now() + SESSION_LIFETIME)
        grant.brokerage_until = None
        return pow(generator, private, prime), grant.session

    def live(self, grant: Grant) -> Session | None:
        session = grant.session
        return session if session and self.clock.now() < session.expires_at else None

    def end_session(self, grant: Grant) -> None:
        grant.session = grant.brokerage_until = None

    def has_brokerage(self, grant: Grant) -> bool:
        """A brokerage session ends when nobody tickles it for six minutes."""
        return grant.brokerage_until is not None and self.clock.now() < grant.brokerage_until

    def keep_brokerage(self, grant: Grant) -> None:
        grant.brokerage_until = self.clock.now() + BROKERAGE_IDLE

    def expire_access(self, login: str) -> int:
        """End the person's live sessions; return how many lived."""
        living = [grant for grant in self._grants.values() if grant.login == login and self.live(grant)]
        for grant in living:
            self.end_session(grant)
        return len(living)

    def revoke(self, login: str, consumer: Consumer | None = None) -> int:
        """End the person's access tokens (of one consumer, or all); return how many there were."""
        tokens = [
            token
            for token, grant in self._grants.items()
            if grant.login == login and consumer in (None, grant.consumer)
        ]
        for token in tokens:
            del self._grants[token]
        return len(tokens)
