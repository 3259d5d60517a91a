"""What goes over the wire: the body, and the headers by which its receiver knows that it is ours and untouched."""

import base64
import json
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook

from aggregation.serializers import moment
from brokerhub.webhooks.models import Event

SECRET_BYTES = 32  # the specification asks for 24 to 64
SCHEMA = 1  # grows when a field of a payload changes its meaning or goes away
USER_AGENT = "BrokerIntegrationHub-Webhooks/1"


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def content(event: Event) -> dict[str, Any]:
    """The body as an object. `number` orders a person's events: the later one has the greater."""
    return {
        "id": event.public_id,
        "type": event.type,
        "timestamp": moment(event.occurred_at),
        "number": event.number,
        "schema": SCHEMA,
        "data": event.data,
    }


def body_of(event: Event) -> str:
    """The same letters whenever it is sent."""
    return json.dumps(content(event), separators=(",", ":"))


def headers_for(event: Event, body: str, *, live: Iterable[str], at: datetime) -> dict[str, str]:
    """Signed with each of the live secrets, so that a receiver may change to the new one when it likes."""
    signatures = [Webhook(secret).sign(msg_id=event.public_id, timestamp=at, data=body) for secret in live]
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": event.public_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
