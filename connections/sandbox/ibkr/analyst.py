"""PortfolioAnalyst: the value of accounts over time, and the trades of one contract. Once in a quarter of an hour."""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.http import HttpRequest

from connections.sandbox.book import ZERO, Account, Event, Status
from connections.sandbox.clock import NEW_YORK, at_new_york
from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.ibkr.authority import Grant
from connections.sandbox.ibkr.cash_rows import BETWEEN_BROKERS, INTERNAL, TYPES
from connections.sandbox.ibkr.contracts import conid
from connections.sandbox.ibkr.doors import session
from connections.sandbox.ibkr.portfolio import the_account
from connections.sandbox.ibkr.sheet import Sheet, day
from connections.sandbox.ibkr.side import IBKR, error
from connections.sandbox.ibkr.totals import daily_equity
from connections.sandbox.ibkr.trade_rows import TRADES
from connections.sandbox.market import RATES
from connections.sandbox.trading_days import ONE_DAY, last_open, next_open
from connections.sandbox.world import WORLD

PERIODS = ("1D", "7D", "MTD", "1M", "YTD", "1Y")
STANDARD_DAYS, MOST_DAYS = 90, 365
RETURN_STEP = Decimal("0.00000001")


def _body(request: HttpRequest) -> dict[str, Any]:
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("acctIds"), list) or not body["acctIds"]:
        raise Refusal(400, error(400, "Bad Request: acctIds"))
    return body


def _accounts(grant: Grant, body: dict[str, Any]) -> list[Account]:
    return [the_account(grant, str(number)) for number in body["acctIds"]]


@operation(IBKR, "pa_performance")
def performance(request: HttpRequest, exchange: Exchange) -> Any:
    grant, body = session(request, exchange, "POST"), _body(request)
    accounts, period = _accounts(grant, body), body.get("period", "1Y")
    if period not in PERIODS:
        raise Refusal(400, error(400, f"Bad Request: period {str(period)[:10]}"))
    last = WORLD.clock.today() - ONE_DAY
    told = [_Told(account, _first(period, last), last) for account in accounts]
    dates = [day(on) for on in told[0].days[1:]]
    return {
        "currencyType": "base",
        "rc": 0,
        "nd": (last - _first(period, last)).days + 1,
        "pm": "TWR",
        "id": "getPerformanceData",
        "included": [account.number for account in accounts],
        "nav": {"freq": "D", "dates": dates, "data": [one.nav() for one in told]},
        "cps": {"freq": "D", "dates": dates, "data": [one.returns() for one in told]},
    }


def _first(period: str, last: date) -> date:
    """The first day of a period that ends on `last`."""
    match period:
        case "MTD":
            return last.replace(day=1)
        case "YTD":
            return last.replace(month=1, day=1)
    spans = {"1D": 1, "7D": 7, "1M": 30, "1Y": 365}
    return last - timedelta(days=spans[period] - 1)


class _Told:
    """One account's daily values from the close before the period on, and what came in or went out between."""

    def __init__(self, account: Account, first: date, last: date) -> None:
        self.account = account
        self.sheet = Sheet(account, WORLD.market, last_open(first - ONE_DAY), last)
        rows = daily_equity(self.sheet)
        self.days = [date.fromisoformat(row["reportDate"]) for row in rows]
        self.values = [Decimal(row["total"]) for row in rows]

    def nav(self) -> dict[str, Any]:
        return self._frame() | {
            "startNAV": {"date": day(self.days[0]), "val": self.values[0]},
            "navs": self.values[1:],
        }

    def returns(self) -> dict[str, Any]:
        """Cumulative, as fractions: daily returns without what was paid in or out that day, chained."""
        grown, chain = [], Decimal(1)
        flows = self._flows()
        for (before, _), (value, on) in pairwise(zip(self.values, self.days, strict=True)):
            chain *= (value - flows.get(on, ZERO)) / before if before else Decimal(1)
            grown.append((chain - 1).quantize(RETURN_STEP))
        return self._frame() | {"returns": grown}

    def _flows(self) -> dict[date, Decimal]:
        flows: defaultdict[date, Decimal] = defaultdict(Decimal)
        for event in self.sheet.events:
            is_moved = event.nature in (*INTERNAL, *BETWEEN_BROKERS)
            if event.status is Status.POSTED and (is_moved or TYPES.get(event.nature) == "Deposits/Withdrawals"):
                shares = event.quantity * (event.basis or ZERO)
                moved = (event.cash + shares) * self.sheet.rate(event.currency, event.traded_on)
                flows[next_open(event.traded_on)] += moved  # the day whose value shows it
        return flows

    def _frame(self) -> dict[str, Any]:
        span = {"start": day(self.days[0]), "end": day(self.days[-1])}
        return {"id": self.account.number, "idType": "acctid", "baseCurrency": self.account.currency, **span}


