"""Signing in at Interactive Brokers by OAuth 1.0a: as a registered third party, or with a person's own API keys.

Both end in a live session token, worked out with the broker, which signs every later call for about a day. The access
token behind it has no end; renewing means another session. requests-oauthlib has no part in this: it reads the answers
of the first two calls as forms, where Interactive Brokers sends JSON, and cannot do the third (see `ibkr_signing`).
"""

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

import requests
from django.conf import settings
from django.views.decorators.debug import sensitive_variables
from requests.auth import AuthBase

from connections.brokers import ibkr_signing as signing
from connections.brokers.auth import TOKEN_DEADLINE, TOKEN_READ_TIMEOUT
from connections.brokers.base import (
    AppCredentialsRefused,
    AppKeys,
    Begun,
    BrokerError,
    BrokerUnavailable,
    Grant,
    KeysRefused,
    NeedsReauth,
    Refused,
    UnexpectedReply,
)
from connections.brokers.budgets import Budget
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.ibkr_keys import Consumer
from connections.brokers.ibkr_replies import Verdict, complaint, judge_reply
from connections.brokers.records import Broker
from connections.brokers.transport import Reply, Wire, timeouts

LIVE_API = "https://api.ibkr.com/v1/api"
LIVE_CONSENT = "https://www.interactivebrokers.com/authorize"
USER_AGENT = {"User-Agent": "BrokerHub/1.0"}  # any will do, none is refused at the network's edge
CALLS_PER_SECOND = 8  # of ten, over everybody behind one address; who makes more is shut out for a quarter of an hour
EMPTY_ANSWERS = 3  # an empty response to the challenge means: once more

CONSUMER, TOKEN, SIGNATURE, CLOCK, OTHER = "consumer", "token", "signature", "clock", "other"
REASONS = (
    ("invalid consumer", CONSUMER),
    ("lst failed", TOKEN),
    ("access token", TOKEN),
    ("signature", SIGNATURE),
    ("timestamp", CLOCK),
)


def api_url() -> str:
    return f"{settings.BROKERS_SANDBOX_URL}/ibkr/v1/api" if settings.BROKERS_SANDBOX_URL else LIVE_API


def wire(connection_id: Any = None) -> Wire:
    """The metered way to the Web API. What it allows is counted per address, so everybody here shares one budget."""
    budget = Budget(CALLS_PER_SECOND, 1, "web-api", reserve=1, is_exact=True)
    return Wire(broker=Broker.IBKR, connection_id=connection_id, budget=budget)


