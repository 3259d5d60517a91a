"""The settings page for one's own developer keys: the registration as an app at a broker, used for own connections."""

from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.models import User
from brokerhub.kernel.reauthentication import asks_again
from connections import app_keys
from connections.brokers import BROKERS, BrokerEntry, offered
from connections.brokers.records import AuthMethod
from connections.forms import KeysForm
from connections.models import AppCredentials


@dataclass(frozen=True, slots=True)
class Registration:
    """One way that needs an app at the broker, and whose keys a new sign-in of this person would use."""

    entry: BrokerEntry
    own: AppCredentials | None
    is_for_all: bool  # an administrator has entered some
    is_in_environment: bool

    @property
    def is_ready(self) -> bool:
        return bool(self.own) or self.is_for_all or self.is_in_environment

    @property
    def callback_url(self) -> str:
        """The address of this hub that has to be registered, "" where the broker wants none."""
        return self.entry.app_from_settings().get("callback_url", "")

    @property
    def used_by(self) -> int:
        return self.own.connections.count() if self.own else 0


def _registration(user: User, entry: BrokerEntry) -> Registration:
    here = AppCredentials.objects.here().filter(method=entry.method)
    values = entry.app_from_settings()
    return Registration(
        entry=entry,
        own=here.for_user(user).first(),
        is_for_all=here.filter(owner=None).exists(),
        is_in_environment=all(values.get(field.name) for field in entry.app_fields),
    )


def _entry(method: str) -> BrokerEntry:
    entry = BROKERS.get(AuthMethod(method)) if method in AuthMethod.values else None
    if entry is None or not entry.app_fields or not entry.is_offered():
        raise Http404
    return entry


@login_required
@require_GET
def app_keys_list(request: HtmxRequest) -> HttpResponse:
    registrations = [_registration(request.user, entry) for entry in offered() if entry.app_fields]
    return TemplateResponse(request, "settings/app_keys.html", {"registrations": registrations})


@login_required
@asks_again
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def app_keys_method(request: HtmxRequest, method: str) -> HttpResponse:
    """Add or replace one's own keys. What is stored is never shown again, but for how its public part begins."""
    entry = _entry(method)
    registration = _registration(request.user, entry)
    form = KeysForm(entry.app_fields, request.POST or None, initial={"callback_url": registration.callback_url})
    if request.method == "POST" and form.is_valid():
        try:
            app_keys.enter(owner=request.user, method=entry.method, values=form.cleaned_data)
        except HubError as error:
            form.refuse(error)
        else:
            messages.success(
                request, f"Your keys for {entry.broker.label} are stored. Your next sign-in there uses them."
            )
            return redirect("app-keys")
    context = {"form": form, "it": registration, "entry": entry}
    return TemplateResponse(request, "settings/app_keys_method.html", context)


@login_required
@asks_again
@require_POST
def app_keys_remove(request: HtmxRequest, method: str) -> HttpResponse:
    own = AppCredentials.objects.here().for_user(request.user)
    app = get_object_or_404(own, method=_entry(method).method)
    try:
        app_keys.remove(app)
    except HubError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Your keys are removed.")
    return redirect("app-keys")
