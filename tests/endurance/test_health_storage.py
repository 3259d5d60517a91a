"""How much room a year of one busy broker's measurements takes, kept as the settings say."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy
import pytest
from django.db import connection

from connections.brokers.calls import Operation
from health.metrics import Tally, bin_of
from health.models import BucketKey, CallBucket, Resolution
from health.retention import kept

CALLS_A_MINUTE = 3  # of each of the eight operations, day and night: 13 million calls a year
MOST_BYTES = 20_000_000
END = datetime(2026, 11, 20, tzinfo=UTC)


def buckets(resolution: Resolution, chance: numpy.random.Generator) -> Iterator[tuple[BucketKey, Tally]]:
    bins, shares = numpy.unique(
        [bin_of(seconds) for seconds in chance.lognormal(-1.5, 0.6, 200_000)], return_counts=True
    )
    length = min(kept()[resolution], timedelta(days=365))
    calls = CALLS_A_MINUTE * int(resolution.length / timedelta(minutes=1))
    for n in range(int(length / resolution.length)):
        for operation in Operation:
            drawn = chance.multinomial(calls, shares / shares.sum())
            histogram = Counter({int(at): int(count) for at, count in zip(bins, drawn, strict=True) if count})
            starts_at = END - (n + 1) * resolution.length
            counts = Counter({"ok/none": calls - calls // 50, "server_error/broker": calls // 50})
            tally = Tally(counts=counts, latency=histogram, received_bytes=9_000 * calls, last_call_at=starts_at)
            yield BucketKey(resolution, starts_at, "schwab", operation.value), tally


@pytest.mark.endurance
@pytest.mark.django_db(transaction=True)
def test_a_year_of_a_busy_broker_takes_less_than_twenty_megabytes(capsys: pytest.CaptureFixture[str]) -> None:
    chance = numpy.random.default_rng(1)
    for resolution in Resolution:
        batch: dict[BucketKey, Tally] = {}
        for key, tally in buckets(resolution, chance):
            batch[key] = tally
            if len(batch) == 1_000:
                CallBucket.objects.add(batch)
                batch = {}
        CallBucket.objects.add(batch)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM FULL health_callbucket")
        cursor.execute("SELECT pg_total_relation_size('health_callbucket'), count(*) FROM health_callbucket")
        size, rows = cursor.fetchone()
    with capsys.disabled():
        print(f"\n  {rows:,} buckets: {size / 1e6:.1f} MB")
    assert size < MOST_BYTES
