"""Ratings: all brokers on one page, and one broker's with the form for one's own."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.forms import model_to_dict
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest
from comparison import ratings
from comparison.freshness import why_stale
from comparison.models import BrokerRating, ComparisonBroker, ExternalRating
from comparison.rating_forms import LABELS, RATED, OpinionForm, ReportForm
from comparison.rating_models import RatingState
from comparison.rating_rules import ENOUGH_TO_SHOW, NOBODY
from connections.brokers.records import Broker

A_PAGE = 20


@login_required
@require_GET
def rating_list(request: HtmxRequest) -> HttpResponse:
    standings = ratings.standings()
    own = {rating.broker_id: rating for rating in BrokerRating.objects.for_user(request.user)}
    lines: list[dict[str, Any]] = [
        {
            "broker": broker,
            "standing": standings.get(broker.key, NOBODY),
            "own": own.get(broker.pk),
            "external": [_external(score) for score in broker.external_ratings.all()],
        }
        for broker in sorted(
            ComparisonBroker.objects.prefetch_related("external_ratings__source"), key=lambda it: it.name.casefold()
        )
    ]
    is_told = [bool(line["standing"].count or line["own"] or line["external"]) for line in lines]
    context = {
        "lines": [line for line, told in zip(lines, is_told, strict=True) if told],
        "silent": [line["broker"] for line, told in zip(lines, is_told, strict=True) if not told],
        "least": ENOUGH_TO_SHOW,
    }
    return TemplateResponse(request, "comparison/ratings.html", context)


def _external(score: ExternalRating) -> dict[str, object]:
    return {"score": score, "stale": why_stale(score.as_of, "rating", timezone.localdate())}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def broker_ratings(request: HtmxRequest, broker: str) -> HttpResponse:
    about = ratings.broker_by_key(broker)
    own = BrokerRating.objects.for_user(request.user).filter(broker=about).first()
    written = own if own is not None and own.state != RatingState.WITHDRAWN else None
    initial = model_to_dict(written, fields=[*RATED, "text", "shows_name"]) if written else {}
    form = OpinionForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            ratings.submit(request.user, about, form.opinion())
        except HubError as refusal:
            form.add_error("text" if isinstance(refusal, ratings.AgainstTheRules) else None, str(refusal))
        else:
            messages.success(request, "Thank you. Your rating is published once it has been checked against the rules.")
            return redirect("comparison:broker_ratings", about.key)
    published = BrokerRating.objects.published().filter(broker=about).exclude(text="").with_verified()
    standing = ratings.standing(about)
    context = {
        "broker": about,
        "standing": standing,
        "least": ENOUGH_TO_SHOW,
        "aspects": [(LABELS[name], mean) for name, mean in standing.aspects.items()],
        "external": [_external(score) for score in about.external_ratings.select_related("source")],
        "own": own,
        "written": written,
        "can_connect": about.key in Broker.values,
        "why_not": ratings.why_not(request.user, about),
        "form": form,
        "page": Paginator(published.select_related("user"), A_PAGE).get_page(request.GET.get("page")),
    }
    return TemplateResponse(request, "comparison/broker_ratings.html", context, status=400 if form.errors else 200)


@login_required
@require_POST
def withdraw(request: HtmxRequest, broker: str) -> HttpResponseRedirect:
    about = ratings.broker_by_key(broker)
    ratings.withdraw(request.user, about)
    messages.success(request, "Your rating is withdrawn and its text is erased.")
    return redirect("comparison:broker_ratings", about.key)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def report(request: HtmxRequest, rating_id: int) -> HttpResponse:
    visible = BrokerRating.objects.visible_to(request.user).select_related("broker")
    rating = get_object_or_404(visible, pk=rating_id)
    if rating.user_id == request.user.pk:
        messages.info(request, "This is your own rating: change or withdraw it here.")
        return redirect("comparison:broker_ratings", rating.broker.key)
    form = ReportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            is_new = ratings.report(request.user, rating, form.cleaned_data["reason"])
        except HubError as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "Thank you, we look at it." if is_new else "You have reported it before.")
            return redirect("comparison:broker_ratings", rating.broker.key)
    context = {"rating": rating, "form": form}
    return TemplateResponse(request, "comparison/report_rating.html", context, status=400 if form.errors else 200)
