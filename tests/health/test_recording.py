import logging
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy
import pytest
from celery.signals import worker_process_shutdown
from django.db import DatabaseError, connection, transaction

from connections.brokers.calls import Attribution, Operation, Outcome
from health.models import CallBucket, Resolution
from health.recording import Recorder, recorder
from tests.health import calls

pytestmark = pytest.mark.django_db


def minutes() -> list[CallBucket]:
    return list(CallBucket.objects.filter(resolution=Resolution.MINUTE).order_by("starts_at", "operation"))


def test_a_burst_of_ten_thousand_calls_is_recorded_exactly() -> None:
    chance = random.Random(7)
    makers = [calls.good] * 7 + [calls.server_error, calls.login_refused, calls.our_mistake]
    burst = [
        chance.choice(makers)(
            started_at=calls.NOW + timedelta(milliseconds=chance.randrange(180_000)),
            duration=chance.lognormvariate(-1.5, 0.8),
            operation=chance.choice([Operation.TRANSACTIONS, Operation.HOLDINGS]),
        )
        for _ in range(10_000)
    ]
    eighth = len(burst) // 8
    threads = [threading.Thread(target=calls.tell, args=(burst[n * eighth : (n + 1) * eighth],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.flush()

    for resolution in Resolution:
        buckets = CallBucket.objects.filter(resolution=resolution)
        told = Counter((call.operation.value, f"{call.outcome}/{call.attribution}") for call in burst)
        kept: Counter[tuple[str, str]] = Counter()
        for bucket in buckets:
            kept.update({(bucket.operation, key): count for key, count in bucket.counts.items()})
        assert kept == told
        assert sum(bucket.received_bytes for bucket in buckets) == 100 * 10_000


def test_the_percentiles_of_a_bucket_are_within_one_percent() -> None:
    chance = random.Random(1)
    durations = [chance.lognormvariate(-1.5, 1.0) for _ in range(2_000)]
    calls.record(*(calls.good(duration=duration) for duration in durations))
    (bucket,) = minutes()
    exact = float(numpy.quantile(durations, 0.95))
    assert bucket.p95 == pytest.approx(exact, rel=0.01)


def test_writing_twice_adds_to_the_same_minute() -> None:
    calls.record(calls.good(duration=0.1), calls.server_error())
    calls.record(calls.good(duration=0.4), calls.timed_out())
    (bucket,) = minutes()
    assert bucket.counts == {"ok/none": 2, "server_error/broker": 1, "timeout/broker": 1}
    assert bucket.tally.latency.total() == 3
    assert bucket.received_bytes == 400


def test_each_minute_and_operation_has_a_bucket_of_its_own() -> None:
    calls.record(
        calls.good(),
        calls.good(started_at=calls.minutes_ago(1)),
        calls.good(operation=Operation.REFRESH),
    )
    assert [(b.starts_at.minute, b.operation) for b in minutes()] == [
        (29, "transactions"),
        (30, "refresh"),
        (30, "transactions"),
    ]
    assert CallBucket.objects.filter(resolution=Resolution.HOUR).count() == 2


def test_the_budget_last_seen_is_kept_even_when_it_is_written_first() -> None:
    calls.record(calls.good(limit=60, remaining=10, period=60))
    calls.record(calls.good(started_at=calls.NOW - timedelta(seconds=5), limit=60, remaining=40, period=60))
    (bucket,) = minutes()
    assert (bucket.budget_limit, bucket.budget_remaining, bucket.budget_seen_at) == (60, 10, calls.NOW)
    assert bucket.last_call_at == calls.NOW


def test_a_call_that_tells_no_budget_does_not_hide_the_one_seen_before() -> None:
    calls.record(calls.good(limit=60, remaining=10, period=60))
    calls.record(calls.good(started_at=calls.NOW + timedelta(seconds=1)))
    (bucket,) = minutes()
    assert bucket.budget_remaining == 10


def test_one_statement_writes_everything(django_assert_num_queries: Callable[..., Any]) -> None:
    calls.tell(calls.good(operation=operation) for operation in Operation)
    with django_assert_num_queries(1):
        recorder.flush()
    with django_assert_num_queries(0):
        recorder.flush()


def test_recording_asks_the_database_nothing(django_assert_num_queries: Callable[..., Any]) -> None:
    with django_assert_num_queries(0):
        calls.tell([calls.good()] * 100)


def test_measurements_that_could_not_be_written_are_written_later() -> None:
    calls.tell([calls.good()])
    with pytest.raises(DatabaseError), read_only_database():
        recorder.flush()
    calls.record(calls.good())
    (bucket,) = minutes()
    assert bucket.counts == {"ok/none": 2}


@contextmanager
def read_only_database() -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL transaction_read_only = on")
        yield


def test_a_call_that_cannot_be_counted_is_logged_and_does_not_raise(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        calls.tell([calls.good(started_at="yesterday"), calls.good()])
    recorder.flush()
    assert "could not be recorded" in caplog.text
    assert minutes()[0].counts == {"ok/none": 1}


def test_a_forked_child_does_not_write_what_its_parent_counted() -> None:
    calls.tell([calls.good()])
    child = os.fork()
    if child == 0:
        os._exit(0 if not recorder._pending else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    recorder.flush()
    assert minutes()[0].counts == {"ok/none": 1}


@pytest.mark.django_db(transaction=True)
def test_a_call_is_measured_though_its_caller_rolls_back() -> None:
    """With the real clock of the recorder: a thread of its own writes, on a connection of its own."""
    prompt = Recorder(flush_after=0.0)
    with transaction.atomic():
        assert not CallBucket.objects.exists()  # the caller's transaction is open from here
        prompt.record(calls.server_error())
        assert prompt._timer is not None
        prompt._timer.join()
        assert minutes()[0].counts == {"server_error/broker": 1}, "already written, and not by the caller"
        transaction.set_rollback(True)
    assert minutes()[0].counts == {"server_error/broker": 1}


@pytest.mark.django_db(transaction=True)
def test_processes_that_write_the_same_minutes_at_once_lose_nothing() -> None:
    def process(seed: int) -> None:
        chance = random.Random(seed)
        own = Recorder(flush_after=None)
        for _ in range(15):
            for operation in chance.sample(list(Operation), len(Operation)):
                own.record(calls.good(operation=operation, started_at=calls.minutes_ago(chance.randrange(3))))
            own.flush()
        connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(process, range(4)))
    assert sum(bucket.tally.calls for bucket in minutes()) == 4 * 15 * len(Operation)


def test_a_worker_process_that_ends_in_good_order_writes_its_last_calls() -> None:
    calls.tell([calls.good()])
    worker_process_shutdown.send(sender=None)
    assert minutes()[0].counts == {"ok/none": 1}


def test_the_sides_and_outcomes_are_kept_apart() -> None:
    calls.record(calls.good(status=None, outcome=Outcome.NETWORK, attribution=Attribution.OURS), calls.timed_out())
    assert minutes()[0].counts == {"network/ours": 1, "timeout/broker": 1}
