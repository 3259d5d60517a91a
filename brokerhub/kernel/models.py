"""Who uses the hub: people, and the tokens their programs carry."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from knox.models import AbstractAuthToken
from knox.settings import CONSTANTS

from brokerhub.kernel.desk_models import OperatorAct
from brokerhub.kernel.idempotency_models import KeyedRequest

__all__ = ["ApiToken", "KeyedRequest", "OperatorAct", "Scope", "User", "UserManager"]


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):  # type: ignore[django-manager-missing]  # knox's related manager has no type hints
    """A person. The e-mail address is the login; totals are shown in `currency`, clock times in `timezone`."""

    username = None  # type: ignore[assignment]
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=120, blank=True)
    currency = models.CharField(max_length=3, default="USD")
    timezone = models.CharField("time zone", max_length=64, default="America/New_York")

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email.split("@")[0]


class Scope(models.TextChoices):
    """What a token may do. Sessions in the browser have every scope."""

    CONNECTIONS_READ = "connections:read", "See connections"
    CONNECTIONS_WRITE = "connections:write", "Connect, refresh and disconnect brokers"
    PORTFOLIO_READ = "portfolio:read", "See accounts, positions, balances and transactions"
    SYNC_WRITE = "sync:write", "Start syncs and import files"
    HEALTH_READ = "health:read", "See how the brokers' APIs are doing"
    COMPARE_READ = "compare:read", "Compare brokers: prices, execution quality, ratings"
    COMPARE_WRITE = "compare:write", "Rate brokers, and keep comparisons"
    WEBHOOKS_WRITE = "webhooks:write", "Set up webhooks, and see what they delivered"


class ApiToken(AbstractAuthToken):  # type: ignore[misc]  # knox has no type hints
    """A program's way in: only a digest is stored, the token itself is shown once."""

    id = models.BigAutoField(primary_key=True)  # knox's own key is the digest, which would then stand in addresses
    digest = models.CharField(max_length=CONSTANTS.DIGEST_LENGTH, unique=True, editable=False)
    name = models.CharField(max_length=80, default="API token")
    scopes = ArrayField(models.CharField(max_length=40, choices=Scope.choices), default=list)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta(AbstractAuthToken.Meta):  # type: ignore[misc]
        abstract = False
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.token_key}...)"
