"""Corporate actions by hand: the list, the form with its preview, apply, and take back."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aggregation.corporate_actions import applying
from aggregation.corporate_actions.forms import CorporateActionForm
from aggregation.corporate_actions.models import CorporateAction
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.htmx import HtmxRequest


@login_required
@require_GET
def actions(request: HtmxRequest) -> HttpResponse:
    entered = CorporateAction.objects.for_user(request.user).select_related("instrument", "received")
    context = {"actions": entered.prefetch_related("applied__account__connection").order_by("-on", "-pk")}
    return TemplateResponse(request, "aggregation/corporate_actions.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def enter(request: HtmxRequest) -> HttpResponse:
    """A first sending shows what it would do; only a second, with the button below the preview, does it."""
    form = CorporateActionForm(request.POST or None, user=request.user)
    effects, error = None, ""
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                action = form.action()
                if "apply" in request.POST:
                    applied = applying.apply(action)
                    messages.success(request, f"Applied in {_accounts(len(applied))}.")
                    return redirect("aggregation:corporate-actions")
                effects = applying.preview(action)
                transaction.set_rollback(True)  # a preview leaves nothing behind, not even a new instrument
        except NotAllowed as refusal:
            error = str(refusal)
    context = {"form": form, "effects": effects, "error": error}
    bad = request.method == "POST" and (error or form.errors)
    return TemplateResponse(request, "aggregation/corporate_action.html", context, status=400 if bad else 200)


@login_required
@require_POST
def take_back(request: HtmxRequest, action_id: int) -> HttpResponse:
    action = get_object_or_404(CorporateAction.objects.for_user(request.user), pk=action_id)
    applying.take_back(action)
    messages.success(request, "Taken back. The rows booked for it no longer count.")
    return redirect("aggregation:corporate-actions")


def _accounts(number: int) -> str:
    return "one account" if number == 1 else f"{number} accounts"
