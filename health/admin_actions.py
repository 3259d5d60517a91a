"""What an operator may do to incidents and feeds."""

from typing import Any

from django import forms
from django.db import transaction
from django.utils import timezone

from brokerhub.kernel.acts import ActForm
from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from health import feeds
from health.models import Incident, MaintenanceFeed


class WordsForm(ActForm):
    """What people read on the health page."""

    text = forms.CharField(label="Words for people", max_length=500, widget=forms.Textarea(attrs={"rows": 3}))
    field_order = ("text", "why")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["why"].required = False


class CloseForm(ActForm):
    text = forms.CharField(
        label="Words for people",
        max_length=500,
        initial="Closed by an administrator.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    field_order = ("text", "why")


@transaction.atomic
def close(incident: Incident, *, actor: User, text: str) -> None:
    """Raises NotAllowed when it is closed already."""
    now = timezone.now()
    if not Incident.objects.open().filter(pk=incident.pk).update(resolved_at=now):
        raise NotAllowed("It is closed already.")
    incident.refresh_from_db()
    incident.updates.create(at=now, text=text, author=actor)


def annotate(incident: Incident, *, actor: User, text: str) -> None:
    incident.updates.create(at=timezone.now(), text=text, author=actor)


def read_feed(feed: MaintenanceFeed, *, actor: User) -> None:  # as all acts are called
    """Raises HubError with what was wrong with it."""
    if not feeds.read(feed):
        raise HubError(feed.error)
