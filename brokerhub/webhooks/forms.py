"""What people fill in about a webhook."""

from django import forms
from django.http import QueryDict
from django.utils.html import format_html

from brokerhub.kernel import addresses
from brokerhub.kernel.addresses import AddressRefused
from brokerhub.kernel.once import OnceForm
from brokerhub.webhooks import sending
from brokerhub.webhooks.endpoints import OVERLAP
from brokerhub.webhooks.event_types import EventType, by_subject
from brokerhub.webhooks.models import Endpoint

OVERLAPS = [(0, "At once: it may be in wrong hands"), (1, "1 hour"), (OVERLAP, "1 day"), (7 * 24, "7 days")]


def event_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """By subject; each with what it means."""
    return [(subject.capitalize(), [(each.value, _words(each)) for each in types]) for subject, types in by_subject()]


def _words(each: EventType) -> str:
    return format_html('<span><code>{}</code> <span class="muted">{}</span></span>', each.value, each.sentence)


class EndpointForm(forms.Form):
    url = forms.CharField(
        label="Address",
        max_length=addresses.LONGEST,
        help_text="Where your program listens. It has to begin with https:// and be reachable from the internet.",
        widget=forms.URLInput(attrs={"placeholder": "https://hooks.example.com/broker-hub", "autocomplete": "off"}),
    )
    description = forms.CharField(
        label="Name",
        required=False,
        max_length=120,
        help_text="So that you know it again.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    events = forms.MultipleChoiceField(
        label="Tell it of",
        required=False,
        choices=event_choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="Tick none to be told of everything, also of what is added later.",
    )

    @classmethod
    def of(cls, endpoint: Endpoint, data: QueryDict | None) -> "EndpointForm":
        now = {"url": endpoint.url, "description": endpoint.description, "events": endpoint.events}
        return cls(data, initial=now)

    def clean_url(self) -> str:
        url = str(self.cleaned_data["url"])
        try:
            sending.check(url)
        except AddressRefused as error:
            raise forms.ValidationError(str(error)) from error
        return url


class NewEndpointForm(EndpointForm, OnceForm):
    pass


class RotateForm(OnceForm):
    overlap = forms.TypedChoiceField(
        label="The old secret ends",
        choices=OVERLAPS,
        coerce=int,
        initial=OVERLAP,
        help_text="Until then everything is signed with both, so that your program can change when it suits you.",
    )
