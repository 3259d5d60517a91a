"""Broker calls as the transport tells them. Plain functions, one valid call each."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from connections.brokers.calls import Attribution, BrokerCall, Operation, Outcome, call_finished
from connections.brokers.records import Broker
from health.recording import recorder

NOW = datetime(2026, 11, 20, 15, 30, 20, tzinfo=UTC)


def good(**fields: Any) -> BrokerCall:
    call = BrokerCall(
        broker=Broker.SCHWAB,
        operation=Operation.TRANSACTIONS,
        connection_id=None,
        started_at=NOW,
        duration=0.2,
        status=200,
        outcome=Outcome.OK,
        attribution=Attribution.NONE,
        received_bytes=100,
    )
    return replace(call, **fields)


def server_error(**fields: Any) -> BrokerCall:
    return good(**{"status": 500, "outcome": Outcome.SERVER_ERROR, "attribution": Attribution.BROKER} | fields)


def timed_out(**fields: Any) -> BrokerCall:
    return good(
        **{"status": None, "outcome": Outcome.TIMEOUT, "attribution": Attribution.BROKER, "duration": 60.0} | fields
    )


def login_refused(**fields: Any) -> BrokerCall:
    return good(**{"status": 401, "outcome": Outcome.UNAUTHORIZED, "attribution": Attribution.CREDENTIAL} | fields)


def our_mistake(**fields: Any) -> BrokerCall:
    return good(**{"status": 400, "outcome": Outcome.CLIENT_ERROR, "attribution": Attribution.OURS} | fields)


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def tell(calls: Iterable[BrokerCall]) -> None:
    """As the transport does."""
    for call in calls:
        call_finished.send(sender=None, call=call)


def record(*calls: BrokerCall) -> None:
    """Told by the signal and written."""
    tell(calls)
    recorder.flush()
