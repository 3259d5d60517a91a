"""Which app a person has let in, and what for."""

from datetime import datetime
from typing import ClassVar

from allauth.idp.oidc.models import Client
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from brokerhub.kernel.models import User


class AppAccess(models.Model):
    """Stands from the first consent until the person ends it, or a year has passed since the last one. Without it the
    app's tokens open nothing."""

    user = models.ForeignKey(User, models.CASCADE, related_name="apps")
    client = models.ForeignKey(Client, models.CASCADE, related_name="accesses")
    scopes = ArrayField(models.CharField(max_length=40), default=list)  # of all consents so far
    granted_at = models.DateTimeField(auto_now_add=True)  # of the last consent
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "app with access"
        verbose_name_plural = "apps with access"
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "client"], name="identity_one_access_per_app")]

    def __str__(self) -> str:
        return f"{self.client.name} for {self.user}"

    @property
    def ends_at(self) -> datetime:
        return self.granted_at + settings.APP_ACCESS_LASTS
