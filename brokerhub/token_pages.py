"""The settings page for API tokens: what there is, a new one shown once, an old one revoked."""

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from brokerhub.kernel import tokens
from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.models import ApiToken, Scope
from brokerhub.kernel.once import OnceForm
from brokerhub.kernel.reauthentication import asks_again

LASTS = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (180, "Half a year"), (365, "A year")]


def scope_choices() -> list[tuple[str, str]]:
    """Each scope in words for people, with the name that programs know it by."""
    return [(scope.value, format_html('{} <code class="muted">{}</code>', scope.label, scope.value)) for scope in Scope]


class NewTokenForm(OnceForm):
    done_already = "This form has made its token already. Send it again to make another one."

    name = forms.CharField(
        max_length=80,
        help_text="What it is for, so that you know it again.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Nightly export"}),
    )
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=scope_choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="Tick only what the program needs.",
        error_messages={"required": "Tick at least one, or the token could do nothing."},
    )
    lasts = forms.TypedChoiceField(label="It expires after", choices=LASTS, coerce=int, initial=90)


@login_required
@require_GET
def token_list(request: HtmxRequest) -> HttpResponse:
    rows = list(ApiToken.objects.filter(user=request.user).order_by("-created"))
    uses, now = tokens.uses(rows), timezone.now()
    listed = [
        {
            "row": row,
            "may": [Scope(scope).label for scope in row.scopes],
            "uses": uses[row.pk],
            "is_expired": row.expiry is not None and row.expiry <= now,
        }
        for row in rows
    ]
    return TemplateResponse(request, "settings/tokens.html", {"tokens": listed})


@login_required
@asks_again
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def token_new(request: HtmxRequest) -> HttpResponse:
    """The token stands in the answer to the form and nowhere else: not in the session, a message or an address."""
    form = NewTokenForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        wish = form.cleaned_data
        try:
            row, token = tokens.make(
                user=request.user, name=wish["name"], scopes=wish["scopes"], lasts=timedelta(days=wish["lasts"])
            )
        except HubError as error:
            form.refuse(error)
        else:
            context = {"row": row, "token": token, "may": [Scope(scope).label for scope in row.scopes]}
            return TemplateResponse(request, "settings/token_made.html", context)
    return TemplateResponse(request, "settings/token_new.html", {"form": form})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def token_revoke(request: HtmxRequest, token_id: int) -> HttpResponse:
    token = get_object_or_404(ApiToken, user=request.user, pk=token_id)
    if request.method == "POST":
        tokens.revoke(token, by=request.user)
        messages.success(request, f"{token.name} is revoked: it opens nothing any more.")
        return redirect("tokens")
    context = {"row": token, "is_expired": token.expiry is not None and token.expiry <= timezone.now()}
    return TemplateResponse(request, "settings/token_revoke.html", context)
