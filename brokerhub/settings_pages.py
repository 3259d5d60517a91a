"""The person's own settings. Password, e-mail, two-factor sign-in and devices are allauth's pages in our frame."""

import zoneinfo
from typing import ClassVar

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from aggregation.rates import choice
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.models import User

_NO_CITY = ("Etc/", "SystemV/", "US/", "Canada/", "Brazil/", "Chile/", "Mexico/")


def time_zones() -> list[tuple[str, str]]:
    """Area/City names as people know them, and UTC; aliases of bygone days are left out."""
    names = sorted(name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith(_NO_CITY))
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in names)]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The list keeps the zone the person has now, even one that is no longer offered."""

    currency = forms.ChoiceField(label="Currency", help_text="Totals are shown in this currency.")
    timezone = forms.ChoiceField(label="Time zone", help_text="Clock times are shown in this zone.")

    class Meta:
        model = User
        fields: ClassVar = ["name", "currency", "timezone"]
        widgets: ClassVar = {"name": forms.TextInput(attrs={"autocomplete": "name"})}
        help_texts: ClassVar = {"name": "How the hub and its e-mails speak to you."}

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        now, zones = self.instance.timezone, time_zones()
        self._offer("timezone", zones if (now in dict(zones)) else [(now, now), *zones])
        self._offer("currency", choice.choices(self.instance))

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HtmxRequest) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Your settings are saved.")
        return redirect("settings")
    return render(request, "settings/profile.html", {"form": form})
