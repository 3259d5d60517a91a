"""One connection's syncing: when it happens by itself, and what to read now. A card, and a page of its own."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest
from connections.models import Account, Connection
from sync import scheduling, sync_service
from sync.models import Mode, Rhythm, Schedule, Trigger

DAY = {"type": "date"}
FIRST = "The first day. Empty, for comparing: as far back as the broker goes."


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = Schedule
        fields = ("rhythm", "every_hours", "daily_at")
        labels = {"rhythm": "How often", "every_hours": "Hours between", "daily_at": "Time of day"}
        help_texts = {
            "every_hours": "1 to 168, which is a week.",
            "daily_at": "On your own clock.",
        }
        widgets = {"daily_at": forms.TimeInput({"type": "time"}, format="%H:%M")}


class WishForm(forms.Form):
    """What to read now."""

    mode = forms.ChoiceField(
        label="Read",
        choices=[
            ("", "What is new"),
            (Mode.RANGE, "Chosen days"),
            (Mode.BACKFILL, "The whole history, as far back as the broker goes"),
            (Mode.REPAIR, "Read again and compare with the books"),
        ],
        required=False,
    )
    account = forms.ModelChoiceField(Account.objects.none(), required=False, empty_label="All accounts")
    from_on = forms.DateField(label="From", required=False, widget=forms.DateInput(DAY), help_text=FIRST)
    to_on = forms.DateField(label="To", required=False, widget=forms.DateInput(DAY), help_text="Empty: today.")

    def __init__(self, *args: Any, connection: Connection, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["account"].queryset = connection.accounts.current()  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        chosen_days = values.get("mode") == Mode.RANGE or values.get("to_on")
        if chosen_days and not values.get("from_on") and "from_on" not in self.errors:
            self.add_error("from_on", "Choose the first day.")
        return values


@login_required
@never_cache
@require_GET
def card(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    """The card on the connection's page."""
    connection = _own(request, connection_id)
    return TemplateResponse(request, "sync/_schedule.html", _schedule_context(connection))


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def schedule(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    """Set when the connection is synced by itself."""
    connection = _own(request, connection_id)
    held = scheduling.schedule_of(connection)
    form = ScheduleForm(request.POST or None, instance=held)
    if request.method == "POST" and form.is_valid():
        held = scheduling.set_schedule(
            connection, **{**form.cleaned_data, "rhythm": Rhythm(form.cleaned_data["rhythm"])}
        )
        messages.success(request, f"{connection.label}: {held.words.lower()}.")
        return redirect("sync:connection", connection_id)
    return _page(request, connection, schedule_form=form)


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def connection(request: HtmxRequest, connection_id: UUID) -> HttpResponse:
    """Choose what to read now."""
    own = _own(request, connection_id)
    form = WishForm(request.POST or None, connection=own)
    if request.method == "POST" and form.is_valid():
        wish = form.cleaned_data
        try:
            run = sync_service.request_sync(
                user=request.user,
                connection=own,
                trigger=Trigger.MANUAL,
                mode=Mode(wish["mode"]) if wish["mode"] else None,
                account=wish["account"],
                days=(wish["from_on"], wish["to_on"]) if wish["from_on"] else None,
            )
            return redirect("sync:run", run_id=run.pk)
        except HubError as error:
            form.add_error(None, str(error))
    return _page(request, own, wish_form=form)


def _page(
    request: HtmxRequest,
    connection: Connection,
    *,
    schedule_form: ScheduleForm | None = None,
    wish_form: WishForm | None = None,
) -> HttpResponse:
    context = _schedule_context(connection)
    context["schedule_form"] = schedule_form or ScheduleForm(instance=context["schedule"])
    context["wish_form"] = wish_form or WishForm(connection=connection)
    status = 422 if any(form.errors for form in (schedule_form, wish_form) if form is not None) else 200
    return TemplateResponse(request, "sync/connection.html", context, status=status)


def _schedule_context(connection: Connection) -> dict[str, Any]:
    return {"connection": connection, "schedule": scheduling.schedule_of(connection)}


def _own(request: HtmxRequest, connection_id: UUID) -> Connection:
    connections = Connection.objects.for_user(request.user).by_api().open().select_related("user")
    return get_object_or_404(connections, pk=connection_id)
