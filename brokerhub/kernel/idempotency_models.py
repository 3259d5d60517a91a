"""Requests that were sent with an `Idempotency-Key`: kept in PostgreSQL with what they did, so that losing Redis, a
restart or a restored backup does nothing twice."""

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models


class KeyedRequestQuerySet(models.QuerySet["KeyedRequest"]):
    def over(self, now: datetime) -> Self:
        return self.filter(expires_at__lte=now)


class KeyedRequest(models.Model):
    """A request under a key. Without a status it is being worked on, or was cut off."""

    name = models.CharField(primary_key=True, max_length=64, help_text="Digest of person, address and key.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    fingerprint = models.CharField(max_length=64, help_text="Of what was sent; nobody can guess back from it.")
    begun_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    location = models.CharField(max_length=500, blank=True)
    sealed_answer = models.BinaryField(default=b"", editable=False)

    objects = KeyedRequestQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-expires_at"]

    def __str__(self) -> str:
        return f"{self.name[:12]}: {self.status or 'no answer'}"
