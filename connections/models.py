"""Connections to brokers, their accounts, the sign-ins under way, and the audit trail."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from brokerhub.kernel import trace
from brokerhub.kernel.models import User
from connections import credentials
from connections.app_models import AppCredentials, Environment, UnfinishedRevocation
from connections.brokers import BROKERS
from connections.brokers.records import AccountKind, AuthMethod, Broker
from connections.stale import StalePart, stale_parts
from connections.states import ConnectionState, Reason, reason_for

__all__ = [
    "EPOCH",
    "Account",
    "AppCredentials",
    "Authorization",
    "Connection",
    "ConnectionEvent",
    "Environment",
    "ExpiryNotice",
    "OfferedAccount",
    "UnfinishedRevocation",
]

FAILING = (ConnectionState.DEGRADED, ConnectionState.ERROR, ConnectionState.NEEDS_REAUTH)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # "never held": a lease compares, so it is never null


class ConnectionQuerySet(models.QuerySet["Connection"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)

    def open(self) -> Self:
        """Everything the user still has, connected or not; disconnected ones keep only history."""
        return self.exclude(state__in=[ConnectionState.DISCONNECTING, ConnectionState.DISCONNECTED])

    def failing(self) -> Self:
        """Those that bring nothing, or not all, until somebody does something."""
        return self.filter(state__in=FAILING)

    def by_api(self) -> Self:
        return self.exclude(method=AuthMethod.FILE)

    def syncable(self) -> Self:
        states = [state for state in ConnectionState if state.may_sync]
        switched_off = [method for method, entry in BROKERS.items() if not entry.is_offered()]
        return self.by_api().filter(state__in=states, environment=settings.ENVIRONMENT).exclude(method__in=switched_off)

    def renewable(self, *, within: timedelta) -> Self:
        """Connections whose access token ends within `within` and that nobody is renewing right now."""
        now = timezone.now()
        return self.syncable().filter(access_expires_at__lt=now + within, refresh_held_until__lt=now)

    def free_label(self, broker: Broker) -> str:
        """The broker's name, with a number when one of these connections has that name already."""
        taken = set(self.values_list("label", flat=True))
        numbered = (f"{broker.label} {number}" for number in itertools.count(2))
        return next(label for label in itertools.chain([broker.label], numbered) if label not in taken)

    def for_cards(self) -> Self:
        return self.prefetch_related("accounts", "offered_accounts").order_by("broker", "created_at")


