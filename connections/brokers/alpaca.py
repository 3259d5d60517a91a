"""Alpaca, Trading API v2: sign-in (OAuth 2.0, code), account, positions, activities, and what its rows mean.

Facts, and what nobody knows: `docs/brokers-alpaca.md`. A token asked for without a scope only reads. Amounts and
quantities are signed, but not those of executions, which are told without fees: these follow as rows of their own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone
from oauthlib.oauth2 import OAuth2Error

from connections.brokers import base, records
from connections.brokers.auth import MeteredOAuth2Session
from connections.brokers.budgets import Budget
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.parsing import NotUnderstood, Row, checked, maybe, number, text, understood, us_option
from connections.brokers.records import AssetClass, Broker, InstrumentRecord, RecordStatus, TransactionRecord
from connections.brokers.records import TransactionKind as Kind
from connections.brokers.settlement import us_settlement_date
from connections.brokers.transport import BrokerSession, Reply, Wire, judge

LIVE_URL, LIVE_SIGN_IN = "https://api.alpaca.markets", "https://app.alpaca.markets"
CALLS_PER_MINUTE = 180  # Alpaca allows 200 per account
PAGE_SIZE = 100  # the most there is
Verdict = tuple[Outcome, Attribution, base.BrokerError | None]
APP_FIELDS = (
    base.KeyField(name="client_id", label="Client ID", help="Of your OAuth app at Alpaca.", is_secret=False),
    base.KeyField(name="client_secret", label="Client secret", help="It stands beside the ID."),
    base.KeyField(name="callback_url", label="Callback URL", help="As it is registered there.", is_secret=False),
)


def base_url() -> str:
    return f"{settings.BROKERS_SANDBOX_URL}/alpaca" if settings.BROKERS_SANDBOX_URL else LIVE_URL


def wire(connection_id: UUID | None = None) -> Wire:
    """The metered way to Alpaca. Its limit is per account, and a connection is one account."""
    budget = Budget(CALLS_PER_MINUTE, 60, str(connection_id or "sign-in"), reserve=10)
    return Wire(broker=Broker.ALPACA, connection_id=connection_id, budget=budget)


def judge_token(broker: Broker, reply: Reply) -> Verdict:
    """The token endpoint's answers. Seen of refusals: `{"code": 40110000, "message": "invalid_client"}`."""
    if reply.status not in (400, 401, 403, 422) or not isinstance(reply.data, dict):
        return judge(broker, reply)
    if "invalid_client" in reply.text:
        wrong = f"{broker.label} refused the hub's own app key. An administrator has to mend it."
        return Outcome.UNAUTHORIZED, Attribution.OURS, base.AppCredentialsRefused(wrong)
    stale = f"{broker.label}'s sign-in code was too old or already used. Please sign in once more."
    return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, base.Refused(stale)


def judge_data(broker: Broker, reply: Reply) -> Verdict:
    """As everywhere, but for two habits: a header of its own says when a limit ends, and 403 may mean the token."""
    reset = reply.headers.get("X-RateLimit-Reset", "")
    if reply.status == 429 and re.fullmatch(r"[0-9]{1,11}", reset):
        ends_at = min(datetime.fromtimestamp(int(reset), UTC), timezone.now() + timedelta(minutes=5))
        limited = base.RateLimited(f"{broker.label} allows only so many requests.", retry_at=ends_at)
        return Outcome.RATE_LIMITED, Attribution.OURS, limited
    if reply.status == 403 and isinstance(reply.data, dict) and str(reply.data.get("code")).startswith("401"):
        refused = base.NeedsReauth(f"{broker.label} refused the sign-in.", reason_code="access_refused")
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, refused
    return judge(broker, reply)


