"""The page that says what taking a run back would do, and does it."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.htmx import HtmxRequest
from sync import undoing
from sync.models import SyncRun


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def undo(request: HtmxRequest, run_id: int) -> HttpResponse:
    """GET counts what would change; POST changes it. The same page for both directions."""
    run = get_object_or_404(SyncRun.objects.for_user(request.user).for_list(), pk=run_id)
    standing = undoing.standing(run)
    try:
        if request.method == "POST":
            again = request.POST.get("do") == "reapply"
            (undoing.reapply if again else undoing.undo)(run, actor=request.user)
            messages.success(request, "The run counts again." if again else "The run was taken back.")
            return redirect("sync:run", run_id=run.pk)
        effect = undoing.preview_reapply(run) if standing.is_undone else undoing.preview_undo(run)
    except HubError as error:
        messages.warning(request, str(error))
        return redirect("sync:run", run_id=run.pk)
    context = {"run": run, "effect": effect, "standing": standing}
    return TemplateResponse(request, "sync/run_undo.html", context)
