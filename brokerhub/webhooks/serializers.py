"""Webhooks as programs see them. A secret is in the answers that make one, and in no other."""

from typing import Any, ClassVar

from rest_framework import serializers

from brokerhub.kernel import addresses
from brokerhub.kernel.addresses import AddressRefused
from brokerhub.webhooks import sending, signing
from brokerhub.webhooks.endpoints import LONGEST_OVERLAP, OVERLAP
from brokerhub.webhooks.event_types import EventType, as_table
from brokerhub.webhooks.models import Delivery, Endpoint, Event, State

SECRET = "Begins with `whsec_`. Shown this once: keep it where you keep passwords."  # nosec B105  # a sentence
EVENTS = f"What it is told of; empty: everything, also what is added later.\n\n{as_table()}"


class UrlField(serializers.CharField):
    """An address the hub is willing to send to."""

    def __init__(self, **options: Any) -> None:
        help_text = "Begins with `https://`, on port 443 or 1024 and above, and leads to the public internet."
        super().__init__(max_length=addresses.LONGEST, help_text=help_text, **options)

    def to_internal_value(self, data: Any) -> str:
        url: str = super().to_internal_value(data)
        try:
            sending.check(url)
        except AddressRefused as error:
            raise serializers.ValidationError(str(error), code=error.code) from error
        return url


class EventTypesField(serializers.ListField):
    child = serializers.ChoiceField(EventType.choices)

    def __init__(self, **options: Any) -> None:
        super().__init__(help_text=EVENTS, max_length=len(EventType) * 2, **options)


class NewWebhookSerializer(serializers.Serializer[Any]):
    url = UrlField()
    events = EventTypesField(required=False)
    description = serializers.CharField(required=False, allow_blank=True, max_length=120)


class ChangedWebhookSerializer(serializers.Serializer[Any]):
    url = UrlField(required=False)
    events = EventTypesField(required=False)
    description = serializers.CharField(required=False, allow_blank=True, max_length=120)
    is_on = serializers.BooleanField(
        required=False, help_text="What happens while it is off is not sent later; what waits is not sent any more."
    )


class WebhookSerializer(serializers.ModelSerializer[Endpoint]):
    events = EventTypesField()
    state = serializers.ChoiceField(
        State.choices, help_text="`switched_off`: by the hub, for `off_reason`. Switch it on with `is_on`."
    )
    off_reason = serializers.CharField(help_text="`gone`: it answered 410. `failing`: days without a success.")

    class Meta:
        model = Endpoint
        fields: ClassVar = [
            *("id", "url", "description", "events", "state", "off_reason", "off_at"),
            *("failing_since", "last_success_at", "old_secret_ends_at", "created_at"),
        ]


class WebhookWithSecretSerializer(WebhookSerializer):
    secret = serializers.CharField(help_text=SECRET)

    class Meta(WebhookSerializer.Meta):
        fields: ClassVar = [*WebhookSerializer.Meta.fields, "secret"]


class RotationSerializer(serializers.Serializer[Any]):
    overlap_hours = serializers.IntegerField(
        default=OVERLAP,
        min_value=0,
        max_value=LONGEST_OVERLAP,
        help_text="How long everything is signed with the old secret as well; 0 ends it at once.",
    )


class EventTypeSerializer(serializers.Serializer[EventType]):
    type = serializers.CharField(source="value")
    description = serializers.CharField(source="sentence")


class EventSerializer(serializers.Serializer[Event]):
    """The body as it is posted."""

    id = serializers.CharField(source="public_id", help_text="The `webhook-id`: the same however often it is sent.")
    type = serializers.CharField()
    timestamp = serializers.DateTimeField(source="occurred_at")
    number = serializers.IntegerField(help_text="Of two events of yours the later has the greater number.")
    schema = serializers.SerializerMethodField()
    data = serializers.DictField()  # type: ignore[assignment]  # hides a property of the serializer class itself

    def get_schema(self, event: Event) -> int:
        return signing.SCHEMA


class WebhookDeliverySerializer(serializers.ModelSerializer[Delivery]):
    event = EventSerializer()

    class Meta:
        model = Delivery
        fields: ClassVar = [
            *("id", "kind", "state", "attempts", "created_at", "last_attempt_at", "next_attempt_at"),
            *("response_status", "response_text", "error", "duration_ms", "event"),
        ]
