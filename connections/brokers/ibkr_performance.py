"""What Interactive Brokers' PortfolioAnalyst says accounts were worth: `POST /pa/performance`, which only reads.

The documents contradict each other about the periods there are; only those that all of them name are asked for, of
which the longest begins with the year (Client Portal API 1.0 and the OpenAPI document, both 2026-09).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import dropwhile
from typing import Any

import requests
from django.utils import timezone

from connections.brokers.budgets import Budget
from connections.brokers.calls import Operation
from connections.brokers.ibkr_replies import NEW_YORK
from connections.brokers.parsing import Row, checked, maybe, understood
from connections.brokers.records import Broker, ValueRecord
from connections.brokers.transport import TOTAL_DEADLINE, BrokerSession, timeouts

PATH = "/pa/performance"
ONCE, SECONDS = 1, 900  # per login
WEEK, MONTH, YEAR_TO_DATE = "7D", "1M", "YTD"
REACH = {WEEK: timedelta(days=6), MONTH: timedelta(days=28)}


def values(
    session: BrokerSession, account_ids: Sequence[str], *, since: date, pace: Budget
) -> dict[str, tuple[ValueRecord, ...]]:
    """Raises BrokerError. Asked once: a second question within the quarter of an hour would only be refused."""
    question = {"acctIds": [*account_ids], "period": period(since, timezone.now().astimezone(NEW_YORK).date())}
    answer = checked(Broker.IBKR, "performance", _ask(session, question, pace), dict)
    with understood(Broker.IBKR, "performance"):
        return read(answer)


def period(since: date, today: date) -> str:
    """The shortest that reaches back to `since`, else the longest there is on that day."""
    back = today - since
    for name, reach in REACH.items():
        if back <= reach:
            return name
    return YEAR_TO_DATE if today - today.replace(month=1, day=1) > REACH[MONTH] else MONTH


def _ask(session: BrokerSession, question: Mapping[str, Any], pace: Budget) -> Any:
    """A signature covers no body that is JSON (RFC 5849, section 3.4.1.3.1)."""
    grant, deadline = session.grants.current(), time.monotonic() + TOTAL_DEADLINE

    def send() -> requests.Response:
        return session.wire.session.post(
            session.base_url + PATH,
            json=question,
            headers={"Accept": "application/json", **session.headers},
            auth=session.sign(grant),
            timeout=timeouts(deadline),
            allow_redirects=False,
            stream=True,
        )

    return session.wire.exchange(Operation.PRICES, send, deadline=deadline, judge=session.judge, pace=pace).data


def read(answer: Mapping[str, Any]) -> dict[str, tuple[ValueRecord, ...]]:
    """The days of each account, oldest first; those before its first money are left out.

    Raises KeyError, TypeError or ValueError for an answer of another form.
    """
    nav = answer["nav"]
    days = [_day(text) for text in nav["dates"]]
    found = {}
    for account in nav["data"]:
        told = [*_days_of(account, days)]
        worth = dropwhile(lambda each: not each.net_asset_value, told)
        found[str(account["id"])] = tuple(worth)
    return found


def _days_of(account: Row, days: Sequence[date]) -> Iterator[ValueRecord]:
    currency = account["baseCurrency"]
    start = account.get("startNAV")
    if start and start.get("date"):
        days, values = [_day(start["date"]), *days], [start["val"], *account["navs"]]
    else:
        values = account["navs"]
    for on, value in zip(days, values, strict=True):
        amount = maybe({"value": value}, "value")
        if amount is not None:
            yield ValueRecord(on=on, net_asset_value=amount, currency=currency)


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
