"""Pages of the recommendation: answers and weights in, ranking and reasons out; kept and opened again."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from brokerhub.kernel.htmx import HtmxRequest, wants_partial
from comparison import features, matching, recommendation, stored
from comparison.models import RecommendationProfile
from comparison.profiles import PRESETS, SLIDERS
from comparison.recommendation import CRITERIA
from comparison.running import StillPricing
from comparison.selection import NotUnderstood
from comparison.stored import Catalogue
from comparison.terms import plain
from comparison.views import frame


@login_required
@require_GET
def match(request: HtmxRequest) -> HttpResponse:
    catalogue = stored.catalogue()
    context = frame("match", catalogue, list(catalogue.plans)) | {"kept": _kept(request)}
    context |= _answered(request, request.GET, catalogue)
    name = "_match.html" if wants_partial(request) else "match.html"
    return TemplateResponse(request, f"comparison/{name}", context)


def _kept(request: HtmxRequest) -> list[RecommendationProfile]:
    return list(RecommendationProfile.objects.for_user(request.user)[:20])


def _answered(request: HtmxRequest, query: QueryDict, catalogue: Catalogue) -> dict[str, Any]:
    """Everything the page shows for these answers; wrong ones give the problem in words."""
    today = timezone.localdate()
    try:
        given = matching.basis(request.user, query, catalogue, today)
        asked = matching.answers(query, catalogue, given.profile, given.days)
    except NotUnderstood as error:
        given = matching.basis(request.user, QueryDict(), catalogue, today)
        asked = matching.answers(QueryDict(), catalogue, given.profile, given.days)
        return {"problem": str(error), **_form(query, catalogue, asked, given)}
    except StillPricing as pricing:
        preset = QueryDict(mutable=True)
        preset["preset"] = query.get("preset", "long_term")
        given = matching.basis(request.user, preset, catalogue, today)
        asked = matching.answers(query, catalogue, given.profile, given.days)
        return {"running": pricing.simulation, **_form(query, catalogue, asked, given)}
    known = matching.measured(today)
    found = recommendation.recommend(catalogue, asked, given.costs, known, today)
    turns = matching.usage_turns(catalogue, given, asked, found, known, today)
    return {
        "found": found,
        "turns": turns,
        "is_own": given.is_own,
        "shortlist": found.ranked[: 1 if found.is_clear else 3],
        "switching": matching.switching(request.user, catalogue, today),
        "traded": _suggested(request, catalogue),
        **_form(query, catalogue, asked, given),
    }


def _suggested(request: HtmxRequest, catalogue: Catalogue) -> list[tuple[str, int]]:
    labels = {definition.key: definition.label for definition in catalogue.definitions}
    return [(labels[key], count) for key, count in matching.traded(request.user) if key in labels]


def _form(query: QueryDict, catalogue: Catalogue, asked: recommendation.Answers, given: Any) -> dict[str, Any]:
    whole = sum(asked.weights.values())
    return {
        "preset": query.get("preset", "long_term"),
        "presets": [(key, label) for key, (label, _) in PRESETS.items()],
        "weights": [
            (name, label, int(asked.weights[name]), round(asked.weights[name] * 100 / whole))
            for name, label in CRITERIA.items()
        ],
        "needs": asked.needs,
        "wishes": asked.wishes,
        "groups": features.matrix(catalogue, [], timezone.localdate()),
        "sliders": [(slider, plain(getattr(given.profile, slider.name))) for slider in SLIDERS],
        "query": query.urlencode(),
        "mine": query.get("mine") == "1",
    }


@login_required
@require_POST
def keep(request: HtmxRequest) -> HttpResponse:
    catalogue = stored.catalogue()
    query = QueryDict(request.POST.get("query", ""))
    context = _answered(request, query, catalogue)
    if "running" in context:
        raise StillPricing(context["running"])
    if "found" not in context:
        raise NotUnderstood(context["problem"])
    name = request.POST.get("name", "").strip() or timezone.localdate().strftime("%-d %b %Y")
    kept = matching.keep(request.user, name, query, catalogue, context["found"])
    messages.success(request, "Kept. Open it again any time to see what changed.")
    return redirect("comparison:kept", kept.pk)


@login_required
@require_http_methods(["GET", "POST"])
def kept(request: HtmxRequest, recommendation_id: int) -> HttpResponse:
    """The same answers today, beside what came out then. POST forgets it."""
    one = get_object_or_404(RecommendationProfile.objects.for_user(request.user), pk=recommendation_id)
    if request.method == "POST":
        one.delete()
        messages.success(request, "Forgotten.")
        return redirect("comparison:match")
    catalogue = stored.catalogue()
    context = frame("match", catalogue, list(catalogue.plans)) | {"kept": _kept(request), "one": one}
    context |= _answered(request, matching.query_of(one), catalogue)
    if "found" in context:
        context["changed"] = matching.what_changed(one, context["found"], catalogue.version)
    return TemplateResponse(request, "comparison/match.html", context)