class Connection(models.Model):
    """One login at one broker (or the accounts a user keeps by file there)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="connections")
    broker = models.CharField(max_length=20, choices=Broker.choices)
    method = models.CharField(max_length=20, choices=AuthMethod.choices)
    history_method = models.CharField(
        max_length=20, choices=AuthMethod.choices, blank=True, help_text="Where transactions come from, if elsewhere."
    )
    environment = models.CharField(max_length=10, choices=Environment.choices)
    app = models.ForeignKey(
        AppCredentials,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="connections",
        help_text="The registration its access was given to; empty: the environment's, or none is needed.",
    )
    label = models.CharField(max_length=80)
    state = models.CharField(max_length=20, choices=ConnectionState.choices, default=ConnectionState.PENDING_AUTH)
    reason_code = models.CharField(max_length=40, blank=True, default="not_signed_in")
    state_since = models.DateTimeField(default=timezone.now)
    state_until = models.DateTimeField(null=True, blank=True, help_text="When a waiting state ends by itself.")
    degraded_parts = models.JSONField(default=dict, blank=True, help_text='{part: {"since", "reason"}}')
    broker_user_key = models.CharField(max_length=120, blank=True)
    ids_given_to = models.CharField(
        max_length=16, blank=True, help_text="Digest of the app key by which the broker gave its ids; kept on leaving."
    )
    sealed_credentials = models.BinaryField(default=b"", blank=True, editable=False)
    access_expires_at = models.DateTimeField(null=True, blank=True)
    authorization_expires_at = models.DateTimeField(null=True, blank=True)
    refresh_held_until = models.DateTimeField(default=EPOCH, editable=False)
    last_success_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "broker", "environment", "broker_user_key"],
                condition=~Q(broker_user_key=""),
                name="one_connection_per_broker_login",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["user", "state"]),
            models.Index(
                fields=["state", "reason_code"],
                condition=Q(state__in=["degraded", "error", "needs_reauth"]),
                name="failing_connections",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.get_state_display()})"

    def __repr__(self) -> str:
        return f"<Connection {self.id} {self.broker} {self.state}>"

    @property
    def status(self) -> ConnectionState:
        return ConnectionState(self.state)

    @property
    def is_switched_off(self) -> bool:
        """This hub does not offer its way to connect any more, and so does not use it either."""
        return not self.is_file and not BROKERS[AuthMethod(self.method)].is_offered()

    @property
    def reason(self) -> Reason:
        if self.is_switched_off and self.status.may_sync:
            return reason_for("switched_off", broker=self.get_broker_display())
        return reason_for(self.reason_code, broker=self.get_broker_display())

    @property
    def stale(self) -> list[StalePart]:
        """What is not up to date, with the account, since when and why; empty when all is well."""
        return list(stale_parts(self))

    @property
    def is_file(self) -> bool:
        return self.method == AuthMethod.FILE

    @property
    def seal_owner(self) -> str:
        return f"connection:{self.id}"

    def read_credentials(self) -> dict[str, Any]:
        """The secrets of this connection, {} if there are none. Raises CredentialsUnreadable."""
        if not self.sealed_credentials:
            return {}
        return credentials.unseal(bytes(self.sealed_credentials), owner=self.seal_owner)

    def seal_credentials(self, values: dict[str, Any]) -> None:
        """Put `values` into the unsaved row. Only `connection_manager` and its helpers call this."""
        self.sealed_credentials = credentials.seal(values, owner=self.seal_owner) if values else b""


class AccountQuerySet(models.QuerySet["Account"]):
    def for_user(self, user: User) -> Self:
        return self.filter(connection__user=user)

    def current(self) -> Self:
        return self.filter(closed_on=None)


class ListedAccount(models.Model):
    """What a broker says about one account. `external_id` is its own id and stays the same over reconnects."""

    external_id = models.CharField(max_length=128)
    mask = models.CharField(max_length=8, blank=True, help_text="The last characters of the number, for people.")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=AccountKind.choices, default=AccountKind.UNKNOWN)
    currency = models.CharField(max_length=3, default="USD")
    aliases = ArrayField(
        models.CharField(max_length=128), default=list, blank=True, help_text="Other numbers the broker has for it."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.name} ...{self.mask}" if self.mask else self.name


class Account(ListedAccount):
    """One account at a broker whose books the hub keeps."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="accounts")
    closed_on = models.DateField(null=True, blank=True)
    unlisted_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when the broker does not list it any more: closed, or not shared."
    )

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["connection", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="one_account_per_external_id")
        ]


class OfferedAccount(ListedAccount):
    """An account the broker lists that the person has not added yet: opened later, or left out on purpose."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="offered_accounts")
    declined_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["connection", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["connection", "external_id"], name="one_offer_per_external_id")
        ]


class Authorization(models.Model):
    """One sign-in under way: a state that is good once, for one user and one browser session, for minutes."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="authorizations")
    key_digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of what names this sign-in.")
    session_nonce_digest = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the nonce in the browser session; empty when begun by API."
    )
    sealed_kept = models.BinaryField(default=b"", blank=True, editable=False)
    is_prepared = models.BooleanField(default=False, help_text="Holds a key pair the hub made, not a sign-in.")
    app = models.ForeignKey(AppCredentials, null=True, blank=True, on_delete=models.CASCADE)
    redirect_uri = models.CharField(max_length=500)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"Sign-in for {self.connection_id} begun {self.created_at:%Y-%m-%d %H:%M}"


class ConnectionEvent(models.Model):
    """Append-only: who did what to a connection, from which state to which, and why."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="events")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    action = models.CharField(max_length=40)
    from_state = models.CharField(max_length=20, blank=True)
    to_state = models.CharField(max_length=20, blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    request_id = trace.field()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["connection", "-created_at"]),
            trace.index("events_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.action}: {self.from_state} to {self.to_state}"

    @property
    def words(self) -> str:
        """What happened, for people: the state it came to, or the action when no state changed."""
        return ConnectionState(self.to_state).label if self.to_state else self.action.replace("_", " ").capitalize()

    @property
    def why(self) -> str:
        return reason_for(self.reason_code, broker=self.connection.get_broker_display()).text or self.detail


class NoticeChannel(models.TextChoices):
    EVENT = "event", "In the connection's history"
    EMAIL = "email", "By e-mail"


class ExpiryNotice(models.Model):
    """A reminder that went out before a sign-in ends. The constraint is what makes each go out once."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="expiry_notices")
    authorization_expires_at = models.DateTimeField()
    hours_before = models.PositiveSmallIntegerField()
    channel = models.CharField(max_length=10, choices=NoticeChannel.choices)
    sent_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["connection", "authorization_expires_at", "hours_before", "channel"],
                name="each_reminder_once_per_channel",
            )
        ]

    def __str__(self) -> str:
        return f"{self.connection_id}: {self.hours_before} h before, {self.channel}"
