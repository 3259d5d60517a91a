"""Robinhood's official Crypto Trading API: coins and their orders, by an API key whose private half the hub made.

Every call is signed (Ed25519). There is no token and no end. Source: Robinhood's own OpenAPI document, version 2 of the
endpoints; what rows mean is in `robinhood_crypto_rows.py`.
"""

import base64
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from requests.auth import AuthBase

from connections.brokers import robinhood_crypto_rows as crypto_rows
from connections.brokers.base import (
    Begun,
    BrokerError,
    BrokerUnavailable,
    Grant,
    Grants,
    KeyField,
    KeysRefused,
    NeedsReauth,
    Refused,
    Shown,
    UnexpectedReply,
)
from connections.brokers.budgets import Budget
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.records import AccountRecord, Broker, Holdings, Identity, TransactionPage
from connections.brokers.robinhood_rows import Row, identifier, rows, understood
from connections.brokers.transport import BrokerSession, Reply, Wire, judge

LIVE_URL = "https://trading.robinhood.com"
ACCOUNTS = "/api/v2/crypto/trading/accounts/"
HOLDINGS = "/api/v2/crypto/trading/holdings/"
ORDERS = "/api/v2/crypto/trading/orders/"
QUOTES = "/api/v2/crypto/marketdata/best_bid_ask/"
ACTIONS = {HOLDINGS: "which coins you hold", ORDERS: "your orders", QUOTES: "prices"}
CALLS, SECONDS = 100, 60  # per user account; three times as many in a burst, which the hub leaves to other programs
SIGNATURE_SECONDS = 30  # a timestamp is good for so long
THROTTLE_PAUSE = 1.0  # seconds; the limit gives back a call in 0.6
NO_END = timedelta(days=365 * 100)
GOOD_TILL_CANCELLED = timedelta(days=90)  # Robinhood lets no order wait for longer
WINDOW, ONE_DAY = timedelta(days=365), timedelta(days=1)
CLOCK_WAIT = timedelta(minutes=5)
MAX_PAGES = 2000
SYMBOLS_AT_ONCE = 50
API_KEY = re.compile(r"rh-api-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
REFUSED = (
    "Robinhood does not accept the API key. It was deleted or switched off there, belongs to another public key, or "
    "may not read your accounts."
)
Query = list[tuple[str, str]]


def base_url() -> str:
    return f"{settings.BROKERS_SANDBOX_URL}/robinhood/trading" if settings.BROKERS_SANDBOX_URL else LIVE_URL


# --- Signatures -------------------------------------------------------------------------------------------------------


def signature(seed: str, *, api_key: str, timestamp: str, path: str, method: str, body: str = "") -> str:
    """Base64 of the signature over all of it in a row. `seed` is base64 of 32 bytes; `path` carries the query."""
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed))
    return base64.b64encode(key.sign(f"{api_key}{timestamp}{path}{method}{body}".encode())).decode()


class SignedAuth(AuthBase):
    """Signs the request as prepared, letter by letter as it will be sent; a retry is signed anew, for its own time.

    What is signed is the path at Robinhood's own host: the sandbox lies further down.
    """

    def __init__(self, grant: Grant) -> None:
        self._api_key, self._seed = grant.secrets["api_key"], grant.secrets["seed"]

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        timestamp, body = str(int(time.time())), request.body or ""
        signed = signature(
            self._seed,
            api_key=self._api_key,
            timestamp=timestamp,
            path=request.path_url.removeprefix(urlsplit(base_url()).path),
            method=request.method or "",
            body=body if isinstance(body, str) else body.decode(),
        )
        request.headers["x-api-key"] = self._api_key
        request.headers["x-timestamp"] = timestamp
        request.headers["x-signature"] = signed
        request.headers["Content-Type"] = "application/json; charset=utf-8"
        return request


