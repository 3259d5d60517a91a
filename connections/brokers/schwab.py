"""Charles Schwab, Trader API (Individual): sign-in, endpoints, windows. What its rows mean is in `schwab_rows.py`.

Facts and limits: developer.schwab.com and the public clients schwab-py and Schwabdev. Reads only.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, cast
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from oauthlib.oauth2 import OAuth2Error
from requests.auth import HTTPBasicAuth

from brokerhub.kernel.config import ConfigurationError, check_schwab_callback
from connections.brokers import schwab_prices, schwab_rows
from connections.brokers.auth import MeteredOAuth2Session, pkce
from connections.brokers.base import (
    AppCredentialsRefused,
    Begun,
    BrokerError,
    BrokerUnavailable,
    Grant,
    KeyField,
    KeysRefused,
    NeedsReauth,
    Refused,
    UnexpectedReply,
)
from connections.brokers.budgets import Budget
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.records import (
    AccountKind,
    AccountRecord,
    AssetClass,
    Broker,
    Holdings,
    Identity,
    PriceRecord,
    TransactionPage,
)
from connections.brokers.transport import BrokerSession, Reply, Wire, judge

LIVE_URL = "https://api.schwabapi.com"
NEW_YORK = ZoneInfo("America/New_York")
CALLS_PER_MINUTE = 60  # no official figure for reads; half of the 120 that clients report
KEPT_FOR_SIGN_INS = 10  # of them: a sync leaves so many to people who are signing in
AUTHORIZATION_LIFETIME = timedelta(days=7)  # from the login; refreshing does not extend it
WINDOW = timedelta(days=363)  # a span of 365 days plus the end of the day is refused
MAX_ROWS = 3000  # of one answer, there is no paging: a full one may be cut
KINDS = {"CASH": AccountKind.CASH, "MARGIN": AccountKind.MARGIN}  # another word stays in the raw balance
DEAD_REFRESH_TOKEN = (
    "refresh_token_authentication_error",
    "Refresh token is invalid",
    "refresh_token_invalid",
    "refresh token invalid",
    "invalid_grant",
)
BAD_CODE = "Bad authorization code"
TYPES = (  # the specification wants them named, though some clients leave them out
    "TRADE,RECEIVE_AND_DELIVER,DIVIDEND_OR_INTEREST,ACH_RECEIPT,ACH_DISBURSEMENT,CASH_RECEIPT,CASH_DISBURSEMENT,"
    "ELECTRONIC_FUND,WIRE_OUT,WIRE_IN,JOURNAL,MEMORANDUM,MARGIN_CALL,MONEY_MARKET,SMA_ADJUSTMENT"
)


def base_url() -> str:
    return f"{settings.BROKERS_SANDBOX_URL}/schwab" if settings.BROKERS_SANDBOX_URL else LIVE_URL


APP_FIELDS = (
    KeyField(
        name="app_key", label="App key", help="Of your app at developer.schwab.com, once it is Ready For Use.",
        is_secret=False,
    ),
    KeyField(name="app_secret", label="App secret", help="It stands beside the key."),
    KeyField(
        name="callback_url", label="Callback URL", help="Letter by letter as it is registered for the app.",
        is_secret=False,
    ),
)  # fmt: skip


def check_app(values: dict[str, str]) -> dict[str, str]:
    """App keys that can be right. Raises KeysRefused."""
    for name in ("app_key", "app_secret"):
        if not (values[name].isascii() and values[name].isalnum()):
            raise KeysRefused("Letters and digits only. Copy it once more from developer.schwab.com.", field=name)
    if not settings.BROKERS_SANDBOX_URL:
        try:
            check_schwab_callback(values["callback_url"])
        except ConfigurationError as error:
            raise KeysRefused(str(error), field="callback_url") from error
    return values


def wire(app_key: str, connection_id: Any = None) -> Wire:
    """The metered way to Schwab; its budget is shared by all connections of one app key."""
    owner = hashlib.sha256(app_key.encode()).hexdigest()[:16]
    return Wire(
        broker=Broker.SCHWAB,
        connection_id=connection_id,
        budget=Budget(CALLS_PER_MINUTE, 60, owner, reserve=KEPT_FOR_SIGN_INS, is_exact=True),
        correlation_header="Schwab-Client-CorrelId",
    )


def judge_token(broker: Broker, reply: Reply) -> tuple[Outcome, Attribution, BrokerError | None]:
    """The token endpoint's answers. Its error texts hold badly quoted JSON, so they are matched, not parsed."""
    error: BrokerError
    if reply.status == 200 and reply.is_json:
        return Outcome.OK, Attribution.NONE, None
    if reply.status == 429:
        return judge(broker, reply)
    if reply.status not in (400, 401) or not reply.is_json:  # HTML, 5xx and edge blocks are outages, not a lost login
        sentence = f"{broker.label}'s sign-in service is not answering ({reply.status}). Please try again later."
        return Outcome.SERVER_ERROR, Attribution.BROKER, BrokerUnavailable(sentence, retry_at=reply.retry_at)
    if any(words in reply.text for words in DEAD_REFRESH_TOKEN):
        error = NeedsReauth(f"{broker.label} no longer accepts this sign-in.", reason_code="refresh_refused")
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, error
    if BAD_CODE in reply.text:
        error = Refused(f"{broker.label}'s sign-in code was too old or already used. Please sign in once more.")
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, error
    if "invalid_client" in reply.text or reply.status == 401:
        error = AppCredentialsRefused(f"{broker.label} refused the hub's own app key. An administrator has to mend it.")
        return Outcome.UNAUTHORIZED, Attribution.OURS, error
    error = UnexpectedReply(f"{broker.label} refused the sign-in for a reason the hub does not know.")
    return Outcome.CLIENT_ERROR, Attribution.OURS, error


