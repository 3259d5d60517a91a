"""What people and their programs do with webhooks. The way in for page and API."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from brokerhub.webhooks import books, delivering, outbox, sending, signing
from brokerhub.webhooks.event_types import TEST, EventType
from brokerhub.webhooks.models import Delivery, Endpoint, Event, Kind, OffReason, State
from connections import credentials

MOST = 10  # endpoints of a person
OVERLAP = 24  # hours in which the old secret goes on being valid, unless told otherwise
LONGEST_OVERLAP = 7 * 24


@transaction.atomic
def create(*, user: User, url: str, events: Iterable[EventType] = (), description: str = "") -> tuple[Endpoint, str]:
    """A new endpoint and its secret, which is never shown again. Raises AddressRefused, NotAllowed."""
    sending.check(url)
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # two at a time would not see each other
    if Endpoint.objects.for_user(user).count() >= MOST:
        raise NotAllowed(f"There can be {MOST} webhooks at most. Remove one that is not needed any more.")
    endpoint = Endpoint(user=user, url=url, events=in_order(events), description=description)
    secret = signing.new_secret()
    endpoint.seal_secrets(secret)
    _begin(user)
    endpoint.save()
    return endpoint, secret


def change(
    endpoint: Endpoint,
    *,
    url: str | None = None,
    events: Iterable[EventType] | None = None,
    description: str | None = None,
    is_on: bool | None = None,
) -> None:
    """Change what is given. Raises AddressRefused."""
    with transaction.atomic():
        endpoint.refresh_from_db(from_queryset=Endpoint.objects.select_for_update(no_key=True))
        if url is not None:
            sending.check(url)
            endpoint.url = url
        if events is not None:
            endpoint.events = in_order(events)
        if description is not None:
            endpoint.description = description
        if is_on is True and not endpoint.is_on:
            _switch_on(endpoint)
        elif is_on is False and endpoint.status is not State.OFF:
            endpoint.state, endpoint.off_reason, endpoint.off_at = State.OFF, OffReason.NONE, timezone.now()
            endpoint.notice_due = False
            delivering.drop_waiting(endpoint)
        endpoint.save()


def _begin(user: User) -> None:
    if not Endpoint.objects.on().filter(user=user).exists():  # else the others have been told all along
        books.begin(user)


def _switch_on(endpoint: Endpoint) -> None:
    """With a clean slate: what failed before counts no more, and what happened meanwhile is not sent."""
    _begin(endpoint.user)
    delivering.drop_waiting(endpoint)
    endpoint.state, endpoint.off_reason, endpoint.off_at = State.ON, OffReason.NONE, None
    endpoint.failing_since, endpoint.notice_due = None, False


@transaction.atomic
def rotate(endpoint: Endpoint, *, overlap_hours: int = OVERLAP) -> str:
    """A new secret; the one before stays valid for `overlap_hours`, and any older one ends now."""
    endpoint.refresh_from_db(from_queryset=Endpoint.objects.select_for_update(no_key=True))
    now, secret = timezone.now(), signing.new_secret()
    try:
        old = endpoint.read_secrets(now)[0]
    except credentials.CredentialsUnreadable:
        old = ""  # nobody can sign with it any more
    endpoint.seal_secrets(secret, old if overlap_hours else "")
    endpoint.old_secret_ends_at = now + timedelta(hours=overlap_hours) if overlap_hours and old else None
    endpoint.save(update_fields=["sealed_secrets", "old_secret_ends_at"])
    return secret


def remove(endpoint: Endpoint) -> None:
    """With its log of deliveries."""
    endpoint.delete()


@transaction.atomic
def test(endpoint: Endpoint) -> Delivery:
    """A signed event to this endpoint alone, on or off, tried once."""
    data = {"webhook": str(endpoint.pk), "message": "It works: this is a test of your webhook."}
    event = Event.objects.create(user_id=endpoint.user_id, type=TEST, data=data, only_for=endpoint)
    outbox.address()
    transaction.on_commit(outbox.nudge)
    return Delivery.objects.select_related("event", "endpoint").get(event=event, kind=Kind.TEST)


@transaction.atomic
def resend(delivery: Delivery) -> Delivery:
    """The same event once more, with the same `webhook-id`. Raises NotAllowed while it could not be sent."""
    # Locked, so that it is not switched off between the question and the new row.
    delivery.endpoint.refresh_from_db(from_queryset=Endpoint.objects.select_for_update(no_key=True))
    if not delivery.endpoint.is_on:
        raise NotAllowed("This webhook is off. Switch it on first, then send it again.")
    if delivery.kind == Kind.TEST:
        raise NotAllowed("This was a test. Send a new one instead.")
    if Delivery.objects.pending().filter(endpoint=delivery.endpoint_id, event=delivery.event_id).exists():
        raise NotAllowed("This event is on its way already.")
    again = Delivery.objects.create(event=delivery.event, endpoint=delivery.endpoint, kind=Kind.RESEND)
    transaction.on_commit(outbox.nudge)
    return again


def in_order(events: Iterable[str]) -> Sequence[str]:
    """Each once, in the order of the list; without those that nobody knows."""
    chosen = set(events)
    return [each.value for each in EventType if each.value in chosen]