# --- Keys -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CryptoKeys:
    """The hub makes the pair, the person brings its public half to Robinhood and comes back with an API key."""

    redirect_uri: str = ""

    def begin(self, *, state: str) -> Begun:
        raise Refused("Robinhood's Crypto Trading API works with keys, without a sign-in page.")

    def prepare(self) -> dict[str, str]:
        return {"seed": base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode()}

    def shown(self, kept: Mapping[str, str]) -> tuple[Shown, ...]:
        help_text = "Paste it at Robinhood as the public key of a new API key. It opens nothing by itself."
        return (Shown(label="Public key", value=_public_key(kept["seed"]), help=help_text),)

    @sensitive_variables()
    def complete(self, *, answer: Mapping[str, str], kept: Mapping[str, str], at: datetime) -> Grant:
        """A key that can be right by its form; whether it is, the first call tells. Raises KeysRefused."""
        api_key = answer.get("api_key", "").strip()
        if not kept.get("seed"):
            raise KeysRefused("The hub no longer has the key pair of this page. Open the page again for a new one.")
        if problem := _problem(api_key, _public_key(kept["seed"])):
            raise KeysRefused(problem, field="api_key")
        secrets = {"api_key": api_key, "seed": kept["seed"]}
        return Grant(secrets=secrets, access_expires_at=at + NO_END, authorization_expires_at=None)

    def refresh(self, grant: Grant) -> Grant:
        raise NeedsReauth(REFUSED, reason_code="keys_refused")


def _public_key(seed: str) -> str:
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed))
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _problem(api_key: str, public_key: str) -> str:
    """What is wrong with a typed API key by its form; "" when nothing is."""
    if not api_key:
        return "Enter the API key that Robinhood shows after you have added the public key."
    if api_key == public_key:
        return "This is the public key. Robinhood gives you an API key for it: enter that one."
    if not api_key.lower().startswith("rh-api-"):
        return "Robinhood's API keys begin with rh-api-. Copy it once more."
    if not API_KEY.fullmatch(api_key):
        return "This API key is not whole: 36 letters, digits and hyphens follow rh-api-. Copy it once more."
    return ""


@dataclass(frozen=True, slots=True)
class _AskedTwice:
    """Grants that cannot be renewed: a refused call is signed and sent once more, then the refusal stands.

    Robinhood has been seen to say 401 when it only throttles. Its limit gives back a call within a second, so one more
    try tells the two apart, and a person is not asked for new keys because another program was busy.
    """

    grants: Grants

    def current(self) -> Grant:
        return self.grants.current()

    def renew(self, *, refused: Grant) -> Grant:
        time.sleep(THROTTLE_PAUSE)
        return self.grants.current()  # other keys, when the person has entered new ones meanwhile


# --- Answers ----------------------------------------------------------------------------------------------------------


class NotQuoted(Refused):
    """One of the symbols asked for is none, or none that this API trades."""


def judge_crypto(broker: Broker, reply: Reply) -> tuple[Outcome, Attribution, BrokerError | None]:
    """401 and 403 are about key or signature alike. Everything else is as with other brokers."""
    if reply.status == 401 or (reply.status == 403 and reply.is_json):
        skew = _skew(reply)
        if skew > SIGNATURE_SECONDS:
            sentence = f"The clock of the hub differs from Robinhood's by {skew:.0f} seconds; its administrator has "
            waiting = BrokerUnavailable(sentence + "to set it.", retry_at=timezone.now() + CLOCK_WAIT)
            return Outcome.UNAUTHORIZED, Attribution.OURS, waiting
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, NeedsReauth(REFUSED, reason_code="keys_refused")
    if reply.status == 400 and isinstance(reply.data, dict):
        told = reply.data.get("errors")
        names = {each.get("attr") for each in told if isinstance(each, dict)} if isinstance(told, list) else set()
        if "symbol" in names:
            return Outcome.OK, Attribution.NONE, NotQuoted(f"{broker.label} has no price for a symbol.")
    return judge(broker, reply)


