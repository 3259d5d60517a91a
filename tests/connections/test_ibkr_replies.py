"""What the hub makes of the many forms in which Interactive Brokers' Web API says no."""

import json
from datetime import UTC, datetime, time, timedelta

import pytest
from django.utils import timezone
from requests.structures import CaseInsensitiveDict

from connections.brokers import ibkr_replies
from connections.brokers.base import (
    BrokerUnavailable,
    NeedsReauth,
    RateLimited,
    Refused,
    UnderMaintenance,
)
from connections.brokers.calls import Attribution, Outcome
from connections.brokers.ibkr_replies import SessionLost, judge_reply, maintenance_until
from connections.brokers.records import Broker
from connections.brokers.transport import Reply


@pytest.fixture(autouse=True)
def outside_maintenance(monkeypatch):
    monkeypatch.setattr(ibkr_replies, "NIGHTLY_UNTIL", time.min)
    monkeypatch.setattr(ibkr_replies, "SATURDAY_FROM", time.max)


def judged(status, body, **headers):
    is_page = isinstance(body, str)
    text, data = (body, None) if is_page else (json.dumps(body), body)
    return judge_reply(Broker.IBKR, Reply(status, CaseInsensitiveDict(headers), text, data))


@pytest.mark.parametrize("body", [[], {}, [{"accountId": "U1"}], {"error": None}, {"error": "", "secdef": []}])
def test_data_is_data(body):
    assert judged(200, body) == (Outcome.OK, Attribution.NONE, None)


def test_nothing_found_is_an_answer():
    assert judged(204, "") == (Outcome.OK, Attribution.NONE, None)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"error": "Server is busy, please retry"}, BrokerUnavailable),
        (200, {"error": "not authenticated", "statusCode": 401}, NeedsReauth),
        (200, {"error": "Service Unavailable", "statusCode": "503"}, BrokerUnavailable),
        (400, {"error": "Bad Request: no bridge", "statusCode": 400}, SessionLost),
        (400, {"error": "Bad Request: no bridge"}, SessionLost),
        (400, {"error": "Bad Request: Please query /accounts first", "statusCode": "400"}, SessionLost),
        (400, {"error": "Bad Request: accountId is not valid: U1", "statusCode": 400}, Refused),
        (401, {"error": "not authenticated", "statusCode": 401}, NeedsReauth),
        (401, {"error": "id: 39687, error: invalid consumer", "statusCode": 401}, NeedsReauth),
        (403, {"error": "Forbidden", "statusCode": 403}, Refused),
        (403, "<html>Access Denied</html>", BrokerUnavailable),
        (404, "<html>Not Found</html>", BrokerUnavailable),
        (404, {"error": "Resource not found", "statusCode": 404}, Refused),
        (410, {"error": "This resource is gone", "statusCode": 410}, SessionLost),
        (410, "gone", SessionLost),
        (500, {"error": "failed to generate sso dh token"}, BrokerUnavailable),
        (503, {"error": "Service Unavailable", "statusCode": 503}, BrokerUnavailable),
        (503, "<html>busy</html>", BrokerUnavailable),
        (200, "<html>We'll be right back</html>", BrokerUnavailable),
    ],
)
def test_each_form_of_no_is_told_from_the_others(status, body, kind):
    outcome, attribution, error = judged(status, body)
    assert type(error) is kind
    assert outcome is not Outcome.OK
    assert attribution is not Attribution.NONE
    assert "U1" not in str(error), "the broker's own text may name an account"


def test_too_many_calls_are_waited_out_for_a_quarter_of_an_hour_unless_the_broker_says_otherwise():
    now = timezone.now()
    _, _, error = judged(429, {"error": "Too Many Requests", "statusCode": 429})
    assert isinstance(error, RateLimited)
    assert error.retry_at is not None
    assert timedelta(minutes=14) < error.retry_at - now < timedelta(minutes=16)
    _, _, error = judged(429, {"error": "Too Many Requests"}, **{"Retry-After": "30"})
    assert isinstance(error, RateLimited)
    assert error.retry_at is not None
    assert error.retry_at - now < timedelta(minutes=1)


def test_in_its_known_hours_an_absence_is_maintenance_with_an_end(monkeypatch):
    monkeypatch.setattr(ibkr_replies, "NIGHTLY_UNTIL", time.max)
    _, _, error = judged(503, {"error": "Service Unavailable", "statusCode": 503})
    assert isinstance(error, UnderMaintenance)
    assert error.retry_at is not None
    assert error.retry_at > timezone.now()


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (datetime(2026, 11, 23, 5, 10, tzinfo=UTC), datetime(2026, 11, 23, 6, 30, tzinfo=UTC)),  # ten past midnight
        (datetime(2026, 11, 23, 6, 30, tzinfo=UTC), None),
        (datetime(2026, 7, 14, 4, 10, tzinfo=UTC), datetime(2026, 7, 14, 5, 30, tzinfo=UTC)),  # in summer
        (datetime(2026, 11, 21, 22, 59, tzinfo=UTC), None),  # Saturday, one minute to six
        (datetime(2026, 11, 21, 23, 30, tzinfo=UTC), datetime(2026, 11, 22, 6, 30, tzinfo=UTC)),
        (datetime(2026, 11, 22, 3, 0, tzinfo=UTC), datetime(2026, 11, 22, 6, 30, tzinfo=UTC)),  # still Saturday there
        (datetime(2026, 11, 20, 23, 30, tzinfo=UTC), None),  # Friday
    ],
)
def test_the_hours_of_maintenance_follow_the_brokers_clock(monkeypatch, now, until):
    monkeypatch.setattr(ibkr_replies, "NIGHTLY_UNTIL", time(1, 30))
    monkeypatch.setattr(ibkr_replies, "SATURDAY_FROM", time(18))
    assert maintenance_until(now) == until