@operation(IBKR, "pa_transactions")
def transactions(request: HttpRequest, exchange: Exchange) -> Any:
    """Executions of one contract, newest first, with no id and no commission. Amounts signed, in their own currency."""
    grant, body = session(request, exchange, "POST"), _body(request)
    accounts, (contract, currency, days) = _accounts(grant, body), _asked(body)
    today = WORLD.clock.today()
    first = today - timedelta(days=days)
    found = [
        (account, event)
        for account in accounts
        for event in account.events
        if event.nature in TRADES
        and event.status is Status.POSTED
        and event.traded_on >= first
        and str(conid(event.symbol or "")) == contract
    ]
    gains = list(_gains(accounts, found, currency))
    return {
        "rc": 0,
        "nd": days,
        "rpnl": {"data": gains, "amt": f"{sum((Decimal(one['amt']) for one in gains), ZERO):f}"},
        "currency": currency,
        "from": int(at_new_york(first).timestamp() * 1000),
        "to": int(at_new_york(today).timestamp() * 1000),
        "includesRealTime": True,
        "id": "getTransactions",
        "transactions": [
            _row(account, event, currency) for account, event in sorted(found, key=lambda one: one[1].at, reverse=True)
        ],
    }


def _asked(body: dict[str, Any]) -> tuple[str, str, int]:
    """Contract, currency and days. Raises Refusal; only one contract may be asked for at a time."""
    contracts, currency, days = body.get("conids"), body.get("currency", "USD"), body.get("days", STANDARD_DAYS)
    if not isinstance(contracts, list) or len(contracts) != 1:
        raise Refusal(400, error(400, "Bad Request: conids"))
    if currency not in ("USD", *RATES) or not isinstance(days, int) or not 1 <= days <= MOST_DAYS:
        raise Refusal(400, error(400, "Bad Request: currency or days"))
    return str(contracts[0]), currency, days


def _row(account: Account, event: Event, currency: str) -> dict[str, Any]:
    instrument = WORLD.market.known(event.symbol or "")
    return {
        "date": f"{at_new_york(event.traded_on).astimezone(NEW_YORK):%a %b %d %H:%M:%S %Z %Y}",
        "rawDate": day(event.traded_on),
        "cur": event.currency,
        "fxRate": WORLD.market.rate(event.currency, currency, event.traded_on),
        "pr": event.price,
        "qty": event.quantity,
        "acctid": account.number,
        "amt": event.cash + event.fee_total,
        "conid": conid(instrument.symbol),
        "type": "Buy" if event.quantity > 0 else "Sell",
        "desc": instrument.name.upper(),
    }


def _gains(accounts: list[Account], found: list[tuple[Account, Event]], currency: str) -> Iterator[dict[str, Any]]:
    """What the sales among them brought."""
    results = {
        account.number: Sheet(account, WORLD.market, account.events[0].traded_on, WORLD.clock.today()).results
        for account in accounts
        if account.events
    }
    for account, event in found:
        result = results[account.number].get(event.id)
        if result and result.closes:
            yield {
                "date": day(event.traded_on),
                "cur": event.currency,
                "fxRate": WORLD.market.rate(event.currency, currency, event.traded_on),
                "side": "G" if result.gain >= 0 else "L",
                "acctid": account.number,
                "amt": f"{result.gain:f}",
                "conid": str(conid(event.symbol or "")),
            }
