"""The worker's sign of life, and what the kernel throws away."""

from celery import shared_task
from django.core.cache import cache
from django.utils import timezone

from brokerhub.kernel import idempotency

HEARTBEAT_KEY = "worker-heartbeat"


@shared_task(name="brokerhub.kernel.heartbeat")
def heartbeat() -> None:
    """Write down the time. Beat sends this and a worker does it, so a fresh time proves both and the broker between."""
    cache.set(HEARTBEAT_KEY, timezone.now().isoformat(), timeout=None)


@shared_task(name="brokerhub.kernel.remove_old_keys")
def remove_old_keys() -> None:
    idempotency.remove_old()
