"""Settings > Apps with access: which apps of others may do what, and an end to it."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_GET, require_http_methods

from brokerhub.identity import access
from brokerhub.identity.models import AppAccess
from brokerhub.identity.words import wishes
from brokerhub.kernel.htmx import HtmxRequest


@login_required
@require_GET
def app_list(request: HtmxRequest) -> HttpResponse:
    rows = AppAccess.objects.filter(user=request.user).select_related("client").order_by("client__name", "pk")
    apps = [{"row": row, "may": wishes(row.scopes)} for row in rows]
    return TemplateResponse(request, "settings/apps.html", {"apps": apps})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def app_end(request: HtmxRequest, access_id: int) -> HttpResponse:
    granted = get_object_or_404(AppAccess.objects.select_related("client"), user=request.user, pk=access_id)
    if request.method == "POST":
        access.end(granted, by=request.user)
        messages.success(request, f"{granted.client.name} has no access any more.")
        return redirect("apps")
    return TemplateResponse(request, "settings/app_end.html", {"row": granted})
