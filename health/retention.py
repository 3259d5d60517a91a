"""How long measurements are kept: minutes for days, hours for weeks, days for years.

A broker that is called three times a minute with each operation, day and night, takes 18.0 MB for its first year
(`make endurance` measures it); what is quiet takes next to nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from connections.models import Connection
from health import failed_calls
from health.models import CallBucket, ConnectionMeasure, FailedCall, Resolution, StatusSpan


def kept() -> Mapping[Resolution, timedelta]:
    return {
        Resolution.MINUTE: settings.HEALTH_KEEP_MINUTES,
        Resolution.HOUR: settings.HEALTH_KEEP_HOURS,
        Resolution.DAY: settings.HEALTH_KEEP_DAYS,
    }


def remove_old(now: datetime | None = None) -> int:
    """Delete buckets past their time; how many there were."""
    now = now or timezone.now()
    alive = Connection.objects.values("pk")
    ConnectionMeasure.objects.exclude(connection_id__in=alive).delete()
    FailedCall.objects.filter(started_at__lt=now - failed_calls.KEPT).delete()
    FailedCall.objects.exclude(connection_id=None).exclude(connection_id__in=alive).delete()
    StatusSpan.objects.filter(ends_at__lt=now - settings.HEALTH_KEEP_DAYS).delete()
    return sum(
        CallBucket.objects.filter(resolution=resolution, starts_at__lt=now - length).delete()[0]
        for resolution, length in kept().items()
    )