@dataclass(frozen=True, slots=True)
class AlpacaSignIn:
    """OAuth 2.0 code grant of a confidential client. There is no refresh token, and the access token has no end."""

    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str

    def _session(self) -> MeteredOAuth2Session:
        known = {"client_id": self.client_id, "redirect_uri": self.redirect_uri}
        return MeteredOAuth2Session(wire(), Operation.SIGN_IN, judge_token, **known)

    def begin(self, *, state: str) -> base.Begun:
        """Without a scope the token reads; `env=live` leaves paper accounts out."""
        site = base_url() if settings.BROKERS_SANDBOX_URL else LIVE_SIGN_IN
        url, _ = self._session().authorization_url(f"{site}/oauth/authorize", state=state, env="live")
        return base.Begun(url=url, key=state, kept={})

    def complete(self, *, answer: Mapping[str, str], kept: Mapping[str, str], at: datetime) -> base.Grant:
        """Exchange the code. Raises BrokerError."""
        url, code, secret = f"{base_url()}/oauth/token", answer["code"], self.client_secret
        try:
            token = self._session().fetch_token(url, code=code, client_secret=secret, include_client_id=True)
            secrets = {"access_token": text(token, "access_token")}
        except (OAuth2Error, AttributeError, KeyError, TypeError, ValueError) as error:
            raise base.UnexpectedReply("Alpaca's sign-in answer could not be understood.") from error
        return base.Grant(secrets=secrets, access_expires_at=at + timedelta(days=36_500), authorization_expires_at=None)

    def refresh(self, grant: base.Grant) -> base.Grant:
        """Asked for only when Alpaca has refused the token: the person has taken the access back."""
        raise base.NeedsReauth("Alpaca no longer accepts this sign-in.", reason_code="refresh_refused")


MONEY, MOVES = False, True  # is its quantity what moves, or only that on which something was paid?
WORDS = {  # activity type: what it is when something comes in, what when it goes out, and what moves
    word: (gain, loss, moves)
    for words, gain, loss, moves in (
        ("CSD CSW", Kind.DEPOSIT, Kind.WITHDRAWAL, MONEY),
        ("DIV DIVCGL DIVCGS DIVROC DIVTXEX", Kind.DIVIDEND, Kind.DIVIDEND, MONEY),
        ("DIVNRA DIVFT DIVTW DIVWH INTNRA INTTW WH", Kind.TAX, Kind.TAX, MONEY),
        ("FEE DIVFEE PTC PTR", Kind.FEE, Kind.FEE, MONEY),
        ("CFEE", Kind.FEE, Kind.FEE, MOVES),  # of a purchase it is taken in the coin
        ("INT", Kind.INTEREST, Kind.INTEREST, MONEY),
        ("JNLC ACATC", Kind.TRANSFER_IN, Kind.TRANSFER_OUT, MONEY),
        ("JNLS ACATS", Kind.TRANSFER_IN, Kind.TRANSFER_OUT, MOVES),
        ("SPLIT SSP", Kind.SPLIT, Kind.SPLIT, MOVES),  # the old shares out, the new ones in
        ("MA NC SC SPIN SSO REORG", Kind.CORPORATE_ACTION, Kind.CORPORATE_ACTION, MOVES),
        ("CIL", Kind.CORPORATE_ACTION, Kind.CORPORATE_ACTION, MONEY),
        ("OPEXC OPXRC", Kind.OPTION_EXERCISE, Kind.OPTION_EXERCISE, MOVES),
        ("OPASN", Kind.OPTION_ASSIGNMENT, Kind.OPTION_ASSIGNMENT, MOVES),
        ("OPEXP", Kind.OPTION_EXPIRATION, Kind.OPTION_EXPIRATION, MOVES),
        ("OPTRD", Kind.BUY, Kind.SELL, MOVES),  # the shares, at the strike
    )
    for word in words.split()
}
MAY_BE_MONEY = {"CFEE", "MA", "REORG"}  # though otherwise shares or coins move
SIDES = {"buy": (1, ""), "sell": (-1, ""), "sell_short": (-1, "short")}
KINDS = {None: records.AccountKind.UNKNOWN, Decimal(1): records.AccountKind.CASH}  # by how often cash may be spent
STATUSES = {"executed": RecordStatus.POSTED, "canceled": RecordStatus.VOID}
COIN = re.compile(r"(?P<base>[A-Z0-9]{2,})/(?P<quote>[A-Z0-9]+)|(?P<old>[A-Z0-9]{3,})USD")  # BTC/USD, before BTCUSD


