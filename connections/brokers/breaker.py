"""Circuit breaker per broker and operation, shared by all processes through the cache.

After `THRESHOLD` failures in a row on the broker's side the circuit is open for `OPEN_SECONDS`: calls fail at once.
Then one call at a time is let through; its success closes the circuit.
"""

from datetime import timedelta

from django.core.cache import cache
from django.utils import timezone

from brokerhub.kernel.hints import hints
from connections.brokers.base import CircuitOpen
from connections.brokers.calls import Operation
from connections.brokers.records import Broker

THRESHOLD = 5
OPEN_SECONDS = 30
MEMORY_SECONDS = 600


def _key(kind: str, broker: Broker, operation: Operation) -> str:
    return f"breaker:{kind}:{broker.value}:{operation.value}"


def check(broker: Broker, operation: Operation) -> None:
    """Pass when the circuit is closed or this call may try it. Raises CircuitOpen."""
    if (cache.get(_key("failures", broker, operation)) or 0) < THRESHOLD:
        return
    # `add` succeeds for one caller; its key is also what keeps everybody else away while the circuit is open.
    if cache.add(_key("trial", broker, operation), 1, timeout=OPEN_SECONDS):
        return
    raise CircuitOpen(
        f"{broker.label} has failed {THRESHOLD} times in a row; the hub waits before it asks again.",
        retry_at=timezone.now() + timedelta(seconds=OPEN_SECONDS),
    )


def succeeded(broker: Broker, operation: Operation) -> None:
    cache.delete_many([_key("failures", broker, operation), _key("trial", broker, operation)])


def failed(broker: Broker, operation: Operation) -> None:
    """Count one failure on the broker's side; the last one that opens the circuit also closes the door behind it."""
    key = _key("failures", broker, operation)
    cache.add(key, 0, timeout=MEMORY_SECONDS)
    try:
        failures = cache.incr(key)
    except ValueError:  # forgotten in this very moment, by a success elsewhere or by age
        return
    if failures >= THRESHOLD:
        cache.set(_key("trial", broker, operation), 1, timeout=OPEN_SECONDS)


def in_a_row() -> dict[tuple[Broker, Operation], int]:
    """Failures in a row up to now, of all that have any; none are known while Redis is away."""
    keys = {_key("failures", broker, operation): (broker, operation) for broker in Broker for operation in Operation}
    return {keys[key]: failures for key, failures in hints.get_many(list(keys)).items() if failures}
