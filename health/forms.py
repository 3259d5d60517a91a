from datetime import datetime, timedelta
from typing import Any, ClassVar

from django import forms
from django.utils import timezone

from health.models import AlertChoice

LONGEST = timedelta(days=800)  # for so long states are kept


class AlertForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = AlertChoice
        fields: ClassVar = ["mail_before", "mail_start", "mail_end", "show_banner"]
        labels: ClassVar = {
            "mail_before": "Mail me a day before",
            "mail_start": "Mail me when it begins",
            "mail_end": "Mail me when it is over",
            "show_banner": "Say so on every page: a day before, while it is on and when it is over",
        }


def mistake_in(since: datetime, until: datetime) -> str:
    """What is wrong with a time of which the uptime is asked for; "" when nothing is."""
    if since >= until:
        return "The beginning comes after the end."
    if since > timezone.now():
        return "This time is still to come."
    return "" if until - since <= LONGEST else "Choose 800 days at most."


def _moment() -> forms.DateTimeInput:
    return forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class PeriodForm(forms.Form):
    """Any time, on the person's own clock; in the address it is `?from=...&to=...`."""

    since = forms.DateTimeField(label="From", widget=_moment())
    until = forms.DateTimeField(label="To", widget=_moment())

    def add_prefix(self, field_name: str) -> str:
        return {"since": "from", "until": "to"}.get(field_name, field_name)

    def clean(self) -> dict[str, Any]:
        said = super().clean() or {}
        if {"since", "until"} <= said.keys() and (mistake := mistake_in(said["since"], said["until"])):
            raise forms.ValidationError(mistake)
        return said