@contextmanager
def _understood_token() -> Iterator[None]:
    """An answer oauthlib or we cannot make a token of is UnexpectedReply; its text stays out of the message."""
    try:
        yield
    except (OAuth2Error, AttributeError, TypeError, ValueError) as error:
        raise UnexpectedReply("Charles Schwab's sign-in answer could not be understood.") from error


@dataclass(frozen=True, slots=True)
class SchwabSignIn:
    """OAuth 2.0 code grant with PKCE. A token answer without refresh token is refused: it is not tied to a user."""

    app_key: str
    app_secret: str = field(repr=False)
    redirect_uri: str

    def _session(self, operation: Operation) -> MeteredOAuth2Session:
        return MeteredOAuth2Session(
            wire(self.app_key), operation, judge_token, client_id=self.app_key, redirect_uri=self.redirect_uri
        )

    def _auth(self) -> HTTPBasicAuth:
        return HTTPBasicAuth(self.app_key, self.app_secret)

    def begin(self, *, state: str) -> Begun:
        verifier, challenge = pkce()
        url, _ = self._session(Operation.SIGN_IN).authorization_url(
            f"{base_url()}/v1/oauth/authorize", state=state, code_challenge=challenge, code_challenge_method="S256"
        )
        return Begun(url=url, key=state, kept={"verifier": verifier})

    def complete(self, *, answer: Mapping[str, str], kept: Mapping[str, str], at: datetime) -> Grant:
        """Exchange the code, which Schwab honours once and for about 30 seconds. Raises BrokerError."""
        with _understood_token():
            token = self._session(Operation.SIGN_IN).fetch_token(
                f"{base_url()}/v1/oauth/token", code=answer["code"], auth=self._auth(), code_verifier=kept["verifier"]
            )
            return self._grant(token, authorization_expires_at=at + AUTHORIZATION_LIFETIME)

    def refresh(self, grant: Grant) -> Grant:
        """A new access token. What comes back is kept as it comes; the seven days run on from the login."""
        with _understood_token():
            token = self._session(Operation.REFRESH).refresh_token(
                f"{base_url()}/v1/oauth/token", refresh_token=grant.secrets["refresh_token"], auth=self._auth()
            )
            return self._grant(token, authorization_expires_at=grant.authorization_expires_at)

    def _grant(self, token: dict[str, Any], *, authorization_expires_at: datetime | None) -> Grant:
        if not token.get("refresh_token") or not token.get("access_token"):
            raise UnexpectedReply("Charles Schwab's sign-in answer lacks a token.")
        return Grant(
            secrets={"access_token": token["access_token"], "refresh_token": token["refresh_token"]},
            access_expires_at=timezone.now() + timedelta(seconds=int(token.get("expires_in", 1800))),
            authorization_expires_at=authorization_expires_at,
        )


def _instant(day: date, at: time) -> str:
    """The instant of a New York clock time, in the only spelling Schwab takes."""
    moment = datetime.combine(day, at, NEW_YORK).astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _milliseconds(day: date, at: time) -> str:
    """Of a New York clock time, since 1970, as the market data API counts."""
    return str(int(datetime.combine(day, at, NEW_YORK).timestamp() * 1000))


