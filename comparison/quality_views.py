"""The page on execution quality, and its figures as a file. All of it is published; nothing is a person's own."""

from datetime import timedelta

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from aggregation.exports import as_file
from brokerhub.kernel.htmx import HtmxRequest
from comparison import execution_quality, published
from comparison.execution_quality import STALE_DAYS
from comparison.quality_forms import QualityForm


@login_required
@require_GET
def execution_quality_page(request: HtmxRequest) -> HttpResponse:
    known, catalogue = execution_quality.publishers(), execution_quality.came_with()
    form = QualityForm(request.GET, known, catalogue)
    choice = form.choice()
    shown = execution_quality.compare(choice, known, catalogue)
    form.data = request.GET | {"publisher": [publisher.key for publisher in shown.chosen]}  # what is shown is ticked
    context = {
        "form": form,
        "choice": choice,
        "known": known,
        "shown": shown,
        "studies": published.groups(payments=False),
        "payments": published.groups(payments=True),
        "old_before": timezone.localdate() - timedelta(days=STALE_DAYS),
        "query": request.GET.urlencode(),
    }
    return TemplateResponse(request, "comparison/execution_quality.html", context)


@login_required
@require_GET
def export_execution_quality(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    """The figures of the same choice as on the page, each with its file and address."""
    known, catalogue = execution_quality.publishers(), execution_quality.came_with()
    shown = execution_quality.compare(QualityForm(request.GET, known, catalogue).choice(), known, catalogue)
    rows = execution_quality.rows(shown)
    return as_file(rows, execution_quality.COLUMNS, name="execution-quality", suffix=suffix)
