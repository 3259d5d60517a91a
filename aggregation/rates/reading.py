"""Keeps the reference rates up to date: what is missing since the last reading is read, and nothing twice."""

from datetime import date, datetime, timedelta

import structlog
from django.core.cache import cache
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from aggregation.rates import ecb
from aggregation.rates.ecb import RateFile, RatesUnreadable
from aggregation.rates.models import RatePublisher, ReferenceRate

log = structlog.get_logger(__name__)

ASK_AGAIN = timedelta(minutes=15)  # while a file that is due is not there
SURELY_IN_90_DAYS = timedelta(days=80)
ROWS_AT_ONCE = 5000
_ASKED = "reference-rates-asked"


def newest() -> date | None:
    """The last day we have rates of."""
    found: date | None = ReferenceRate.objects.filter(publisher=RatePublisher.ECB).aggregate(on=Max("on"))["on"]
    return found


def read_due(now: datetime | None = None) -> int:
    """Read what should be out and is missing; how many rates came. One query when nothing is due.

    A file that does not come, or is odd, is logged and asked for again after `ASK_AGAIN`, by one process of all.
    """
    now = now or timezone.now()
    due, last = ecb.last_due(now), newest()
    if last is not None and last >= due:
        return 0
    if not cache.add(_ASKED, 1, timeout=ASK_AGAIN.total_seconds()):
        return 0
    try:
        return read(smallest_file(last, due), now=now)
    except RatesUnreadable as error:
        log.warning("reference_rates_not_read", why=str(error), since=str(last))
        return 0


def smallest_file(last: date | None, due: date) -> RateFile:
    """The file that has every day after `last` up to `due`."""
    if last is None or due - last > SURELY_IN_90_DAYS:
        return RateFile.HISTORY
    return RateFile.DAILY if ecb.fixing_before(due - ecb.ONE_DAY) <= last else RateFile.LAST_90_DAYS


def read(file: RateFile, *, now: datetime) -> int:
    """Read one file; how many rates of new days came. The same file again changes nothing. Raises RatesUnreadable."""
    rates = ecb.parse(ecb.fetch(file), today=now.astimezone(ecb.FRANKFURT).date())
    days = {rate.on for rate in rates}
    with transaction.atomic():
        known = set(
            ReferenceRate.objects.filter(publisher=RatePublisher.ECB, on__gte=min(days))
            .values_list("on", flat=True)
            .distinct()
        )
        rows = [
            ReferenceRate(currency=rate.currency, on=rate.on, per_euro=rate.per_euro, read_at=now)
            for rate in rates
            if rate.on not in known
        ]
        ReferenceRate.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE, ignore_conflicts=True)
    log.info("reference_rates_read", file=file.value, rates=len(rows), newest=str(max(days)))
    return len(rows)
