"""Who signed in, what they allowed, which codes and tokens live. Nothing here knows HTTP.

Lifetimes are Schwab's: a code 30 seconds and once, an access token 30 minutes, a refresh token 7 days from the
sign-in, however often it is used. A new sign-in of the same person at the same app ends the earlier refresh token.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connections.sandbox.clock import Clock

CODE_LIFETIME = timedelta(seconds=30)
ACCESS_LIFETIME = timedelta(seconds=1800)
CLIENT_ACCESS_LIFETIME = timedelta(seconds=3600)
REFRESH_LIFETIME = timedelta(days=7)
HOST = base64.urlsafe_b64encode(b"oauth2.bdc.schwab.com").decode().rstrip("=")
SECRET_BYTES = 32  # 43 characters of base64url
REFRESH_BYTES = 104  # 139 characters and the @: about 140


class CodeRefused(Exception):
    """The authorization code is not taken; `reason` in Schwab's words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RefreshRefused(Exception):
    """The refresh token is expired, replaced, revoked or was never one."""


@dataclass(slots=True)
class SignIn:
    """A person on the sign-in pages, before anything is allowed."""

    app_key: str
    redirect_uri: str
    state: str | None
    challenge: str | None = None
    login: str | None = None


@dataclass(slots=True)
class Grant:
    """What a person allowed an app. Dead once its refresh token is."""

    app_key: str
    login: str
    accounts: frozenset[str]
    signed_in_at: datetime
    refresh_token: str = field(default="", repr=False)
    replaced: dict[str, datetime] = field(default_factory=dict, repr=False)  # earlier refresh tokens, good until then
    revoked: bool = False

    def answers_to(self, token: str, now: datetime) -> bool:
        return token == self.refresh_token or now < self.replaced.get(token, now)

    def rotate(self, now: datetime, grace: timedelta) -> None:
        self.replaced = {token: ends for token, ends in self.replaced.items() if now < ends}
        self.replaced[self.refresh_token] = now + grace
        self.refresh_token = _refresh_token()


@dataclass(slots=True)
class Code:
    grant: Grant
    redirect_uri: str
    issued_at: datetime
    challenge: str | None


@dataclass(slots=True)
class Access:
    app_key: str
    grant: Grant | None  # None: an app's own token, from client_credentials
    expires_at: datetime


class Authority:
    """Codes and tokens of all apps and people. Callers hold the world's lock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.forget()

    def forget(self) -> None:
        self._sign_ins: dict[str, SignIn] = {}
        self._codes: dict[str, Code] = {}
        self._access: dict[str, Access] = {}
        self._grants: list[Grant] = []

    # Sign-in pages

    def begin(self, sign_in: SignIn) -> str:
        """The ticket that leads through the pages."""
        ticket = secrets.token_urlsafe(24)
        self._sign_ins[ticket] = sign_in
        return ticket

    def sign_in(self, ticket: str) -> SignIn | None:
        return self._sign_ins.get(ticket)

    def allow(self, ticket: str, accounts: frozenset[str]) -> str:
        """End the sign-in with a code for the ticked accounts."""
        sign_in = self._sign_ins.pop(ticket)
        assert sign_in.login is not None
        grant = Grant(sign_in.app_key, sign_in.login, accounts, self.clock.now())
        code = f"C0.{HOST}.{secrets.token_urlsafe(SECRET_BYTES)}@"
        self._codes[code] = Code(grant, sign_in.redirect_uri, self.clock.now(), sign_in.challenge)
        return code

    def deny(self, ticket: str) -> None:
        self._sign_ins.pop(ticket, None)

    # Token endpoint

    def redeem(self, code: str, *, app_key: str, redirect_uri: str, verifier: str | None) -> tuple[Grant, str]:
        """The grant and its first access token. Raises CodeRefused; a code once shown is spent."""
        entry = self._codes.pop(code, None)
        if entry is None or entry.grant.app_key != app_key:
            raise CodeRefused("Invalid authorization code header: XXX   ")
        now, expires_at = self.clock.now(), entry.issued_at + CODE_LIFETIME
        if now > expires_at:
            raise CodeRefused(
                f"AuthorizationCode has expired,expiration={_milliseconds(expires_at)},now={_milliseconds(now)} "
            )
        if redirect_uri != entry.redirect_uri:
            raise CodeRefused("redirect_uri does not match the one of the authorization request")
        if entry.challenge is not None and not _answers(entry.challenge, verifier):
            raise CodeRefused("code_verifier does not match code_challenge")
        self.revoke(entry.grant.login, app_key)
        entry.grant.refresh_token = _refresh_token()
        self._grants.append(entry.grant)
        return entry.grant, self._issue(app_key, entry.grant, ACCESS_LIFETIME)

    def refresh(self, token: str, *, app_key: str, grace: timedelta | None = None) -> tuple[Grant, str]:
        """The grant and a new access token. Raises RefreshRefused. The seven days go on running.

        With `grace` the refresh token is replaced, and the one before stays good for so long.
        """
        now = self.clock.now()
        grant = next((grant for grant in self._grants if grant.answers_to(token, now)), None)
        if grant is None or grant.revoked or grant.app_key != app_key:
            raise RefreshRefused
        if now >= grant.signed_in_at + REFRESH_LIFETIME:
            raise RefreshRefused
        if grace is not None:
            grant.rotate(now, grace)
        return grant, self._issue(app_key, grant, ACCESS_LIFETIME)

    def client_access(self, app_key: str) -> str:
        return self._issue(app_key, None, CLIENT_ACCESS_LIFETIME)

    def _issue(self, app_key: str, grant: Grant | None, lifetime: timedelta) -> str:
        token = f"I0.{HOST}.{secrets.token_urlsafe(SECRET_BYTES)}@"
        self._access[token] = Access(app_key, grant, self.clock.now() + lifetime)
        return token

    # Calls

    def access(self, token: str) -> Access | None:
        """What the token opens now; None when it is unknown or has expired."""
        access = self._access.get(token)
        return access if access and self.clock.now() < access.expires_at else None

    def owner(self, token: str) -> str | None:
        """Login behind an access or refresh token, expired or not."""
        access = self._access.get(token)
        if access:
            return access.grant.login if access.grant else None
        return next((grant.login for grant in self._grants if grant.refresh_token == token), None)

    def expire_token(self, token: str) -> None:
        self._access.pop(token, None)

    def expire_access(self, login: str) -> int:
        """End the person's access tokens at once; return how many lived."""
        tokens = [token for token, access in self._access.items() if access.grant and access.grant.login == login]
        for token in tokens:
            del self._access[token]
        return len(tokens)

    def revoke(self, login: str, app_key: str | None = None) -> int:
        """End the person's refresh tokens (at one app, or at all); return how many lived."""
        living = [
            grant
            for grant in self._grants
            if grant.login == login and app_key in (None, grant.app_key) and not grant.revoked
        ]
        for grant in living:
            grant.revoked = True
        return len(living)


def _refresh_token() -> str:
    return f"{secrets.token_urlsafe(REFRESH_BYTES)}@"


def _answers(challenge: str, verifier: str | None) -> bool:
    """PKCE, S256 only (RFC 7636 section 4.6)."""
    digest = hashlib.sha256((verifier or "").encode()).digest()
    return secrets.compare_digest(base64.urlsafe_b64encode(digest).decode().rstrip("="), challenge)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
