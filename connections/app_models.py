"""What the hub keeps beside connections: its own registrations at brokers, and access that still has to be ended."""

import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from brokerhub.kernel.models import User
from connections import credentials
from connections.brokers.base import AppKeys
from connections.brokers.records import AuthMethod, Broker


class Environment(models.TextChoices):
    LIVE = "live", "Live"
    SANDBOX = "sandbox", "Sandbox"


class AppCredentialsQuerySet(models.QuerySet["AppCredentials"]):
    def for_user(self, user: User) -> Self:
        """The user's own. Those of an administrator are used for everybody and shown to nobody."""
        return self.filter(owner=user)

    def here(self) -> Self:
        return self.filter(environment=settings.ENVIRONMENT)


class AppCredentials(models.Model):
    """A registration as an app at one broker: entered by an administrator for all, or by one person for their own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    method = models.CharField(max_length=20, choices=AuthMethod.choices)
    environment = models.CharField(max_length=10, choices=Environment.choices)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="broker_apps",
        help_text="Empty: for everybody on this hub.",
    )
    sealed_values = models.BinaryField(default=b"", editable=False)
    hint = models.CharField(max_length=12, blank=True, help_text="How the public key of the app begins, for people.")
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(default=timezone.now)

    objects = AppCredentialsQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "app credentials"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["method", "environment", "owner"], nulls_distinct=False, name="one_app_per_method_and_owner"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_method_display()} ({self.hint}…)"

    def __repr__(self) -> str:
        return f"<AppCredentials {self.id} {self.method}>"

    @property
    def seal_owner(self) -> str:
        return f"app:{self.id}"

    def read_keys(self) -> AppKeys:
        """Raises CredentialsUnreadable."""
        values = credentials.unseal(bytes(self.sealed_values), owner=self.seal_owner)
        return AppKeys(values=values, id=self.id)

    def seal_keys(self, values: dict[str, Any]) -> None:
        """Put `values` into the unsaved row."""
        self.sealed_values = credentials.seal(values, owner=self.seal_owner)


class UnfinishedRevocationQuerySet(models.QuerySet["UnfinishedRevocation"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)


class UnfinishedRevocation(models.Model):
    """Access that could not be ended at its broker yet. It points at no connection: that may have been erased."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="unfinished_revocations",
        help_text="Empty: of somebody whose account is deleted.",
    )
    broker = models.CharField(max_length=20, choices=Broker.choices)
    method = models.CharField(max_length=20, choices=AuthMethod.choices)
    environment = models.CharField(max_length=10, choices=Environment.choices)
    app = models.ForeignKey(AppCredentials, null=True, blank=True, on_delete=models.SET_NULL)
    label = models.CharField(max_length=80)
    sealed_grant = models.BinaryField(default=b"", blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)
    gave_up_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UnfinishedRevocationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["created_at"]
        indexes: ClassVar = [models.Index(fields=["gave_up_at", "next_try_at"])]

    def __str__(self) -> str:
        return f"Access of {self.label}"

    def __repr__(self) -> str:
        return f"<UnfinishedRevocation {self.id} {self.broker}>"

    @property
    def seal_owner(self) -> str:
        return f"revocation:{self.id}"
