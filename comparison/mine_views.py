"""Pages of "My cost": the own history, or a described year, at every plan; and the lines behind each amount."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from aggregation.models import Transaction
from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from brokerhub.kernel.models import User
from comparison import exports, my_cost, profiles, running, selection, simulation, stored, wording
from comparison.costs import Tariff
from comparison.models import CostSimulation
from comparison.profiles import PRESETS, SLIDERS, Profile
from comparison.running import StillPricing
from comparison.selection import NotUnderstood
from comparison.simulation import Wish
from comparison.simulation_models import OPEN
from comparison.stored import Catalogue
from comparison.terms import plain
from comparison.views import frame

LINES_A_LOAD = 50


@login_required
@require_GET
def mine(request: HtmxRequest) -> HttpResponse:
    catalogue = stored.catalogue()
    refs = list(catalogue.plans)
    sort = request.GET.get("sort", "name")
    context = frame("mine", catalogue, refs) | {
        "sort": sort if sort in my_cost.SORTS else "name",
        "accounts": selection.own_accounts(request.user),
        "years": _years(request.user),
        "presets": [(key, label) for key, (label, _) in PRESETS.items()],
        "not_modelled": my_cost.NOT_MODELLED,
        "csv_url": exports.address(request),
    }
    has_trades = bool(context["years"])
    is_profile = request.GET.get("mode", "" if has_trades else "profile") == "profile"
    context |= {"has_trades": has_trades, "is_profile": is_profile} | _said(request)
    try:
        context |= _profile(request, catalogue) if is_profile else _own(request, catalogue)
    except NotUnderstood as error:
        context["problem"] = str(error)
    if request.GET.get("format") == "csv" and "rows" in context:
        return exports.my_cost(catalogue, [row.cost for row in context["rows"]])
    name = "_mine.html" if wants_partial(request) else "mine.html"
    return TemplateResponse(request, f"comparison/{name}", context)


def _said(request: HtmxRequest) -> dict[str, Any]:
    """What the form says, right or wrong: it must not change under the hands of who corrects it."""
    query = request.GET
    return {
        "period": query.get("period", ""),
        "since": query.get("since", ""),
        "until": query.get("until", ""),
        "is_dated": query.get("rates") == "day",
        "ticked": [int(pk) for pk in query.getlist("account") if pk.isascii() and pk.isdigit() and len(pk) < 19],
    }


def _years(user: User) -> list[int]:
    """Calendar years with trades, newest first."""
    own = Transaction.objects.for_user(user).in_books()
    return [day.year for day in own.dates("traded_on", "year", order="DESC")]


def _own(request: HtmxRequest, catalogue: Catalogue) -> dict[str, Any]:
    wish = selection.wish(request.user, request.GET)
    context: dict[str, Any] = {
        "ticked": wish.accounts,
        "since": wish.since.isoformat(),
        "until": wish.until.isoformat(),
    }
    try:
        found = running.result(request.user, wish)
    except StillPricing as pricing:
        return context | {"running": pricing.simulation}
    today = timezone.localdate()
    rows = my_cost.rows(catalogue, found.plans, today, request.GET.get("sort", ""))
    complete = [row for row in rows if not row.cost.is_partial]
    return context | {
        "found": found,
        "rows": rows,
        "left_out": list(found.left_out.items()),
        "cheapest": min(complete, key=lambda row: row.cost.high, default=None),
        "errors": [(catalogue.plans[error.ref], error) for error in found.errors],
        "lines_query": _lines_query(wish),
    }


def _lines_query(wish: Wish) -> str:
    accounts = ",".join(map(str, wish.accounts))
    return f"account={accounts}&since={wish.since}&until={wish.until}&rates={'day' if wish.dated else 'today'}"


def _profile(request: HtmxRequest, catalogue: Catalogue) -> dict[str, Any]:
    preset = request.GET.get("preset", "long_term")
    base = PRESETS.get(preset, PRESETS["long_term"])[1]
    profile = selection.numbers(Profile, request.GET, base)
    today = timezone.localdate()
    tariffs = {ref: Tariff(plan, catalogue.rates, today) for ref, plan in catalogue.plans.items()}
    costs = profiles.simulate(profile, tariffs, today)
    rows = my_cost.rows(catalogue, costs, today, request.GET.get("sort", ""))
    complete = [row for row in rows if not row.cost.is_partial]
    return {
        "preset": preset,
        "sliders": [(slider, plain(getattr(profile, slider.name))) for slider in SLIDERS],
        "rows": rows,
        "cheapest": min(complete, key=lambda row: row.cost.high, default=None),
    }


@login_required
@require_GET
def lines(request: HtmxRequest) -> HttpResponse:
    """The lines of one amount, fifty at a time: which trade, and how the amount came about."""
    catalogue = stored.catalogue()
    ref, item = request.GET.get("plan", ""), request.GET.get("item", "")
    if ref not in catalogue.plans:
        raise Http404
    wish = selection.wish(request.user, request.GET)
    start = request.GET.get("from", "")
    first = int(start) if start.isascii() and start.isdigit() and len(start) < 8 else 0
    found = simulation.lines_behind(request.user, wish, ref, item, first, LINES_A_LOAD + 1)
    rule = my_cost.behind(Tariff(catalogue.plans[ref], catalogue.rates), item, wish.rates_of or wish.until)
    context = {
        "plan": catalogue.plans[ref],
        "item": item,
        "label": wording.label_of(item),
        "lines": found[:LINES_A_LOAD],
        "next_from": first + LINES_A_LOAD if len(found) > LINES_A_LOAD else None,
        "query": f"{_lines_query(wish)}&plan={ref}&item={item}",
        "rule": rule,
        "headline": wording.headline(rule) if rule is not None and rule.model in wording.WORDS else "",
    }
    is_more = wants_partial(request) and first
    return TemplateResponse(request, f"comparison/{'_lines.html' if is_more else 'lines.html'}", context)


@login_required
@require_GET
def progress(request: HtmxRequest, simulation_id: UUID) -> HttpResponse:
    """How far a long simulation is; when it is done, htmx loads the page again."""
    one = get_object_or_404(CostSimulation.objects.for_user(request.user), pk=simulation_id)
    if one.state in OPEN and one.created_at < timezone.now() - running.STALE:
        running.nudge(one)  # a lost message; the task itself settles who works
    answer = TemplateResponse(request, "comparison/_running.html", {"running": one})
    if one.state not in OPEN:
        answer["HX-Refresh"] = "true"
    return answer
