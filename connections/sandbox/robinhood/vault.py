"""Clients, codes, tokens and keys that live. Nothing here knows HTTP; callers hold the world's lock.

Two kinds of grants share one token endpoint. A `private` one (the app's own login) turns over both tokens at each
refresh and ends the old pair. An `agentic` one (official sign-in) keeps its refresh token unless told to rotate.
"""

import base64
import hashlib
import json
import secrets
import string
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from connections.sandbox.clock import Clock

PRIVATE, AGENTIC = "private", "agentic"
INTERNAL, READ = "internal", "read"
ACCESS_LIFETIMES = {PRIVATE: timedelta(seconds=691_200), AGENTIC: timedelta(seconds=774_924)}
CODE_LIFETIME = timedelta(seconds=60)
REFRESH_LENGTH = 30
REFRESH_LETTERS = string.ascii_letters + string.digits
COORDINATE = 32  # bytes of each half of an ES256 signature


class Refused(Exception):
    """The code or the refresh token is expired, used, replaced, revoked or was never one."""


@dataclass(slots=True)
class Client:
    """An app that registered itself."""

    id: str
    name: str
    redirect_uris: list[str]


@dataclass(slots=True)
class SignIn:
    """A person on the sign-in pages, before anything is allowed."""

    client_id: str
    redirect_uri: str
    state: str | None
    challenge: str
    login: str | None = None


@dataclass(slots=True)
class Grant:
    kind: str
    client_id: str
    login: str
    device: str | None = None
    refresh_token: str = field(default="", repr=False)
    replaced: dict[str, datetime] = field(default_factory=dict, repr=False)  # earlier refresh tokens, good until then
    revoked: bool = False

    def answers_to(self, token: str, now: datetime) -> bool:
        return token == self.refresh_token or now < self.replaced.get(token, now)


@dataclass(slots=True)
class Access:
    grant: Grant
    scope: str
    expires_at: datetime


@dataclass(slots=True)
class Code:
    sign_in: SignIn
    issued_at: datetime


