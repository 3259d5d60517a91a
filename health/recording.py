"""Every finished broker call is counted here, in this process's memory, and written a moment later in one statement.

Why memory and not the database or Redis at once: adding to a dictionary costs microseconds where a round trip would
cost a noticeable part of a fast call; a burst of 10,000 calls still becomes a handful of rows. Why a thread of its
own: it has its own database connection, so that a caller whose transaction is rolled back does not take the
measurement with it, and no row stays locked while the caller goes on to its next HTTP call. The price: a process that
is killed takes the measurements of its last FLUSH_AFTER seconds with it. Whatever ends in good order writes them.
"""

import atexit
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import Error, connection

from connections.brokers.calls import BrokerCall, Outcome, call_finished, call_misread
from health.failed_calls import FailedCall
from health.metrics import Tally
from health.models import BucketKey, CallBucket, ConnectionMeasure, Resolution

logger = logging.getLogger(__name__)

FLUSH_AFTER = 2.0  # seconds
RETRY_AFTER = 20.0  # seconds, when the database could not be reached
MOST_FAILED = 50  # failed calls told one by one between two flushes; the counts have all of them
MOST_KEPT = 2_000  # buckets kept while the database cannot be reached: about two hours of everything


class Recorder:
    """Counts calls; `flush` writes what was counted since the last time. One per process, used by all its threads.

    `flush_after` None means that nothing is written before somebody calls `flush`.
    """

    def __init__(self, flush_after: float | None = FLUSH_AFTER) -> None:
        self.flush_after = flush_after
        self.forget()

    def forget(self) -> None:
        """Start empty: in a forked child (its parent writes what was counted before the fork), and in tests."""
        self._lock = threading.Lock()
        self._pending: dict[BucketKey, Tally] = {}
        self._connections: dict[UUID, ConnectionMeasure] = {}
        self._failed: list[FailedCall] = []
        self._timer: threading.Timer | None = None

    def record(self, call: BrokerCall) -> None:
        with self._tally_of(call) as tally:
            tally.count(call)
            if call.connection_id is not None:
                self._measure_of(call.connection_id, call).count(call)
            if call.outcome is not Outcome.OK and len(self._failed) < MOST_FAILED:
                self._failed.append(FailedCall.of(call))

    def correct(self, call: BrokerCall) -> None:
        """`call` was recorded as a good one and was not."""
        with self._tally_of(call) as tally:
            tally.correct()

    def _measure_of(self, connection_id: UUID, call: BrokerCall) -> ConnectionMeasure:
        """Of a connection that was not called since the last flush a fresh one. Under the lock."""
        measure = self._connections.get(connection_id)
        if measure is None:
            measure = self._connections[connection_id] = ConnectionMeasure.of(connection_id, call.broker)
        return measure

    @contextmanager
    def _tally_of(self, call: BrokerCall) -> Iterator[Tally]:
        minute = Resolution.MINUTE.start_of(call.started_at)
        key = BucketKey(Resolution.MINUTE, minute, call.broker.value, call.operation.value)
        with self._lock:
            tally = self._pending.get(key)
            if tally is None:
                tally = self._pending[key] = Tally(last_call_at=call.started_at)
            yield tally
            if self.flush_after is not None:
                self._wind_up(self.flush_after)

    def _wind_up(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = threading.Timer(seconds, self._flush_in_background)
            self._timer.daemon = True
            self._timer.start()

    def flush(self) -> None:
        """Write what was counted, on this thread's database connection. Raises django.db.Error, and keeps it then."""
        with self._lock:
            batch, self._pending, self._timer = self._pending, {}, None
            measures, self._connections = self._connections, {}
            failed, self._failed = self._failed, []
        if not batch:
            return
        try:
            FailedCall.objects.bulk_create(failed)  # first: what is taken back below must not be written yet
            CallBucket.objects.add(_rolled_up(batch))
            ConnectionMeasure.objects.note(measures.values())
        except BaseException:
            self._take_back(batch)  # the rest is lost: of a connection the newest is told again soon
            raise

    def _take_back(self, batch: dict[BucketKey, Tally]) -> None:
        with self._lock:
            for key, tally in batch.items():
                self._pending.setdefault(key, Tally()).add(tally)
            surplus = len(self._pending) - MOST_KEPT
            if surplus > 0:
                for key in sorted(self._pending, key=lambda key: key.starts_at)[:surplus]:
                    del self._pending[key]
                logger.error("health: %d buckets of measurements were given up", surplus)
            if self.flush_after is not None:
                self._wind_up(RETRY_AFTER)

    def flush_or_log(self) -> None:
        """For places that have nobody to raise to."""
        try:
            self.flush()
        except Error:
            logger.warning("health: measurements could not be written yet", exc_info=True)

    def _flush_in_background(self) -> None:
        try:
            self.flush_or_log()
        finally:
            connection.close()  # the thread ends here, and its database connection with it


def _rolled_up(minutes: Mapping[BucketKey, Tally]) -> dict[BucketKey, Tally]:
    """The same calls once more by the hour and by the day: long windows need no job that could be missed."""
    batch = dict(minutes)
    for key, tally in minutes.items():
        for resolution in (Resolution.HOUR, Resolution.DAY):
            longer = key._replace(resolution=resolution, starts_at=resolution.start_of(key.starts_at))
            batch.setdefault(longer, Tally()).add(tally)
    return batch


recorder = Recorder()
os.register_at_fork(after_in_child=recorder.forget)
atexit.register(recorder.flush_or_log)


def on_call_finished(call: BrokerCall, **_: Any) -> None:
    """The receiver of the transport's signal. A measurement that fails must not fail the call, so it only logs."""
    try:
        recorder.record(call)
    except Exception:
        logger.exception("health: a call could not be recorded")


def on_call_misread(call: BrokerCall, **_: Any) -> None:
    try:
        recorder.correct(call)
    except Exception:
        logger.exception("health: a call could not be corrected")


def on_worker_process_shutdown(**_: Any) -> None:
    """Celery's pool processes leave without Python's exit hooks; their last calls are written here."""
    recorder.flush_or_log()


def listen() -> None:
    from celery.signals import worker_process_shutdown

    call_finished.connect(on_call_finished, dispatch_uid="health.recording")
    call_misread.connect(on_call_misread, dispatch_uid="health.recording")
    worker_process_shutdown.connect(on_worker_process_shutdown, dispatch_uid="health.recording")
