"""Beside each row of Django's own log: the request in which it was written, and why an operator did it."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.db import models

from brokerhub.kernel import trace


class OperatorAct(models.Model):
    """Django's log says who did what to which row and when; this adds under which request id, and why."""

    entry = models.OneToOneField("admin.LogEntry", on_delete=models.CASCADE, primary_key=True, related_name="act")
    why = models.CharField(max_length=300, blank=True)
    request_id = trace.field()

    class Meta:
        indexes: ClassVar = [trace.index("acts_by_request")]

    def __str__(self) -> str:
        return str(self.entry)


def note_act(instance: Any, created: bool, **_: Any) -> None:
    """A receiver: each row of the log gets its request id, whoever writes it."""
    if created:
        note_acts([instance])


def note_acts(entries: Iterable[Any], why: str = "") -> None:
    """The same for rows written in bulk, which tell no receiver; and for what an operator gave as the reason."""
    acts = [OperatorAct(entry=entry, why=why) for entry in entries]
    OperatorAct.objects.bulk_create(acts, update_conflicts=True, unique_fields=["entry"], update_fields=["why"])
