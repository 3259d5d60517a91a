"""Pages on which a person sees what was taken for one instrument, and says otherwise."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from aggregation.models import Instrument, InstrumentChoice, Position
from aggregation.positions import choices
from aggregation.positions.identity import family
from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.models import User
from connections.models import Account


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that are one thing, and why."""

    rows: list[Instrument]
    why: str


def _own(user: User, instrument_id: int) -> Instrument:
    return get_object_or_404(choices.known_to(user), pk=instrument_id)


@login_required
@never_cache
@require_GET
def instruments(request: HtmxRequest) -> HttpResponse:
    """What was put together and why, what only looks alike, and what the person decided."""
    things = choices.things_among(request.user, choices.instruments_of(request.user))
    groups = [[things.rows[pk] for pk in sorted(group)] for group in things.joined()]
    context = {
        "groups": [Group(rows, choices.why(rows)) for rows in groups],
        "alike": [(things.rows[one], things.rows[other]) for one, other in things.alike()],
        "decided": choices.decided(request.user),
    }
    return TemplateResponse(request, "aggregation/instruments.html", context)


@login_required
@never_cache
@require_GET
def instrument(request: HtmxRequest, instrument_id: int) -> HttpResponse:
    """One instrument: its identifiers, what it is put together with, and who holds it."""
    shown, user = _own(request.user, instrument_id), request.user
    own = choices.instruments_of(user)
    things = choices.things_among(user, [*own, shown])
    members = things.members(shown.pk)
    held = Position.objects.for_user(user).held().filter(instrument__in=members)
    context: dict[str, Any] = {
        "instrument": shown,
        "rows": [things.rows[pk] for pk in sorted(members)],
        "held": held.select_related("account__connection", "instrument").defer("raw").order_by("account"),
        "others": [row for row in own if row.pk not in members and _may_be_same(row, shown)],
        "decided": choices.decided(user).filter(choices.about(members)),
    }
    return TemplateResponse(request, "aggregation/instrument.html", context)


def _may_be_same(row: Instrument, shown: Instrument) -> bool:
    alike = (family(row.asset_class), row.currency, row.multiplier)
    return alike == (family(shown.asset_class), shown.currency, shown.multiplier)


@login_required
@require_POST
def change(request: HtmxRequest, instrument_id: int) -> HttpResponse:
    """`do` is merge or part (with `other`), take_out, or account (with `account`)."""
    shown = _own(request.user, instrument_id)
    try:
        messages.success(request, _decide(request, shown))
    except HubError as error:
        messages.warning(request, str(error))
    if "list" in request.POST:
        return redirect("aggregation:instruments")
    return redirect("aggregation:instrument", instrument_id=shown.pk)


def _decide(request: HtmxRequest, shown: Instrument) -> str:
    """Returns what to tell the person. Raises HubError for what cannot be."""
    wish, user = request.POST.get("do", ""), request.user
    if wish in ("merge", "part"):
        other = _own(user, _number(request.POST.get("other", "")))
        if wish == "merge":
            choices.merge(user, shown, other)
            return f"{shown} and {other} are one instrument for you from now on."
        choices.keep_apart(user, shown, other)
        return f"{shown} and {other} stay two instruments."
    if wish == "take_out":
        choices.take_out(user, shown)
        return f"{shown} stands alone now."
    if wish == "account":
        own = Account.objects.for_user(user)
        account = get_object_or_404(own, pk=_number(request.POST.get("account", "")))
        choices.take_account_out(user, shown, account)
        return f"What {account} holds of {shown} is a position of its own now."
    raise Http404("no such decision")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


@login_required
@require_POST
def undo(request: HtmxRequest, choice_id: int) -> HttpResponse:
    choice = get_object_or_404(InstrumentChoice.objects.for_user(request.user), pk=choice_id)
    choices.undo(choice)
    messages.success(request, "Undone. What the identifiers say holds again.")
    return redirect("aggregation:instruments")
