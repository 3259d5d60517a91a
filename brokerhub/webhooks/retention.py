"""How long events and the log of deliveries are kept."""

from datetime import datetime

from django.conf import settings
from django.utils import timezone

from brokerhub.webhooks.models import Delivery, Event

BATCH = 10_000


def remove_old(now: datetime | None = None) -> int:
    """Delete deliveries that ended long ago, and events that no delivery is left of; how many rows."""
    before = (now or timezone.now()) - settings.WEBHOOK_KEEP
    over = Delivery.objects.ended().filter(created_at__lt=before)
    unused = Event.objects.exclude(number=None).filter(occurred_at__lt=before, deliveries=None)
    removed = 0
    for old in (over, unused):
        while batch := list(old.order_by().values_list("pk", flat=True)[:BATCH]):
            removed += old.model._default_manager.filter(pk__in=batch).delete()[0]
    return removed
