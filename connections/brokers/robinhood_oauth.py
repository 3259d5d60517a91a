"""Robinhood's official sign-in: OAuth 2.0 (code, PKCE, public client), all of its addresses found by discovery.

Robinhood publishes no reference. Facts are from public probes and clients: discovery by RFC 9728 and RFC 8414, open
registration by RFC 7591, the one scope `internal`, about nine days of access.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from oauthlib.oauth2 import OAuth2Error

from connections.brokers.auth import TOKEN_DEADLINE, TOKEN_READ_TIMEOUT, MeteredOAuth2Session, pkce
from connections.brokers.base import (
    AppCredentialsRefused,
    Begun,
    BrokerUnavailable,
    Grant,
    NeedsReauth,
    Refused,
    UnexpectedReply,
)
from connections.brokers.budgets import Budget
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.mcp import Verdict
from connections.brokers.records import Broker
from connections.brokers.transport import CONNECT_TIMEOUT, Judge, Reply, Wire, judge

LIVE_URL = "https://agent.robinhood.com/mcp/trading"
LIVE_API = "https://api.robinhood.com"
HOME = "robinhood.com"  # whatever the discovery documents say, a secret goes to no other domain
SCOPE = "internal"  # the only one there is
CALLS, SECONDS = 7, 2  # by others' measurements four a second are never refused, and eight at once neither
SIGN_INS_PER_MINUTE = 60  # calls to the sign-in service; nothing is known of its limit but that it counts per login
DISCOVERY_SECONDS = 3600
REGISTRATION_SECONDS = 600
ACCESS_SECONDS = 86400  # if an answer names no end; those seen named nine days


def resource() -> str:
    """The address of the MCP server, which is also the name of what a token is for."""
    return f"{settings.BROKERS_SANDBOX_URL}/robinhood/agent/mcp/trading" if settings.BROKERS_SANDBOX_URL else LIVE_URL


def _revocation_url() -> str:
    api = f"{settings.BROKERS_SANDBOX_URL}/robinhood/api" if settings.BROKERS_SANDBOX_URL else LIVE_API
    return f"{api}/oauth2/revoke_token/"


def wire(connection_id: Any = None) -> Wire:
    """The metered way to Robinhood. Its limit is per login, so each connection has a budget of its own."""
    budget = Budget(CALLS, SECONDS, str(connection_id), reserve=1)
    if connection_id is None:
        budget = Budget(SIGN_INS_PER_MINUTE, 60, "sign-in")
    return Wire(broker=Broker.ROBINHOOD, connection_id=connection_id, budget=budget)


@contextmanager
def _understood_sign_in() -> Iterator[None]:
    """An answer oauthlib or we can make nothing of is UnexpectedReply; its text stays out of the message."""
    try:
        yield
    except (OAuth2Error, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UnexpectedReply("Robinhood's sign-in answer could not be understood.") from error


# --- What the sign-in service says ------------------------------------------------------------------------------------


def judge_token(broker: Broker, reply: Reply, *, dead: Callable[[], Refused | NeedsReauth]) -> Verdict:
    """The token endpoint's answers. `dead` is what a refused code or refresh token means."""
    if reply.status == 200 and reply.is_json:
        return Outcome.OK, Attribution.NONE, None
    if reply.status == 429:
        return judge(broker, reply)
    if reply.status not in (400, 401, 403) or not isinstance(reply.data, dict):
        sentence = f"{broker.label}'s sign-in service is not answering ({reply.status}). Please try again later."
        return Outcome.SERVER_ERROR, Attribution.BROKER, BrokerUnavailable(sentence, retry_at=reply.retry_at)
    # A session that has lapsed may be asked to confirm its device again, which only the person can do.
    if reply.data.get("error") == "invalid_grant" or reply.status == 401 or "verification_workflow" in reply.data:
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, dead()
    strange = UnexpectedReply(f"{broker.label} refused the sign-in for a reason the hub does not know.")
    return Outcome.CLIENT_ERROR, Attribution.OURS, strange


def _stale_code() -> Refused:
    return Refused("Robinhood's sign-in code was too old or already used. Please sign in once more.")


def _dead_refresh() -> NeedsReauth:
    return NeedsReauth("Robinhood no longer accepts this sign-in.", reason_code="refresh_refused")


def judge_registration(broker: Broker, reply: Reply) -> Verdict:
    if reply.status == 201 and reply.is_json:  # 201 by RFC 7591 section 3.2.1
        return Outcome.OK, Attribution.NONE, None
    if reply.status == 400 and reply.is_json:
        sentence = f"{broker.label} does not accept the hub as an app. An administrator has to look at its address."
        return Outcome.CLIENT_ERROR, Attribution.OURS, AppCredentialsRefused(sentence)
    return judge(broker, reply)


def judge_revocation(broker: Broker, reply: Reply) -> Verdict:
    """Any 2xx is done, whatever it says."""
    return (Outcome.OK, Attribution.NONE, None) if 200 <= reply.status < 300 else judge(broker, reply)


# --- Sign-in ----------------------------------------------------------------------------------------------------------


def _well_known(name: str, url: str) -> str:
    """Where the document `name` about `url` is: between its host and its path (RFC 8414 section 3)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path}"


def _checked(url: Any) -> str:
    """An address out of a discovery document, if it is Robinhood's own. Raises ValueError."""
    parts = urlsplit(url)
    if settings.BROKERS_SANDBOX_URL:
        own = url.startswith(f"{settings.BROKERS_SANDBOX_URL}/")
    else:
        host = parts.hostname or ""
        own = parts.scheme == "https" and (host == HOME or host.endswith(f".{HOME}"))
    if not own:
        raise ValueError("an address that is not Robinhood's")
    return str(url)