def _skew(reply: Reply) -> float:
    """Seconds between the answer's own time and ours; 0 when it has none."""
    try:
        return abs(parsedate_to_datetime(reply.headers.get("Date", "")).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def session(connection_id: UUID | None, grants: Grants) -> BrokerSession:
    """Its limit is per user account, so each connection has a budget of its own."""
    budget = Budget(CALLS, SECONDS, f"crypto:{connection_id}", reserve=5)
    wire = Wire(broker=Broker.ROBINHOOD, connection_id=connection_id, budget=budget)
    return BrokerSession(
        wire=wire, base_url=base_url(), grants=_AskedTwice(grants), sign=SignedAuth, judge=judge_crypto
    )


# --- Data -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RobinhoodCrypto:
    http: BrokerSession
    broker: ClassVar = Broker.ROBINHOOD
    look_back: ClassVar = timedelta(days=7)
    history: ClassVar = timedelta(days=9 * 365)  # Robinhood began with coins in 2018
    drops_rows: ClassVar = False
    _listed: list[Row] = field(default_factory=list)  # the accounts: asked for once, a connector lives for one run

    def identity(self) -> Identity:
        """A key opens the coins of one person only, and is no sign-in of that person: the name says so."""
        with understood("accounts"):
            numbers = [identifier(row["account_number"]) for row in self._account_rows(Operation.IDENTITY)]
        if not numbers:
            raise UnexpectedReply("Robinhood did not say whose key this is.")
        return Identity(broker_user_key=f"crypto:{min(numbers, key=lambda number: (len(number), number))}")

    def accounts(self) -> list[AccountRecord]:
        with understood("accounts"):
            return [crypto_rows.account(row) for row in self._account_rows(Operation.ACCOUNTS)]

    def _account_rows(self, operation: Operation) -> list[Row]:
        if not self._listed:
            found = self._list(ACCOUNTS, operation, [])
            with understood("accounts"):
                self._listed.extend({identifier(row["account_number"]): row for row in found}.values())
        return self._listed

    def holdings(self, account_id: str) -> Holdings:
        as_of = timezone.now()
        with understood("accounts"):
            listed = {identifier(row["account_number"]): row for row in self._account_rows(Operation.HOLDINGS)}
        if account_id not in listed:
            raise Refused("Robinhood does not list this account any more.")
        found = self._list(HOLDINGS, Operation.HOLDINGS, [("account_number", account_id)])
        with understood("coins"):
            held = crypto_rows.codes(crypto_rows.of_account(found, account_id))
            prices = crypto_rows.prices(self._quotes(f"{code}-USD" for code in held))
            positions = tuple(crypto_rows.position(row, prices) for row in held.values())
            balance = crypto_rows.balance(listed[account_id], positions)
        return Holdings(as_of=as_of, positions=positions, balances=(balance,))

    def _quotes(self, symbols: Iterable[str]) -> list[Row]:
        """Quotes of those that are traded: one that is not makes Robinhood refuse all that were asked for with it."""
        wanted, found = list(symbols), []
        for start in range(0, len(wanted), SYMBOLS_AT_ONCE):
            some = wanted[start : start + SYMBOLS_AT_ONCE]
            try:
                found += self._quoted(some)
            except NotQuoted:
                for symbol in some if len(some) > 1 else ():
                    found += self._quoted_alone(symbol)
        return found

    def _quoted(self, symbols: list[str]) -> list[Row]:
        found = self._list(QUOTES, Operation.HOLDINGS, [("symbol", symbol) for symbol in symbols])
        if not found:
            raise UnexpectedReply("Robinhood told no prices.")
        return found

    def _quoted_alone(self, symbol: str) -> list[Row]:
        try:
            return self._quoted([symbol])
        except NotQuoted:  # its price is unknown
            return []

    def transactions(self, account_id: str, *, since: date, until: date) -> Iterator[TransactionPage]:
        """A page per year, by the day an order was placed; the first begins as much earlier as an order may wait.

        So whatever was executed up to a page's end is on it or on those before.
        """
        windows = list(_windows(since, until))
        for number, (first, last) in enumerate(windows, start=1):
            placed = first - GOOD_TILL_CANCELLED if number == 1 else first
            found = self._list(
                ORDERS,
                Operation.TRANSACTIONS,
                [
                    ("account_number", account_id),
                    ("created_at_start", _midnight(placed)),
                    ("created_at_end", _midnight(last + ONE_DAY)),
                ],
            )
            with understood("orders of coins"):
                # The newest page may shift while the others are read: an order told twice counts once.
                once = {row["id"]: row for row in reversed(crypto_rows.of_account(found, account_id))}
                records = tuple(crypto_rows.orders(sorted(once.values(), key=lambda row: str(row["created_at"]))))
            yield TransactionPage(
                records=records, covers_from=first, covers_to=last, number=number, window_count=len(windows)
            )

    def _list(self, path: str, operation: Operation, query: Query) -> list[Row]:
        """All pages of a list; only the cursor is taken out of `next`, so that no call leads elsewhere."""
        found: list[Row] = []
        seen: set[str] = set()
        cursor: Query = []
        for _ in range(MAX_PAGES):
            asked = urlencode([*query, *cursor])
            data = self._get(path, f"{path}?{asked}" if asked else path, operation)
            with understood("list"):
                found += rows(data, "results")
                following = parse_qs(urlsplit(data.get("next") or "").query).get("cursor", [""])[0]
                if data.get("next") and not following:
                    raise ValueError("a next page without cursor")
            if not following:
                return found
            if following in seen:
                break
            seen.add(following)
            cursor = [("cursor", following)]
        raise UnexpectedReply("Robinhood's list does not come to an end.")

    def _get(self, path: str, address: str, operation: Operation) -> Any:
        """One answer. A key is made for some actions: where it still opens the accounts, only this one is not its."""
        try:
            return self.http.get(address, operation=operation)
        except NeedsReauth as error:
            if path == ACCOUNTS:
                raise
            self.http.get(ACCOUNTS, operation=operation)
            sentence = f"Your API key may not read {ACTIONS[path]}. Allow it for the key at Robinhood."
            raise Refused(sentence) from error


def _windows(since: date, until: date) -> Iterator[tuple[date, date]]:
    """Years, oldest first, each with its first and last day."""
    while since <= until:
        last = min(since + WINDOW - ONE_DAY, until)
        yield since, last
        since = last + ONE_DAY


def _midnight(day: date) -> str:
    """The beginning of a day in New York, as UTC."""
    moment = datetime(day.year, day.month, day.day, tzinfo=crypto_rows.NEW_YORK)
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


# --- Words for people -------------------------------------------------------------------------------------------------

DELIVERS = (
    "Your coins with their prices, and all orders of coins with their fees, read-only. Robinhood does not tell cash, "
    "what your coins have cost, nor coins you sent, received or earned this way, and nothing of shares and options."
)
BEFORE = (
    "The hub makes a key pair and keeps the private half, encrypted. You bring the public half to Robinhood, which "
    "gives you an API key for it. Choose only actions that read when you add the key: the hub never places an order, "
    "and with such a key nobody could. You can switch the key off or delete it there at any time; then this "
    "connection stops until you enter a new one. It works for customers in the United States."
)
AFTER_DISCONNECT = (
    "The hub has deleted its keys. Also delete the API key at Robinhood, in the API section of your crypto account "
    "settings (robinhood.com/account/crypto)."
)
STEPS = (
    "On a computer, sign in at robinhood.com, open Account, then Crypto (robinhood.com/account/crypto), and find API "
    "Trading there.",
    "Add a key, and paste the public key shown here.",
    "Choose only the actions that read: accounts, holdings, orders, prices and trading pairs.",
    "Save it, and copy the API key that Robinhood shows. It begins with rh-api-.",
)
FIELDS = (
    KeyField(name="api_key", label="API key", help="Begins with rh-api-. Robinhood shows it after you saved the key."),
)
