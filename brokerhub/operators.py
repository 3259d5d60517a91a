"""Pages for operators beside Django's admin, in its frame."""

from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from brokerhub import retention

MOST_COUNTED = 10_000  # a count of millions would take long, and says no more


@staff_member_required
@require_safe
def kept(request: HttpRequest) -> HttpResponse:
    """For how long what is kept, and how much is past its time: what the next hour's job removes."""
    now = timezone.now()
    rules = []
    for rule in retention.rules():
        due = rule.due(now)
        rules.append((rule, None if due is None else due.order_by()[:MOST_COUNTED].count()))
    context = {**admin.site.each_context(request), "title": "What is kept for how long", "rules": rules}
    return TemplateResponse(request, "admin/retention.html", context)
