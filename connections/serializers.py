"""Connections as integrators see them: the same words as the page, never a secret."""

from typing import Any, Literal

from rest_framework import serializers

from connections.brokers import BROKERS
from connections.brokers.records import AuthMethod, Broker
from connections.models import Account, Connection, ConnectionEvent
from connections.revocation import Revocation

METHODS = [(method.value, method.label) for method in BROKERS]


class ConnectedAccountSerializer(serializers.ModelSerializer[Account]):
    class Meta:
        model = Account
        fields = ("id", "name", "mask", "kind", "currency", "closed_on")


class ReasonSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(source="reason_code")
    text = serializers.CharField(source="reason.text")
    action = serializers.CharField(source="reason.action")


class ConnectionSerializer(serializers.ModelSerializer[Connection]):
    """`state_label`, `reason` and `next_action` are meant for people; `state` and `reason.code` for programs."""

    state_label = serializers.CharField(source="get_state_display")
    reason = ReasonSerializer(source="*")
    next_action = serializers.SerializerMethodField()
    accounts = ConnectedAccountSerializer(many=True)

    class Meta:
        model = Connection
        fields = (
            "id",
            "broker",
            "method",
            "environment",
            "label",
            "state",
            "state_label",
            "state_since",
            "state_until",
            "reason",
            "next_action",
            "degraded_parts",
            "access_expires_at",
            "authorization_expires_at",
            "last_success_at",
            "created_at",
            "accounts",
        )
        read_only_fields = fields

    def get_next_action(self, connection: Connection) -> str | None:
        """`oauth_initiate` when the person has to sign in at the broker, `enter_keys` on the hub's page, else null."""
        if connection.is_file or not connection.status.needs_user:
            return None
        return "enter_keys" if BROKERS[AuthMethod(connection.method)].fields else "oauth_initiate"


class ConnectionCreateSerializer(serializers.Serializer[Any]):
    broker = serializers.ChoiceField(choices=[choice for choice in Broker.choices if choice[0] != Broker.OTHER])
    method = serializers.ChoiceField(choices=METHODS)
    label = serializers.CharField(max_length=80, required=False, default="")  # type: ignore[assignment]

    def validate_broker(self, value: str) -> Broker:
        return Broker(value)

    def validate_method(self, value: str) -> AuthMethod:
        return AuthMethod(value)


class OAuthInitiateSerializer(serializers.Serializer[Any]):
    connection = serializers.UUIDField()


class AuthorizationUrlSerializer(serializers.Serializer[Any]):
    connection = serializers.UUIDField()
    authorization_url = serializers.URLField()
    expires_in = serializers.IntegerField(help_text="Seconds in which the sign-in has to be finished.")


class LabelSerializer(serializers.Serializer[Any]):
    label = serializers.CharField(max_length=80)  # type: ignore[assignment]  # a field of that name is our own


class ConnectionEventSerializer(serializers.ModelSerializer[ConnectionEvent]):
    """`actor` is whether the person did it or the hub; `words` and `why` are meant for people."""

    actor = serializers.SerializerMethodField()
    words = serializers.CharField()
    why = serializers.CharField()

    class Meta:
        model = ConnectionEvent
        fields = ("id", "action", "from_state", "to_state", "reason_code", "words", "why", "actor", "created_at")
        read_only_fields = fields

    def get_actor(self, event: ConnectionEvent) -> Literal["person", "hub"]:
        return "person" if event.actor_id else "hub"


class DisconnectReceiptSerializer(serializers.Serializer[Any]):
    connection = serializers.UUIDField()
    dry_run = serializers.BooleanField(help_text="True when nothing was changed.")
    history = serializers.ChoiceField(choices=["keep", "erase"])
    rows = serializers.DictField(child=serializers.IntegerField(), help_text="How many rows were kept or erased.")
    revocation = serializers.ChoiceField(
        choices=[outcome.value for outcome in Revocation],
        allow_null=True,
        help_text="Whether the broker has ended the hub's access; null in a dry run.",
    )
    left_to_do = serializers.CharField(help_text="What only the person can do at the broker.")
