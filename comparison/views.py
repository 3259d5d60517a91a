"""Pages of the comparison: prices, features, one broker's price list with its history."""

from datetime import date
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from comparison import exports, features, freshness, hub_use, matrix, selection, stored, wording
from comparison.catalogue_models import RuleChange
from comparison.matrix import Calculator
from comparison.selection import NotUnderstood
from comparison.stored import Catalogue
from comparison.terms import plain

NUMBERS = {
    "shares": ("Shares", "in one order"),
    "price": ("Price", "USD a share"),
    "contracts": ("Contracts", "in one option order"),
    "premium": ("Premium", "USD a share"),
    "balance": ("Balance", "USD: borrowed 30 days, idle a year, or exchanged"),
}
CARDS = 6  # plans that phones show as cards; more are a table to be pushed sideways


def frame(section: str, catalogue: Catalogue, refs: list[str]) -> dict[str, Any]:
    """What every page of the comparison has: which one it is, and the plans to choose from."""
    return {
        "section": section,
        "catalogue": catalogue,
        "chosen": refs,
        "plans": [catalogue.plans[ref] for ref in refs],
        "all_plans": list(catalogue.plans.values()),
        "as_cards": len(refs) <= CARDS,
        "is_loaded": bool(catalogue.plans),
    }


@login_required
@require_GET
def prices(request: HtmxRequest) -> HttpResponse:
    catalogue = stored.catalogue()
    refs = selection.plans(catalogue, request.GET)
    context = frame("prices", catalogue, refs)
    calculator = Calculator()
    try:
        calculator = selection.numbers(Calculator, request.GET, calculator)
    except NotUnderstood as error:
        context["problem"] = str(error)
    groups = matrix.fee_matrix(catalogue, refs, calculator, timezone.localdate())
    if request.GET.get("format") == "csv":
        return exports.prices(groups, context["plans"], calculator)
    context |= {
        "groups": groups,
        "numbers": [(name, *words, plain(getattr(calculator, name))) for name, words in NUMBERS.items()],
        "changes": RuleChange.objects.all(),
        "laws": matrix.by_law(catalogue, timezone.localdate()),
        "csv_url": exports.address(request),
    }
    name = "_prices.html" if wants_partial(request) else "prices.html"
    return TemplateResponse(request, f"comparison/{name}", context)


@login_required
@require_GET
def feature_list(request: HtmxRequest) -> HttpResponse:
    catalogue = stored.catalogue()
    refs = selection.plans(catalogue, request.GET)
    known = {definition.key for definition in catalogue.definitions}
    needs = [key for key in request.GET.getlist("need") if key in known]
    found = features.fits(catalogue, refs, needs)
    fitting = [fit.ref for fit in found if not fit.is_excluded]
    only = request.GET.get("differences") == "1"
    context = frame("features", catalogue, fitting)
    today = timezone.localdate()
    sections = features.matrix(catalogue, fitting, today, only)
    if request.GET.get("format") == "csv":
        return exports.features(sections, context["plans"])
    context |= {
        "chosen": refs,
        "needs": needs,
        "only": only,
        "sections": sections,
        "groups": features.matrix(catalogue, [], today),
        "excluded": [(catalogue.plans[fit.ref], fit.misses) for fit in found if fit.is_excluded],
        "open": [(catalogue.plans[fit.ref], fit.open) for fit in found if fit.open and not fit.is_excluded],
        "csv_url": exports.address(request),
        "ways": [" · ".join(hub_use.ways_in(plan.broker)) for plan in context["plans"]],
        "unknown": [features.unknown_count(catalogue, ref) for ref in fitting],
    }
    name = "_features.html" if wants_partial(request) else "features.html"
    return TemplateResponse(request, f"comparison/{name}", context)


@login_required
@require_GET
def broker(request: HtmxRequest, broker: str) -> HttpResponse:
    """One broker's whole price list, each price with its source, as it holds or held on a day; and what it replaced."""
    catalogue = stored.catalogue()
    if broker not in catalogue.brokers:
        raise Http404
    context: dict[str, Any] = {}
    on, today = None, timezone.localdate()
    try:
        on = selection.day(request.GET["as_of"], "as_of") if request.GET.get("as_of") else None
    except NotUnderstood as error:
        context["problem"] = str(error)
    shown = stored.catalogue_on(on) if on else catalogue
    refs = [ref for ref, plan in shown.plans.items() if plan.broker == broker]
    context |= frame("prices", shown, refs) | {
        "broker": broker,
        "name": catalogue.brokers[broker],
        "on": on,
        "groups": matrix.fee_matrix(shown, refs, Calculator(), on or today)[1:],
        "history": [_ended(rule, today) for rule in stored.history(broker)],
    }
    return TemplateResponse(request, "comparison/broker.html", context)


def _ended(rule: Any, today: date) -> dict[str, Any]:
    terms = stored.as_rule(rule)
    return {
        "plan": rule.plan,
        "label": wording.label_of(rule.item),
        "text": wording.headline(terms),
        "from": rule.valid_from,
        "to": rule.valid_to,
        "source": rule.source,
        "as_of": rule.as_of,
        "stale": freshness.rule_is_stale(terms, today),
    }
