"""Connections as integrators see them: the same words as the page, never a secret."""

from datetime import datetime
from typing import Any, Literal

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from connections.brokers import BROKERS
from connections.brokers.base import KeyField, Shown
from connections.brokers.deliveries import Delivery, Topic
from connections.brokers.records import AuthMethod, Broker
from connections.models import Account, Connection, ConnectionEvent, OfferedAccount
from connections.offers import Kind, Way
from connections.revocation import Revocation
from connections.stale import StalePart

METHODS = [(method.value, method.label) for method in BROKERS]


class ConnectedAccountSerializer(serializers.ModelSerializer[Account]):
    class Meta:
        model = Account
        fields = ("id", "name", "mask", "kind", "currency", "closed_on", "unlisted_since")


class OfferedAccountSerializer(serializers.ModelSerializer[OfferedAccount]):
    """An account the broker lists and the hub does not read: add it or leave it out."""

    class Meta:
        model = OfferedAccount
        fields = ("id", "name", "mask", "kind", "currency", "declined_at")


class ReasonSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(source="reason_code")
    text = serializers.CharField(source="reason.text")
    action = serializers.CharField(source="reason.action")


class StalePartSerializer(serializers.Serializer[StalePart]):
    """A part that is not up to date, `since` its last success; `words` and `reason` are meant for people."""

    part = serializers.CharField(source="kind", help_text="accounts, holdings or transactions")
    account = serializers.SerializerMethodField()
    words = serializers.CharField(source="__str__")
    since = serializers.DateTimeField()
    reason = serializers.CharField()

    def get_account(self, stale: StalePart) -> int | None:
        return stale.account.pk if stale.account else None


class ConnectionSerializer(serializers.ModelSerializer[Connection]):
    """`state_label`, `reason` and `next_action` are meant for people; `state` and `reason.code` for programs."""

    history_method = serializers.SerializerMethodField()
    state_label = serializers.CharField(source="get_state_display")
    reason = ReasonSerializer(source="*")
    next_action = serializers.SerializerMethodField()
    degraded_parts = serializers.SerializerMethodField()
    stale = StalePartSerializer(many=True)
    accounts = ConnectedAccountSerializer(many=True)
    offered_accounts = OfferedAccountSerializer(many=True)

    class Meta:
        model = Connection
        fields = (
            "id",
            "broker",
            "method",
            "history_method",
            "environment",
            "label",
            "state",
            "state_label",
            "state_since",
            "state_until",
            "reason",
            "next_action",
            "degraded_parts",
            "stale",
            "access_expires_at",
            "authorization_expires_at",
            "last_success_at",
            "created_at",
            "accounts",
            "offered_accounts",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=AuthMethod.choices, allow_null=True))
    def get_history_method(self, connection: Connection) -> str | None:
        """Where transactions come from, if elsewhere."""
        return connection.history_method or None

    def get_degraded_parts(self, connection: Connection) -> dict[str, datetime]:
        """{part: since when it is stale}, as a run names its parts; `stale` tells more."""
        return {part.key: part.since for part in connection.stale}

    def get_next_action(self, connection: Connection) -> Literal["oauth_initiate", "enter_keys"] | None:
        """`oauth_initiate` when the person has to sign in at the broker, `enter_keys` by POST .../keys, else null."""
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


