"""What of the hub as a whole a request id leads to: what operators did."""

from collections.abc import Iterator

from django.contrib.admin.models import LogEntry
from django.urls import reverse

from brokerhub.kernel.desk import MOST_FOUND, Found, Source, desk
from brokerhub.kernel.models import OperatorAct


def _acts(request_id: str) -> Iterator[Found]:
    acts = OperatorAct.objects.filter(request_id=request_id).select_related("entry__user", "entry__content_type")
    for act in acts.order_by("pk")[:MOST_FOUND]:
        entry: LogEntry = act.entry
        page = reverse("admin:admin_logentry_change", args=[entry.pk])
        yield Found(entry.action_time, f"{entry.object_repr}: {entry.get_change_message()}", page, f"by {entry.user}")


desk.search(Source(title="What operators did", permission="admin.view_logentry", find=_acts))
