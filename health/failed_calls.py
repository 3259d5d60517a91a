"""Calls to brokers that failed, one by one: what an operator looks up by a request's id, or by the broker's own."""

from datetime import timedelta
from typing import ClassVar, Self

from django.db import models

from brokerhub.kernel import trace
from connections.brokers.calls import Attribution, BrokerCall, Operation, Outcome
from connections.brokers.records import Broker

KEPT = timedelta(days=14)  # support asks after days, not after months


class FailedCall(models.Model):
    """One attempt that failed. Like the measurements it holds no token, no account number and no address.

    The connection is kept by its id alone: recording must not fail because it was just removed.
    """

    started_at = models.DateTimeField(db_index=True)
    broker = models.CharField(max_length=20, choices=Broker.choices)
    operation = models.CharField(max_length=20, choices=[(each.value, each.value) for each in Operation])
    connection_id = models.UUIDField(null=True, blank=True, db_index=True)
    seconds = models.FloatField(help_text="How long the attempt took.")
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP status; empty: no answer came.")
    outcome = models.CharField(max_length=20, choices=[(each.value, each.value) for each in Outcome])
    attribution = models.CharField(max_length=20, choices=[(each.value, each.value) for each in Attribution])
    correlation_id = models.CharField(max_length=128, blank=True, help_text="The broker's own id, for its support.")
    request_id = trace.field()

    class Meta:
        ordering: ClassVar = ["-pk"]
        indexes: ClassVar = [trace.index("failed_calls_by_request")]

    def __str__(self) -> str:
        return f"{self.get_broker_display()} {self.operation}: {self.outcome}"

    @classmethod
    def of(cls, call: BrokerCall) -> Self:
        """Unsaved."""
        return cls(
            started_at=call.started_at,
            broker=call.broker.value,
            operation=call.operation.value,
            connection_id=call.connection_id,
            seconds=call.duration,
            status=call.status,
            outcome=call.outcome.value,
            attribution=call.attribution.value,
            correlation_id=call.correlation_id[:128],
            request_id=call.request_id,
        )
