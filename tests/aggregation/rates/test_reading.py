"""The central bank's reference rates: read when they are due, caught up on, and never guessed at."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.core.cache import cache

from aggregation.models import ReferenceRate
from aggregation.rates import ecb, reading
from aggregation.rates.ecb import RateFile, RatesUnreadable
from aggregation.tasks import read_reference_rates

pytestmark = pytest.mark.django_db

FRIDAY_EVENING = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
ENVELOPE = (
    '<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" '
    'xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube>{days}</Cube></gesmes:Envelope>'
)
A_DAY = "<Cube time='2026-11-20'><Cube currency='USD' rate='1.0851'/><Cube currency='JPY' rate='163.02'/></Cube>"


def a_file(days: str = A_DAY) -> bytes:
    return ENVELOPE.format(days=days).encode()


def ask_again() -> None:
    cache.delete("reference-rates-asked")


def known_days() -> list[date]:
    return sorted(ReferenceRate.objects.values_list("on", flat=True).distinct())


def having_read(on: date) -> None:
    ReferenceRate.objects.create(currency="USD", on=on, per_euro=Decimal("1.1"), read_at=FRIDAY_EVENING)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (datetime(2026, 11, 20, 14, 59, tzinfo=UTC), date(2026, 11, 19)),  # 15:59 in Frankfurt
        (datetime(2026, 11, 20, 15, 5, tzinfo=UTC), date(2026, 11, 20)),
        (datetime(2026, 7, 1, 14, 5, tzinfo=UTC), date(2026, 7, 1)),  # summer time
        (datetime(2026, 11, 22, 20, 0, tzinfo=UTC), date(2026, 11, 20)),  # a Sunday
        (datetime(2026, 4, 6, 20, 0, tzinfo=UTC), date(2026, 4, 2)),  # Easter Monday after Good Friday
        (datetime(2026, 12, 26, 20, 0, tzinfo=UTC), date(2026, 12, 24)),
    ],
)
def test_rates_are_due_after_sixteen_hundred_in_frankfurt_on_days_that_have_some(now, due):
    assert ecb.last_due(now) == due


def test_the_live_address_is_the_central_banks_own(settings):
    settings.BROKERS_SANDBOX_URL = ""
    assert ecb.address(RateFile.DAILY) == "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-daily.xml"
    assert ecb.address(RateFile.LAST_90_DAYS) == "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist-90d.xml"
    assert ecb.address(RateFile.HISTORY) == "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.xml"


@pytest.mark.parametrize(
    ("last", "file"),
    [
        (None, RateFile.HISTORY),
        (date(2026, 6, 1), RateFile.HISTORY),
        (date(2026, 11, 12), RateFile.LAST_90_DAYS),
        (date(2026, 11, 19), RateFile.DAILY),
    ],
)
def test_the_smallest_file_that_has_all_missing_days_is_read(last, file):
    assert reading.smallest_file(last, date(2026, 11, 20)) is file


def test_a_new_hub_reads_the_whole_history_once(sandbox):
    sandbox.set_now(datetime(2022, 3, 4, 18, 0, tzinfo=UTC))
    assert reading.read_due(datetime(2022, 3, 4, 18, 0, tzinfo=UTC)) > 2000
    assert (known_days()[0], known_days()[-1]) == (date(2021, 11, 15), date(2022, 3, 4))
    assert ReferenceRate.objects.get(currency="USD", on=date(2021, 11, 15)).per_euro == Decimal("1.1368")
    ask_again()
    assert reading.read_due(datetime(2022, 3, 5, 18, 0, tzinfo=UTC)) == 0  # a Saturday
    assert len(sandbox.calls("history")) == 1
    assert sandbox.calls("daily") == []


def test_days_the_hub_was_down_are_caught_up_on_and_the_next_day_needs_one_small_file(sandbox):
    having_read(date(2026, 11, 12))
    sandbox.set_now(FRIDAY_EVENING)
    reading.read_due(FRIDAY_EVENING)
    assert [day.day for day in known_days() if day > date(2026, 11, 12)] == [13, 16, 17, 18, 19, 20]
    monday = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
    sandbox.set_now(monday)
    ask_again()
    assert reading.read_due(monday) == 29
    assert len(sandbox.calls("last_90_days")) == len(sandbox.calls("daily")) == 1


def test_the_task_may_ring_as_often_as_it_likes(sandbox):
    having_read(ecb.last_due(datetime.now(UTC)))
    read_reference_rates()
    assert sandbox.calls() == []


def test_the_same_file_again_changes_nothing(sandbox):
    sandbox.set_now(FRIDAY_EVENING)
    assert reading.read(RateFile.DAILY, now=FRIDAY_EVENING) == 29
    assert reading.read(RateFile.DAILY, now=FRIDAY_EVENING) == 0


@pytest.mark.parametrize("kind", ["500", "403", "html", "reset", "truncated_json"])
def test_a_file_that_does_not_come_whole_is_asked_for_again_later_and_leaves_no_rate(sandbox, kind):
    having_read(date(2026, 11, 19))
    sandbox.set_now(FRIDAY_EVENING)
    sandbox.fault(kind, "daily", broker="ecb", times=1)
    assert reading.read_due(FRIDAY_EVENING) == 0
    assert known_days() == [date(2026, 11, 19)]
    assert reading.read_due(FRIDAY_EVENING) == 0  # not again at once
    assert len(sandbox.calls("daily")) == 1
    ask_again()
    assert reading.read_due(FRIDAY_EVENING) == 29


def test_rates_are_read_as_they_stand():
    rates = ecb.parse(a_file(), today=date(2026, 11, 20))
    assert [(rate.on, rate.currency, str(rate.per_euro)) for rate in rates] == [
        (date(2026, 11, 20), "USD", "1.0851"),
        (date(2026, 11, 20), "JPY", "163.02"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html><body>Service unavailable</body></html>",
        a_file()[:-30],
        a_file(""),
        a_file("<Cube time='2026-11-20'></Cube>"),
        a_file(A_DAY + A_DAY),
        a_file(A_DAY.replace("2026-11-20", "2026-11-22")),
        a_file(A_DAY.replace("2026-11-20", "20 November")),
        a_file(A_DAY.replace("1.0851", "0")),
        a_file(A_DAY.replace("1.0851", "-1.0851")),
        a_file(A_DAY.replace("1.0851", "1,0851")),
        a_file(A_DAY.replace("1.0851", "N/A")),
        a_file(A_DAY.replace("1.0851", "NaN")),
        a_file(A_DAY.replace("1.0851", "1E5")),
        a_file(A_DAY.replace("USD", "US$")),
        a_file(A_DAY.replace("USD", "EUR")),
        a_file(A_DAY.replace("currency", "code")),
        a_file().replace(b"vocabulary/2002", b"vocabulary/2030"),
        b'<!DOCTYPE a [<!ENTITY b "c">]>' + a_file(),
    ],
    ids=range(19),
)
def test_a_file_that_is_not_as_it_should_be_is_refused_whole(content):
    with pytest.raises(RatesUnreadable):
        ecb.parse(content, today=date(2026, 11, 20))
