"""What Interactive Brokers' Web API means by an answer: it has no one form for errors, and some look like success."""

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone

from connections.brokers.base import BrokerError, BrokerUnavailable, RateLimited, Refused, UnderMaintenance
from connections.brokers.calls import Attribution, Outcome
from connections.brokers.records import Broker
from connections.brokers.transport import Reply, judge

Verdict = tuple[Outcome, Attribution, BrokerError | None]

NEW_YORK = ZoneInfo("America/New_York")
NIGHTLY_UNTIL = time(1, 30)  # from midnight, the region's own time; the API's hosts are in New York's
SATURDAY_FROM = time(18)
SHUT_OUT = timedelta(minutes=15)  # the whole address, after more than ten calls in a second
LOST = ("no bridge", "query /accounts first")


class SessionLost(Refused):
    """The broker has forgotten the session: another one has to be opened, and the accounts asked for again."""


def maintenance_until(now: datetime) -> datetime | None:
    """When the maintenance that is known to be on at `now` ends; None outside its hours."""
    here = now.astimezone(NEW_YORK)
    if here.time() < NIGHTLY_UNTIL:
        return datetime.combine(here.date(), NIGHTLY_UNTIL, NEW_YORK)
    if here.isoweekday() == 6 and here.time() >= SATURDAY_FROM:
        return datetime.combine(here.date() + timedelta(days=1), NIGHTLY_UNTIL, NEW_YORK)
    return None


def complaint(reply: Reply) -> tuple[int, str]:
    """(status, text) of an answer that says what is wrong; its own status counts, as text or as number.

    The text is for being recognised, never for people: it may name an account.
    """
    body: Any = reply.data if isinstance(reply.data, dict) else {}
    if not body.get("error"):
        return reply.status, ""
    told = str(body.get("statusCode", ""))
    return int(told) if told.isascii() and told.isdigit() else reply.status, str(body["error"])


def judge_reply(broker: Broker, reply: Reply) -> Verdict:
    """The answers of all routes but those of the sign-in."""
    name, (status, text) = broker.label, complaint(reply)
    if status == 204 or (status == 200 and reply.is_json and not text):
        return Outcome.OK, Attribution.NONE, None
    if status == 503 and (until := maintenance_until(timezone.now())):
        away = UnderMaintenance(f"{name} is being maintained.", retry_at=reply.retry_at or until)
        return Outcome.SERVER_ERROR, Attribution.BROKER, away
    if status == 429 and reply.retry_at is None:
        limited = RateLimited(f"{name} allows only so many requests.", retry_at=timezone.now() + SHUT_OUT)
        return Outcome.RATE_LIMITED, Attribution.OURS, limited
    if status == 410 or (status == 400 and any(words in text for words in LOST)):
        return Outcome.CLIENT_ERROR, Attribution.CREDENTIAL, SessionLost(f"{name} has lost the session ({status}).")
    if status == 200 and text:  # an error that looks like success
        busy = BrokerUnavailable(f"{name} reports an error on its side, without saying which.")
        return Outcome.SERVER_ERROR, Attribution.BROKER, busy
    return judge(broker, replace(reply, status=status))