@dataclass(frozen=True, slots=True)
class RobinhoodSignIn:
    """A public client that registers itself: there is no app key to configure.

    A registration is the hub's and lasts minutes in the cache: long enough for a rush of people, short enough that one
    the server has forgotten mends itself. A grant is bound to the client it was given to and so carries that id along;
    losing the cache costs nothing.
    """

    redirect_uri: str

    def begin(self, *, state: str) -> Begun:
        with _understood_sign_in():
            service = self._service()
            client_id = self._client_id(service["registration_endpoint"])
            verifier, challenge = pkce()
            session = MeteredOAuth2Session(
                wire(),
                Operation.SIGN_IN,
                partial(judge_token, dead=_stale_code),
                client_id=client_id,
                redirect_uri=self.redirect_uri,
                scope=[SCOPE],
            )
            url, _ = session.authorization_url(
                service["authorization_endpoint"],
                state=state,
                code_challenge=challenge,
                code_challenge_method="S256",
                resource=resource(),
            )
        return Begun(url=url, key=state, kept={"verifier": verifier, "client_id": client_id})

    def complete(self, *, answer: Mapping[str, str], kept: Mapping[str, str], at: datetime) -> Grant:
        """Exchange the code. Raises BrokerError."""
        with _understood_sign_in():
            session = MeteredOAuth2Session(
                wire(),
                Operation.SIGN_IN,
                partial(judge_token, dead=_stale_code),
                client_id=kept["client_id"],
                redirect_uri=self.redirect_uri,
            )
            token = session.fetch_token(
                self._service()["token_endpoint"],
                code=answer["code"],
                include_client_id=True,
                code_verifier=kept["verifier"],
                resource=resource(),
            )
            return self._grant(token, kept["client_id"])

    def refresh(self, grant: Grant) -> Grant:
        """A new access token, with a new refresh token or the old one again."""
        with _understood_sign_in():
            client_id = grant.secrets["client_id"]
            judging = partial(judge_token, dead=_dead_refresh)
            session = MeteredOAuth2Session(wire(), Operation.REFRESH, judging, client_id=client_id)
            token = session.refresh_token(
                self._service()["token_endpoint"],
                refresh_token=grant.secrets["refresh_token"],
                client_id=client_id,
                resource=resource(),
            )
            return self._grant(token, client_id)

    def revoke(self, grant: Grant) -> None:
        """End the grant, both of its tokens. No document names this endpoint: it is the one Robinhood's app has."""
        form = {"client_id": grant.secrets["client_id"], "token": grant.secrets["refresh_token"]}
        self._exchange("POST", _revocation_url(), judge_revocation, data=form)

    def _grant(self, token: dict[str, Any], client_id: str) -> Grant:
        if not token.get("refresh_token") or not token.get("access_token"):
            raise UnexpectedReply("Robinhood's sign-in answer lacks a token.")
        secrets = {"access_token": token["access_token"], "refresh_token": token["refresh_token"]}
        return Grant(
            secrets=secrets | {"client_id": client_id},
            access_expires_at=timezone.now() + timedelta(seconds=int(token.get("expires_in") or ACCESS_SECONDS)),
            authorization_expires_at=None,  # lasts until the person ends it at Robinhood
        )

    def _service(self) -> dict[str, str]:
        """The addresses of the sign-in service, by the documents of the resource; each is Robinhood's own."""
        key = f"robinhood:service:{resource()}"
        known: dict[str, str] | None = cache.get(key)
        if known is not None:
            return known
        about = self._get(_well_known("oauth-protected-resource", resource()))
        issuer = _checked(about["authorization_servers"][0])
        service = self._get(_well_known("oauth-authorization-server", issuer))
        if service["issuer"] != issuer:  # RFC 8414 section 3.3: else it speaks for another service
            raise ValueError("a document about another service")
        if "S256" not in service["code_challenge_methods_supported"]:
            raise ValueError("a service without PKCE")
        names = ("authorization_endpoint", "token_endpoint", "registration_endpoint")
        found = {name: _checked(service[name]) for name in names}
        cache.set(key, found, timeout=DISCOVERY_SECONDS)
        return found

    def _client_id(self, registration_endpoint: str) -> str:
        digest = hashlib.sha256(self.redirect_uri.encode()).hexdigest()[:16]
        key = f"robinhood:client:{resource()}:{digest}"
        known: str | None = cache.get(key)
        if known is not None:
            return known
        about_us = {
            "client_name": "Broker Integration Hub",
            "redirect_uris": [self.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",  # nosec B105  # a word of the protocol
        }
        client_id = self._exchange("POST", registration_endpoint, judge_registration, json=about_us)["client_id"]
        if not client_id or not isinstance(client_id, str):
            raise ValueError("a registration without client id")
        cache.set(key, client_id, timeout=REGISTRATION_SECONDS)
        return client_id

    def _get(self, url: str) -> Any:
        return self._exchange("GET", url, judge)

    def _exchange(self, method: str, url: str, judge: Judge, **options: Any) -> Any:
        way = wire()

        def send() -> requests.Response:
            timeout = (CONNECT_TIMEOUT, min(settings.BROKER_READ_TIMEOUT, TOKEN_READ_TIMEOUT))
            options.update(headers={"Accept": "application/json"}, timeout=timeout, allow_redirects=False, stream=True)
            return way.session.request(method, url, **options)

        deadline = time.monotonic() + TOKEN_DEADLINE
        return way.exchange(Operation.SIGN_IN, send, judge=judge, deadline=deadline).data