def instrument(symbol: str, *, asset_class: str = "", cusip: str = "") -> InstrumentRecord:
    """By its symbol, for activities name no class. No share has six letters of which the last three are USD."""
    if option := us_option(symbol):
        return option
    if coin := COIN.fullmatch(symbol):
        if coin["quote"] not in (None, "USD"):
            raise NotUnderstood(f"{symbol!r} is not paid for in dollars")
        return InstrumentRecord(asset_class=AssetClass.CRYPTO, symbol=coin["base"] or coin["old"])
    if not symbol or asset_class not in ("", "us_equity"):
        raise NotUnderstood(f"unknown instrument {symbol!r} {asset_class!r}")
    return InstrumentRecord(asset_class=AssetClass.EQUITY, symbol=symbol, cusip=cusip if len(cusip) == 9 else "")


def _position(row: Row) -> records.PositionRecord:
    """The side decides the sign, whether or not quantity and value carry one. Costs are without fees."""
    sign, value = {"long": 1, "short": -1}[row["side"]], maybe(row, "market_value")
    return records.PositionRecord(
        instrument=instrument(row["symbol"], asset_class=row["asset_class"]),
        quantity=sign * abs(number(row, "qty")),
        average_cost=maybe(row, "avg_entry_price"),
        price=maybe(row, "current_price"),
        market_value=None if value is None else sign * abs(value),
        day_change=maybe(row, "unrealized_intraday_pl"),
        currency="USD",
        raw=row,
    )


def _balance(row: Row) -> records.BalanceRecord:
    cash, equity = number(row, "cash"), number(row, "equity")
    return records.BalanceRecord(
        currency=row["currency"],
        cash=cash,
        market_value=equity - cash,
        net_asset_value=equity,
        buying_power=maybe(row, "buying_power"),
        margin_used=max(-cash, Decimal(0)),
        raw=row,
    )


def transactions(rows: Sequence[Row]) -> Iterator[TransactionRecord | records.ParkedRecord]:
    """Records of one answer, in its order, each id once. A row no rule understands is parked."""
    with understood(Broker.ALPACA, "activities"):
        for row in {text(row, "id"): row for row in rows}.values():
            try:
                yield _fill(row) if row["activity_type"] == "FILL" else _activity(row)
            except NotUnderstood as odd:
                yield records.ParkedRecord(external_id=row["id"], reason=str(odd), raw=row)


def _fill(row: Row) -> TransactionRecord:
    """One execution, full or partial. Its amount is not told: it is quantity times price, to the cent."""
    if row["side"] not in SIDES or row["type"] not in ("fill", "partial_fill"):
        raise NotUnderstood(f"unknown execution {row['type']!r}, {row['side']!r}")
    (sign, subtype), thing = SIDES[row["side"]], instrument(row["symbol"])
    at, quantity, price = datetime.fromisoformat(row["transaction_time"]), number(row, "qty"), number(row, "price")
    amount = -sign * (quantity * price * thing.multiplier).quantize(Decimal("0.01"), ROUND_HALF_UP)
    traded_on = at.astimezone(ZoneInfo("America/New_York")).date()
    return TransactionRecord(
        external_id=row["id"],
        kind=Kind.BUY if sign > 0 else Kind.SELL,
        subtype=subtype,
        traded_on=traded_on,
        settled_on=us_settlement_date(traded_on, thing.asset_class),
        occurred_at=at.astimezone(UTC),
        instrument=thing,
        quantity=sign * quantity,
        price=price,
        gross_amount=amount,
        net_amount=amount,
        currency="USD",
        group_id=text(row, "order_id") if row.get("order_id") else "",
        raw=row,
    )