class Vault:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._signer = ec.generate_private_key(ec.SECP256R1())
        self.forget()

    def forget(self) -> None:
        self.clients: dict[str, Client] = {}
        self._sign_ins: dict[str, SignIn] = {}
        self._codes: dict[str, Code] = {}
        self._access: dict[str, Access] = {}
        self._grants: list[Grant] = []

    # Official sign-in

    def register(self, name: str, redirect_uris: list[str]) -> Client:
        client = Client(secrets.token_urlsafe(24), name, redirect_uris)
        self.clients[client.id] = client
        return client

    def begin(self, sign_in: SignIn) -> str:
        """The ticket that leads through the pages."""
        ticket = secrets.token_urlsafe(24)
        self._sign_ins[ticket] = sign_in
        return ticket

    def sign_in(self, ticket: str) -> SignIn | None:
        return self._sign_ins.get(ticket)

    def end(self, ticket: str) -> None:
        self._sign_ins.pop(ticket, None)

    def allow(self, ticket: str) -> str:
        """End the sign-in with a code."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = Code(self._sign_ins.pop(ticket), self.clock.now())
        return code

    def redeem(self, code: str, *, client_id: str, redirect_uri: str, verifier: str) -> Grant:
        """A code is good once, for a minute, for its client and callback, with its verifier. Raises Refused."""
        found = self._codes.pop(code, None)
        if found is None or self.clock.now() - found.issued_at > CODE_LIFETIME:
            raise Refused
        sign_in = found.sign_in
        if (sign_in.client_id, sign_in.redirect_uri) != (client_id, redirect_uri) or sign_in.login is None:
            raise Refused
        if not _answers(sign_in.challenge, verifier):
            raise Refused
        return self.grant(AGENTIC, client_id, sign_in.login)

    # Tokens

    def grant(self, kind: str, client_id: str, login: str, device: str | None = None) -> Grant:
        grant = Grant(kind, client_id, login, device, _refresh_token())
        self._grants.append(grant)
        return grant

    def find(self, refresh_token: str, *, client_id: str, device: str | None = None) -> Grant:
        """The living grant of a refresh token; a private one answers only to its own device. Raises Refused."""
        for grant in self._grants:
            living = not grant.revoked and grant.client_id == client_id
            if living and grant.answers_to(refresh_token, self.clock.now()):
                if grant.kind == PRIVATE and device != grant.device:
                    break
                return grant
        raise Refused

    def rotate(self, grant: Grant, grace: timedelta = timedelta(0)) -> None:
        """A new refresh token; the old one is dead after `grace`, the access tokens of a private grant at once."""
        now = self.clock.now()
        grant.replaced = {token: ends for token, ends in grant.replaced.items() if now < ends}
        grant.replaced[grant.refresh_token] = now + grace
        grant.refresh_token = _refresh_token()
        if grant.kind == PRIVATE:
            self._access = {token: access for token, access in self._access.items() if access.grant is not grant}

    def issue(self, grant: Grant, scope: str = INTERNAL) -> str:
        expires_at = self.clock.now() + ACCESS_LIFETIMES[grant.kind]
        claims = {
            "sub": hashlib.sha256(grant.login.encode()).hexdigest()[:32],
            "scope": scope,
            "exp": int(expires_at.timestamp()),
            "jti": secrets.token_hex(12),
        }
        token = self._signed(claims)
        self._access[token] = Access(grant, scope, expires_at)
        return token

    def access(self, token: str, kind: str) -> Access | None:
        """What the token opens now; None when it is unknown, expired, or of the other kind."""
        access = self._access.get(token)
        living = access is not None and access.grant.kind == kind and self.clock.now() < access.expires_at
        return access if living else None

    def owner(self, token: str) -> str | None:
        """Login behind an access or refresh token, expired or not."""
        if access := self._access.get(token):
            return access.grant.login
        return next((grant.login for grant in self._grants if token and grant.refresh_token == token), None)

    def end_token(self, token: str) -> None:
        self._access.pop(token, None)

    def expire_access(self, login: str) -> int:
        tokens = [token for token, access in self._access.items() if access.grant.login == login]
        for token in tokens:
            del self._access[token]
        return len(tokens)

    def revoke(self, login: str) -> int:
        """End all the person's refresh tokens; return how many lived."""
        living = [grant for grant in self._grants if grant.login == login and not grant.revoked]
        for grant in living:
            grant.revoked = True
        return len(living)

    def revoke_token(self, token: str, client_id: str) -> None:
        """End the grant behind an access or refresh token, both tokens at once. Unknown ones change nothing."""
        access = self._access.get(token)
        for grant in self._grants:
            is_meant = grant is access.grant if access else grant.refresh_token == token
            if is_meant and grant.client_id == client_id:
                grant.revoked = True
                self._access = {name: held for name, held in self._access.items() if held.grant is not grant}

    def _signed(self, claims: dict[str, object]) -> str:
        """A JWT signed with ES256 (RFC 7518, 3.4: the two numbers of the signature side by side)."""
        signed = f"{_part(json.dumps({'typ': 'JWT', 'alg': 'ES256'}).encode())}.{_part(json.dumps(claims).encode())}"
        r, s = utils.decode_dss_signature(self._signer.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_part(r.to_bytes(COORDINATE, 'big') + s.to_bytes(COORDINATE, 'big'))}"


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _refresh_token() -> str:
    return "".join(secrets.choice(REFRESH_LETTERS) for _ in range(REFRESH_LENGTH))


def _answers(challenge: str, verifier: str) -> bool:
    """PKCE, S256 only (RFC 7636 section 4.6)."""
    return secrets.compare_digest(_part(hashlib.sha256(verifier.encode()).digest()), challenge)