@dataclass(frozen=True, slots=True)
class Schwab:
    session: BrokerSession
    broker: ClassVar = Broker.SCHWAB
    look_back: ClassVar = timedelta(days=30)  # corrections and late postings come within about a month
    history: ClassVar = timedelta(days=6 * 365)
    drops_rows: ClassVar = True
    priced: ClassVar = frozenset({AssetClass.EQUITY, AssetClass.ETF, AssetClass.FUND})
    prices_reach: ClassVar = timedelta(days=20 * 365)
    _names: schwab_rows.Names = field(default_factory=dict, repr=False)  # instruments met so far, by their names

    def identity(self) -> Identity:
        preference = self._preference()
        try:
            key = preference["streamerInfo"][0]["schwabClientCustomerId"]
        except (KeyError, IndexError, TypeError) as error:
            raise UnexpectedReply("Charles Schwab did not say whose login this is.") from error
        if not key or not isinstance(key, str):  # an empty key would make strangers the same login
            raise UnexpectedReply("Charles Schwab did not say whose login this is.")
        return Identity(broker_user_key=key)

    def accounts(self) -> list[AccountRecord]:
        """The accounts the user ticked on the consent page. The hash is stable for ever per app and account."""
        with schwab_rows.understood("accounts"):
            numbers = self._get("/trader/v1/accounts/accountNumbers", Operation.ACCOUNTS)
            kinds = {
                account["accountNumber"]: KINDS.get(account["type"], AccountKind.UNKNOWN)
                for item in self._get("/trader/v1/accounts", Operation.ACCOUNTS)
                for account in [item["securitiesAccount"]]
            }
            names = {item["accountNumber"]: item.get("nickName", "") for item in self._preference()["accounts"]}
            return [
                AccountRecord(
                    external_id=row["hashValue"],
                    number_mask=row["accountNumber"][-3:],
                    name=names.get(row["accountNumber"]) or "Brokerage",
                    kind=kinds.get(row["accountNumber"], AccountKind.UNKNOWN),
                    currency="USD",  # Schwab names no currency anywhere: all its accounts are in dollars
                )
                for row in numbers
            ]

    def holdings(self, account_id: str) -> Holdings:
        as_of = timezone.now()
        answer = self._get(f"/trader/v1/accounts/{account_id}", Operation.HOLDINGS, fields="positions")
        with schwab_rows.understood("positions"):
            account, aggregated = answer["securitiesAccount"], answer.get("aggregatedBalance", {})
            positions = tuple(schwab_rows.position(row) for row in account.get("positions", []))
            held = (position.instrument for position in positions)
            self._names.update({thing.name.upper(): thing for thing in held if thing.name})
            return Holdings(
                as_of=as_of,
                positions=positions,
                balances=(schwab_rows.balance(account, aggregated),),
            )

    def transactions(self, account_id: str, *, since: date, until: date) -> Iterator[TransactionPage]:
        windows = []
        start = since
        while start <= until:
            windows.append((start, min(start + WINDOW, until)))
            start = windows[-1][1] + timedelta(days=1)
        for number, (first, last) in enumerate(windows, start=1):
            for rows, covers_from, covers_to in self._window(account_id, first, last):
                yield TransactionPage(
                    records=tuple(schwab_rows.transactions(rows, self._names)),
                    covers_from=covers_from,
                    covers_to=covers_to,
                    number=number,
                    window_count=len(windows),
                )

    def _window(self, account_id: str, first: date, last: date) -> Iterator[tuple[list[dict[str, Any]], date, date]]:
        rows = self._get(
            f"/trader/v1/accounts/{account_id}/transactions",
            Operation.TRANSACTIONS,
            startDate=_instant(first, time.min),
            endDate=_instant(last, time(23, 59, 59, 999000)),
            types=TYPES,
        )
        if not isinstance(rows, list):
            raise UnexpectedReply("Charles Schwab's list of transactions is not a list.")
        if len(rows) < MAX_ROWS:
            yield rows, first, last
        elif first == last:
            raise UnexpectedReply(f"More than {MAX_ROWS} transactions on {first}: Charles Schwab cuts the list there.")
        else:
            middle = first + (last - first) // 2
            yield from self._window(account_id, first, middle)
            yield from self._window(account_id, middle + timedelta(days=1), last)

    def prices(self, symbol: str, *, since: date, until: date) -> list[PriceRecord]:
        """One call, however many days. Closes are adjusted for splits and not for dividends, as schwab-py's and
        schwabr's users report; a day's candle carries the moment its day begins in the exchange's zone."""
        answer = self._get(
            "/marketdata/v1/pricehistory",
            Operation.PRICES,
            symbol=symbol.replace(".", "/"),
            periodType="year",
            frequencyType="daily",
            frequency="1",
            startDate=_milliseconds(since, time.min),
            endDate=_milliseconds(until, time(23, 59, 59)),
        )
        with schwab_rows.understood("prices"):
            return schwab_prices.prices(answer, since=since, until=until)

    def _preference(self) -> dict[str, Any]:
        answer = self._get("/trader/v1/userPreference", Operation.IDENTITY)
        if isinstance(answer, list):  # the specification says a list, the real answer is an object
            answer = answer[0] if answer else {}
        return cast(dict[str, Any], answer)

    def _get(self, path: str, operation: Operation, **params: str) -> Any:
        return self.session.get(path, operation=operation, params=params)