def _activity(row: Row) -> TransactionRecord:
    name, status, symbol = row["activity_type"], row.get("status") or "executed", row.get("symbol") or ""
    if name not in WORDS or status not in STATUSES:
        raise NotUnderstood(f"unknown type {name!r} or status {status!r}")
    (gain, loss, moves), net, quantity = WORDS[name], number(row, "net_amount"), maybe(row, "qty")
    moved = quantity if moves and quantity else None
    if not (net or moved) or (moves and not (moved and symbol) and name not in MAY_BE_MONEY):
        raise NotUnderstood("what moves is not told")
    return TransactionRecord(
        external_id=row["id"],
        kind=gain if (moved or net) > 0 else loss,
        subtype=name,
        traded_on=date.fromisoformat(row["date"][:10]),
        instrument=instrument(symbol, cusip=row.get("cusip") or "") if symbol else None,
        quantity=moved,
        price=maybe(row, "price") if moved else None,
        net_amount=net,
        currency=row.get("currency") or "USD",
        description=row.get("description") or "",
        group_id=row.get("group_id") or "",
        status=STATUSES[status],
        raw=row,
    )


@dataclass(frozen=True, slots=True)
class Alpaca:
    """A token opens one live account, which therefore also stands for the login."""

    session: BrokerSession
    broker: ClassVar = Broker.ALPACA
    look_back: ClassVar = timedelta(days=30)  # fees and withholding are entered later than they are dated
    history: ClassVar = timedelta(days=10 * 365)  # Alpaca's first customers came in 2018
    drops_rows: ClassVar = True

    def identity(self) -> records.Identity:
        with understood(Broker.ALPACA, "account"):
            return records.Identity(broker_user_key=str(UUID(self._account(Operation.IDENTITY)["id"])))

    def accounts(self) -> list[records.AccountRecord]:
        row = self._account(Operation.ACCOUNTS)
        with understood(Broker.ALPACA, "account"):
            one = records.AccountRecord(
                external_id=str(UUID(row["id"])),
                number_mask=text(row, "account_number")[-4:],
                name="Alpaca",
                kind=KINDS.get(maybe(row, "multiplier"), records.AccountKind.MARGIN),
                currency=row["currency"],
                aliases=(row["account_number"],),
                closed=row["status"] == "ACCOUNT_CLOSED",
            )
            return [one]

    def holdings(self, account_id: str) -> records.Holdings:
        as_of, account = timezone.now(), self._account(Operation.HOLDINGS)
        if account.get("id") != account_id:  # a list of positions names no account: it would be booked on this one
            raise base.Refused("Alpaca does not open this account any more.")
        with understood(Broker.ALPACA, "positions"):
            rows = {row["symbol"]: row for row in self._list("/v2/positions", Operation.HOLDINGS)}
            positions, balance = tuple(map(_position, rows.values())), _balance(account)
            if balance.market_value and not positions:
                raise NotUnderstood("an account worth more than its cash holds nothing")
            return records.Holdings(as_of=as_of, positions=positions, balances=(balance,))

    def transactions(self, account_id: str, *, since: date, until: date) -> Iterator[records.TransactionPage]:
        """Oldest first. Whether its ends belong to the window is not documented: a day more on either side."""
        asked = {"direction": "asc", "page_size": str(PAGE_SIZE)}
        asked |= {"after": str(since - timedelta(days=1)), "until": str(until + timedelta(days=2))}
        page, is_last = 0, False
        while not is_last:
            rows = self._list("/v2/account/activities", Operation.TRANSACTIONS, **asked)
            page, is_last, reached = page + 1, len(rows) < PAGE_SIZE, until
            found = tuple(transactions(rows))
            if not is_last:  # an id begins with its time: on after the newest, of equal ones the last that was told
                token = max(reversed(rows), key=lambda row: row["id"].partition("::")[0])["id"]
                if token == asked.get("page_token"):
                    raise base.UnexpectedReply("Alpaca's list of activities does not come to an end.")
                asked["page_token"] = token
                reached = min(until, max(since, date.fromisoformat(token[:8])))
            yield records.TransactionPage(
                records=found, covers_from=since, covers_to=reached, number=page, window_count=page + (not is_last)
            )

    def _account(self, operation: Operation) -> Row:
        return checked(Broker.ALPACA, "account", self.session.get("/v2/account", operation=operation), dict)

    def _list(self, path: str, operation: Operation, **params: str) -> list[Row]:
        return checked(Broker.ALPACA, "list", self.session.get(path, operation=operation, params=params), list)
