"""The way to a broker against servers that behave badly: slow, huge, compressed, lying about what they send."""

import gzip
import hashlib
import json
import time
from datetime import timedelta
from email.utils import format_datetime

import pytest
import requests
from django.utils import timezone

from connections.brokers import transport
from connections.brokers.base import BrokerUnavailable, RateLimited, UnexpectedReply
from connections.brokers.budgets import Budget
from connections.brokers.calls import Operation, Outcome, call_finished
from connections.brokers.records import Broker
from connections.brokers.transport import LONGEST_WAIT, BrokerSession, Reply, Wire, judge
from connections.tokens import FreshGrant
from tests.connections.conftest import some_grant, whole

JSON = b"Content-Type: application/json\r\n"


@pytest.fixture
def told():
    calls = []
    call_finished.connect(lambda call, **_: calls.append(call), weak=False, dispatch_uid="told")
    yield calls
    call_finished.disconnect(dispatch_uid="told")


def ask(url):
    wire = Wire(broker=Broker.SCHWAB)
    return BrokerSession(wire=wire, base_url=url, grants=FreshGrant(some_grant())).get(
        "/", operation=Operation.ACCOUNTS
    )


def reply(status=200, data=None, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, requests.structures.CaseInsensitiveDict(names), "", data)


def test_a_trickle_meets_the_deadline_and_not_only_the_read_timeout(answering, told, settings, monkeypatch):
    settings.BROKER_READ_TIMEOUT = 0.2
    monkeypatch.setattr(transport, "TOTAL_DEADLINE", -1.0)  # it is over as soon as the first byte has come
    url = answering(b"HTTP/1.1 200 OK\r\n" + JSON + b"Content-Length: 100\r\n\r\n[")
    with pytest.raises(BrokerUnavailable, match="in time"):
        ask(url)
    assert {call.outcome for call in told} == {Outcome.TIMEOUT}


def test_an_answer_that_stops_in_the_middle_is_a_timeout(answering, told):
    url = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")
    with pytest.raises(BrokerUnavailable, match="in time"):
        Wire(broker=Broker.SCHWAB).exchange(Operation.ACCOUNTS, lambda: requests.get(url, stream=True, timeout=0.2))
    assert [call.outcome for call in told] == [Outcome.TIMEOUT]


def test_a_small_answer_that_unpacks_to_a_huge_one_is_refused(answering, told, monkeypatch):
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1024 * 1024)
    bomb = gzip.compress(b" " * (32 * 1024 * 1024))
    with pytest.raises(UnexpectedReply, match="larger"):
        ask(answering(whole(bomb, JSON, b"Content-Encoding: gzip\r\n")))
    assert [call.outcome for call in told] == [Outcome.BAD_REPLY]


@pytest.mark.parametrize(
    "headers",
    [JSON + b"Content-Encoding: gzip\r\n", b"Content-Type: application/json; charset=nonsense\r\n"],
    ids=["packed", "unknown charset"],
)
def test_an_answer_is_read_whatever_it_says_about_its_form(answering, headers):
    body = b'["K\xc3\xb6ln"]'
    body = gzip.compress(body) if b"gzip" in headers else body
    assert ask(answering(whole(body, headers))) == ["Köln"]


@pytest.mark.parametrize(
    "said",
    [
        whole(b"[" * 200_000, JSON),
        whole(b"not packed", JSON, b"Content-Encoding: gzip\r\n"),
        whole(b"", status=b"204 No Content"),
        whole(b"", b"Location: http://elsewhere.example/\r\n", status=b"302 Found"),
    ],
    ids=["nested without end", "falsely packed", "empty", "redirect"],
)
def test_what_is_no_data_counts_as_the_brokers_failure(answering, said, monkeypatch):
    monkeypatch.setattr(transport, "ATTEMPTS", 1)
    with pytest.raises(BrokerUnavailable):
        ask(answering(said))