class KeyFieldSerializer(serializers.Serializer[KeyField]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a field of that name is our own
    help = serializers.CharField()
    is_secret = serializers.BooleanField()
    is_long = serializers.BooleanField(help_text="A text of several lines, such as a key file's.")


class DeliverySerializer(serializers.Serializer[Delivery]):
    topic = serializers.ChoiceField(Topic.choices)
    is_told = serializers.BooleanField()
    words = serializers.CharField(help_text="How far, in a few words for people.")


class MethodSerializer(serializers.Serializer[Way]):
    """One way to connect one broker. What is meant for people is said before they choose."""

    broker = serializers.ChoiceField(Broker.choices, source="entry.broker")
    broker_label = serializers.CharField(source="entry.broker.label")
    method = serializers.ChoiceField(AuthMethod.choices, source="entry.method")
    method_label = serializers.CharField(source="entry.method.label")
    kind = serializers.ChoiceField(
        [(kind.value, kind.label) for kind in Kind],
        help_text="redirect: by POST oauth/initiate. keys: by POST .../keys. dialogue: by several POST .../keys.",
    )
    delivers = serializers.CharField(source="entry.delivers")
    deliveries = DeliverySerializer(many=True)
    before = serializers.CharField(source="entry.before")
    warnings = serializers.ListField(child=serializers.CharField(), source="entry.warnings")
    steps = serializers.ListField(child=serializers.CharField(), source="entry.steps")
    fields_asked = KeyFieldSerializer(many=True, source="entry.fields")
    history_by = serializers.ChoiceField(
        AuthMethod.choices,
        source="entry.history_by",
        allow_null=True,
        help_text="The way whose keys tell this one's transactions: POST .../history-keys.",
    )
    is_ready = serializers.SerializerMethodField()
    missing = serializers.CharField(help_text="What the hub lacks for it, in a sentence; empty when nothing.")

    def get_is_ready(self, way: Way) -> bool:
        return not way.missing


class ShownSerializer(serializers.Serializer[Shown]):
    """What the hub has made and the person copies to the broker's page."""

    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.CharField()
    help = serializers.CharField()


class KeysAskedSerializer(serializers.Serializer[Any]):
    connection = serializers.UUIDField()
    fields_asked = KeyFieldSerializer(many=True)
    shown = ShownSerializer(many=True)


class TypedKeysField(serializers.DictField):
    child = serializers.CharField(max_length=8000, allow_blank=True, trim_whitespace=False)


class KeysSerializer(serializers.Serializer[Any]):
    keys = TypedKeysField(required=False, default=dict, help_text="{name: value} of the fields that are asked for.")
    dialogue = serializers.CharField(
        required=False, default="", allow_blank=True, max_length=20_000, help_text="As it came with the question."
    )


class HistoryKeysSerializer(serializers.Serializer[Any]):
    keys = TypedKeysField(help_text="{name: value} of the fields of the way in `history_by`.")


class QuestionSerializer(serializers.Serializer[Any]):
    """A sign-in that goes on: answer with the fields asked for, or with none after `poll_seconds`."""

    connection = serializers.UUIDField()
    text = serializers.CharField()
    fields_asked = KeyFieldSerializer(many=True)
    poll_seconds = serializers.IntegerField(allow_null=True)
    dialogue = serializers.CharField(help_text="Send it back with the answer, within a quarter of an hour.")


class LandedSerializer(serializers.Serializer[Any]):
    address = serializers.CharField(
        max_length=4000, help_text="The whole address at which the browser landed after the broker's page."
    )


class AddAccountSerializer(serializers.Serializer[Any]):
    add = serializers.BooleanField(help_text="false leaves it out from now on; it can still be added later.")


class OAuthInitiateSerializer(serializers.Serializer[Any]):
    connection = serializers.UUIDField()


class AuthorizationUrlSerializer(serializers.Serializer[Any]):
    connection = serializers.UUIDField()
    authorization_url = serializers.URLField()
    expires_in = serializers.IntegerField(help_text="Seconds in which the sign-in has to be finished.")


class LabelSerializer(serializers.Serializer[Any]):
    label = serializers.CharField(max_length=80)  # type: ignore[assignment]  # a field of that name is our own


class ConnectionEventSerializer(serializers.ModelSerializer[ConnectionEvent]):
    """`actor` is who did it: the person, the hub or an administrator; `words` and `why` are meant for people."""

    actor = serializers.SerializerMethodField()
    words = serializers.CharField()
    why = serializers.CharField()

    class Meta:
        model = ConnectionEvent
        fields = ("id", "action", "from_state", "to_state", "reason_code", "words", "why", "actor", "created_at")
        read_only_fields = fields

    def get_actor(self, event: ConnectionEvent) -> Literal["person", "hub", "admin"]:
        if event.actor_id is None:
            return "hub"
        return "person" if event.actor_id == event.connection.user_id else "admin"


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