# --- Signed calls -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedByKey(AuthBase):
    """With the consumer's own key: the three calls of the sign-in. `prepend` is the token's secret, in hex."""

    consumer: Consumer
    oauth: Mapping[str, str] = field(repr=False)
    prepend: str = field(default="", repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        told = signing.oauth_parameters(self.consumer.key, "RSA-SHA256", at=time.time(), **self.oauth)
        text = signing.base_string(request.method or "", request.url or "", told, prepend=self.prepend)
        signature = signing.rsa_sha256(self.consumer.signing, text)
        request.headers["Authorization"] = signing.header(self.consumer.realm, told, signature)
        return request


@dataclass(frozen=True, slots=True)
class SignedByToken(AuthBase):
    """With the live session token: every call after the sign-in."""

    consumer_key: str
    realm: str
    access_token: str = field(repr=False)
    live_session_token: bytes = field(repr=False)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        told = signing.oauth_parameters(self.consumer_key, "HMAC-SHA256", at=time.time(), oauth_token=self.access_token)
        text = signing.base_string(request.method or "", request.url or "", told)
        signature = signing.hmac_sha256(self.live_session_token, text)
        request.headers["Authorization"] = signing.header(self.realm, told, signature)
        return request


def signed(grant: Grant) -> AuthBase:
    secrets = grant.secrets
    token = base64.b64decode(secrets["live_session_token"])
    return SignedByToken(secrets["consumer_key"], secrets["realm"], secrets["access_token"], token)


Refusal = Callable[[str], BrokerError]


def judge_sign_in(broker: Broker, reply: Reply, *, refusal: Refusal) -> Verdict:
    """`refusal` is what a refused call means, by the reason it gives; only some of the texts are known."""
    status, text = complaint(reply)
    if status not in (400, 401) or not reply.is_json:
        return judge_reply(broker, reply)
    error = refusal(next((reason for words, reason in REASONS if words in text.lower()), OTHER))
    at_fault = Attribution.OURS if isinstance(error, AppCredentialsRefused) else Attribution.CREDENTIAL
    return Outcome.UNAUTHORIZED, at_fault, error


@dataclass(frozen=True, slots=True)
class _Desk:
    """The three calls of a sign-in, each made once: tokens are good once, and a renewal has its lease."""

    consumer: Consumer
    operation: Operation
    refusal: Refusal

    @sensitive_variables()
    def ask(self, step: str, deadline: float, *, prepend: str = "", **oauth: str) -> dict[str, Any]:
        way, auth = wire(), SignedByKey(self.consumer, oauth, prepend)

        def send() -> requests.Response:
            return way.session.post(
                f"{api_url()}/oauth/{step}",  # without a body: `requests` tells its length of 0, which is asked for
                headers={**USER_AGENT, "Accept": "application/json"},
                auth=auth,
                timeout=timeouts(deadline, TOKEN_READ_TIMEOUT),
                allow_redirects=False,
                stream=True,
            )

        judge = partial(judge_sign_in, refusal=self.refusal)
        answer = way.exchange(self.operation, send, judge=judge, deadline=deadline).data
        if not isinstance(answer, dict):
            raise UnexpectedReply("Interactive Brokers' sign-in answer could not be understood.")
        return answer

    @sensitive_variables()
    def open_session(self, access_token: str, sealed_secret: str) -> tuple[bytes, datetime]:
        """(live session token, its end). Raises BrokerError, KeysRefused for a secret that is not for this consumer."""
        secret, deadline = self.consumer.secret_of(sealed_secret), time.monotonic() + TOKEN_DEADLINE
        ours = signing.Agreement.begin(self.consumer.prime, self.consumer.generator)
        for _ in range(EMPTY_ANSWERS):
            told = {"oauth_token": access_token, "diffie_hellman_challenge": ours.challenge}
            answer = self.ask("live_session_token", deadline, prepend=secret.hex(), **told)
            if answer.get("diffie_hellman_response"):
                return self._confirmed(ours, secret, answer)
            if time.monotonic() > deadline:
                break
        raise BrokerUnavailable("Interactive Brokers did not open a session. Please try again in a few minutes.")

    @sensitive_variables()
    def _confirmed(self, ours: signing.Agreement, secret: bytes, answer: Mapping[str, Any]) -> tuple[bytes, datetime]:
        """Raises UnexpectedReply unless the other side has worked out the same token."""
        try:
            token = signing.live_session_token(ours.shared(answer["diffie_hellman_response"]), secret)
            if not signing.is_shared_by_both(token, self.consumer.key, answer["live_session_token_signature"]):
                raise ValueError("another token than ours")
            return token, datetime.fromtimestamp(int(answer["live_session_token_expiration"]) / 1000, UTC)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise UnexpectedReply("Interactive Brokers' side of the session could not be confirmed.") from error

    @sensitive_variables()
    def grant(self, access_token: str, sealed_secret: str, **kept: str) -> Grant:
        token, ends_at = self.open_session(access_token, sealed_secret)
        return Grant(
            secrets={
                "consumer_key": self.consumer.key,
                "realm": self.consumer.realm,
                "access_token": access_token,
                "access_token_secret": sealed_secret,
                "live_session_token": base64.b64encode(token).decode(),
                **kept,
            },
            access_expires_at=ends_at,
            authorization_expires_at=None,  # lasts until the person ends it
        )


# --- As a registered third party --------------------------------------------------------------------------------------


def app_consumer(app: AppKeys) -> Consumer:
    """The hub's own consumer. Raises AppCredentialsRefused: only an administrator can mend its keys."""
    try:
        return Consumer.of(app.values, dh="dh_prime")
    except KeysRefused as error:
        raise AppCredentialsRefused(f"The hub's own keys for Interactive Brokers cannot be used. {error}") from error


def _app_refusal(reason: str, *, otherwise: BrokerError) -> BrokerError:
    if reason in (CONSUMER, SIGNATURE, CLOCK):
        return AppCredentialsRefused(
            "Interactive Brokers refused the hub's own keys. An administrator has to look at them, and at the clock."
        )
    return otherwise


@dataclass(frozen=True, slots=True)
class ThirdPartySignIn:
    """Request token, consent page, verifier, access token, live session token."""

    app: AppKeys

    @property
    def redirect_uri(self) -> str:
        return self.app["callback_url"]

    def _desk(self, operation: Operation, otherwise: BrokerError) -> _Desk:
        return _Desk(app_consumer(self.app), operation, partial(_app_refusal, otherwise=otherwise))

    def begin(self, *, state: str) -> Begun:
        """There is no state here: the request token, which comes back with the person, names the sign-in."""
        strange = UnexpectedReply("Interactive Brokers refused to begin a sign-in, for a reason the hub does not know.")
        desk = self._desk(Operation.SIGN_IN, strange)
        token = _text(desk.ask("request_token", time.monotonic() + TOKEN_DEADLINE, oauth_callback="oob"), "oauth_token")
        page = f"{settings.BROKERS_SANDBOX_URL}/ibkr/authorize" if settings.BROKERS_SANDBOX_URL else LIVE_CONSENT
        query = urlencode({"oauth_token": token, "redirect_uri": self.redirect_uri})
        return Begun(url=f"{page}?{query}", key=token, kept={})

    @sensitive_variables()
    def complete(self, *, answer: Mapping[str, str], kept: Mapping[str, str], at: datetime) -> Grant:
        """A request token is good once, and so is its verifier. Raises BrokerError."""
        stale = Refused("Interactive Brokers' sign-in was too old or already used. Please sign in once more.")
        desk = self._desk(Operation.SIGN_IN, stale)
        told = {"oauth_token": answer["oauth_token"], "oauth_verifier": answer["oauth_verifier"]}
        given = desk.ask("access_token", time.monotonic() + TOKEN_DEADLINE, **told)
        try:
            return desk.grant(_text(given, "oauth_token"), _text(given, "oauth_token_secret"))
        except KeysRefused as error:
            raise AppCredentialsRefused(
                "The secret that Interactive Brokers gave does not open with the hub's encryption key. An "
                "administrator has to compare it with the one registered there."
            ) from error

    @sensitive_variables()
    def refresh(self, grant: Grant) -> Grant:
        """Another live session token for the same access token. Raises BrokerError."""
        dead = NeedsReauth("Interactive Brokers no longer accepts this sign-in.", reason_code="refresh_refused")
        desk = self._desk(Operation.REFRESH, dead)
        try:
            return desk.grant(grant.secrets["access_token"], grant.secrets["access_token_secret"])
        except KeysRefused as error:
            raise NeedsReauth(
                "The hub's keys at Interactive Brokers were changed since this sign-in.", reason_code="refresh_refused"
            ) from error


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not value or not isinstance(value, str):
        raise UnexpectedReply("Interactive Brokers' sign-in answer lacks a token.")
    return value


# --- With a person's own keys -----------------------------------------------------------------------------------------

KEY_REFUSALS = {  # (field, what to do)
    CONSUMER: (
        "consumer_key",
        "Interactive Brokers does not know this consumer key. New keys begin to work after its nightly reset, some "
        "only after the weekend's. If the key is right, try again tomorrow.",
    ),
    TOKEN: (
        "access_token",
        "Interactive Brokers does not accept this access token any more. Make a new token on its page for API keys, "
        "which works at once, and enter token and token secret here.",
    ),
    SIGNATURE: (
        "signing_key",
        "Interactive Brokers does not recognise the signature. This signing key is not the private half of the one "
        "that you uploaded there.",
    ),
    CLOCK: ("", "Interactive Brokers finds the request too old or too early. The clock of the hub's server is wrong."),
    OTHER: (
        "",
        "Interactive Brokers refused these keys without saying which is wrong. New ones begin to work after its "
        "nightly reset; after that, compare each with what you uploaded there.",
    ),
}


def _refused_keys(reason: str) -> BrokerError:
    name, sentence = KEY_REFUSALS[reason]
    return KeysRefused(sentence, field=name)


def _dead_keys(reason: str) -> BrokerError:
    return NeedsReauth(KEY_REFUSALS[reason][1], reason_code="keys_refused")


KEYS = ("consumer_key", "signing_key", "encryption_key", "dh_param")


@dataclass(frozen=True, slots=True)
class KeysSignIn:
    """A person's self-service keys. There is no page to go to: the access token comes with them."""

    redirect_uri: str = ""

    def begin(self, *, state: str) -> Begun:
        raise Refused("Your own API keys work without a sign-in page.")

    @sensitive_variables()
    def complete(self, *, answer: Mapping[str, str], kept: Mapping[str, str], at: datetime) -> Grant:
        """What can be wrong with the keys is looked for here first, then at the broker. Raises BrokerError."""
        typed = {name: answer.get(name, "").strip() for name in (*KEYS, "access_token", "access_token_secret")}
        consumer, token = Consumer.of(typed, dh="dh_param"), typed["access_token"]
        if not (token.isascii() and token.isalnum()):
            raise KeysRefused("An access token consists of letters and digits only.", field="access_token")
        consumer.secret_of(typed["access_token_secret"])
        return self._grant(consumer, typed, Operation.SIGN_IN, _refused_keys)

    @sensitive_variables()
    def refresh(self, grant: Grant) -> Grant:
        """Another live session token. Raises NeedsReauth when only other keys can give one."""
        try:
            consumer = Consumer.of(grant.secrets, dh="dh_param")
            return self._grant(consumer, grant.secrets, Operation.REFRESH, _dead_keys)
        except KeysRefused as error:
            raise NeedsReauth(str(error), reason_code="keys_refused") from error

    @sensitive_variables()
    def _grant(self, consumer: Consumer, keys: Mapping[str, str], operation: Operation, refusal: Refusal) -> Grant:
        own = {name: keys[name] for name in KEYS if name != "consumer_key"}
        desk = _Desk(consumer, operation, refusal)
        return desk.grant(keys["access_token"], "".join(keys["access_token_secret"].split()), **own)