@pytest.mark.parametrize("rows", [1, 30_000])
def test_a_packed_answer_comes_out_whole_whatever_its_size(answering, rows):
    data = [hashlib.sha256(bytes([row % 256])).hexdigest() + " " * (row % 997) for row in range(rows)]
    assert ask(answering(whole(gzip.compress(json.dumps(data).encode()), JSON, b"Content-Encoding: gzip\r\n"))) == data


def test_an_answer_in_chunks_is_read_to_its_last_one(answering):
    head = b"HTTP/1.1 200 OK\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
    assert ask(answering(head + b"4\r\n[1, \r\n2\r\n2]\r\n0\r\n\r\n")) == [1, 2]


@pytest.mark.parametrize(
    "cut",
    [b"Transfer-Encoding: chunked\r\n\r\n4\r\n[12]\r\n", b"Content-Length: 40\r\n\r\n[12]"],
    ids=["before the last chunk", "before its length"],
)
def test_what_was_cut_off_is_no_answer_even_if_it_reads_like_one(answering, monkeypatch, cut):
    monkeypatch.setattr(transport, "ATTEMPTS", 1)
    with pytest.raises(BrokerUnavailable, match="reached"):
        ask(answering(b"HTTP/1.1 200 OK\r\n" + JSON + cut, hang_up=True))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("30", 30),
        ("99999999999999999999", LONGEST_WAIT),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("²", None),
        ("soon", None),
        ("", None),
    ],
)
def test_a_wish_to_wait_is_heard_within_reason(said, seconds):
    assert reply(429, Retry_After=said).retry_after == seconds


def test_a_wish_to_wait_may_be_a_date():
    at = timezone.now() + timedelta(hours=1)
    assert 3500 < reply(429, Retry_After=format_datetime(at, usegmt=False)).retry_after <= 3600


def until(error):
    assert isinstance(error, BrokerUnavailable)
    assert error.retry_at is not None
    return error.retry_at - timezone.now()


def test_an_absurd_wait_parks_for_a_day_and_crashes_nothing():
    _, _, error = judge(Broker.SCHWAB, reply(429, Retry_After="9" * 30))
    assert isinstance(error, RateLimited)
    assert until(error) <= timedelta(days=1)


def test_an_outage_that_names_its_end_is_waited_for():
    _, _, error = judge(Broker.SCHWAB, reply(503, Retry_After="120"))
    assert timedelta(seconds=110) < until(error) <= timedelta(seconds=120)
    _, _, silent = judge(Broker.SCHWAB, reply(503))
    assert isinstance(silent, BrokerUnavailable)
    assert silent.retry_at is None


def test_no_answer_shows_its_content_when_printed():
    held = Reply(200, {"Set-Cookie": "a-secret"}, '{"access_token": "a-secret"}', {"access_token": "a-secret"})
    assert "a-secret" not in repr(held)


def test_the_deadline_spans_all_attempts(answering, monkeypatch):
    deadlines = []
    exchange = Wire.exchange

    def watched(self, *args, deadline=None, **options):
        deadlines.append(deadline)
        return exchange(self, *args, deadline=deadline, **options)

    monkeypatch.setattr(Wire, "exchange", watched)
    with pytest.raises(BrokerUnavailable):
        ask(answering(whole(b"down", status=b"500 Internal Server Error")))
    assert len(deadlines) == transport.ATTEMPTS
    assert len(set(deadlines)) == 1
    assert deadlines[0] <= time.monotonic() + transport.TOTAL_DEADLINE


def test_what_can_wait_leaves_calls_to_people_who_are_signing_in(answering, told):
    url = answering(whole(b"[]", JSON))
    wire = Wire(broker=Broker.SCHWAB, budget=Budget(limit=5, period=60, owner="reserve-test", reserve=2))

    def call(operation):
        return wire.exchange(operation, lambda: requests.get(url, stream=True, timeout=5))

    for _ in range(3):
        call(Operation.TRANSACTIONS)
    with pytest.raises(RateLimited):
        call(Operation.TRANSACTIONS)
    for _ in range(2):
        call(Operation.SIGN_IN)
    with pytest.raises(RateLimited):
        call(Operation.SIGN_IN)
    assert len(told) == 5
