"""The base of every page of the admin: nothing is counted to its end, and what operators do is written down."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

from brokerhub.kernel import acts
from brokerhub.kernel.acts import Act
from brokerhub.kernel.desk import BOUND, bounded


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not subscriptable at run time
    """Pages through the first BOUND rows; who looks for one further down narrows the list."""

    @cached_property
    def counted(self) -> int:
        """At most one more than BOUND: a count of a million rows costs seconds."""
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[: BOUND + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self.counted, BOUND)

    @property
    def words(self) -> str:
        return bounded(self.counted)


class DeskAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they count each choice of each filter
    paginator = BoundedPaginator
    acts: ClassVar[tuple[Act, ...]] = ()
    deletes_many: ClassVar[bool] = False  # only of a short list: what is chosen may be more than the page shows

    def allowed_acts(self, request: HttpRequest) -> list[Act]:
        return [act for act in self.acts if request.user.has_perm(act.permission)]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        if not self.deletes_many:
            actions.pop("delete_selected", None)
        if IS_POPUP_VAR in request.GET:
            return actions
        return actions | {act.name: (_action_of(act), act.name, act.label) for act in self.allowed_acts(request)}

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().render_change_form(request, context | {"acts": self.allowed_acts(request)}, *args, **kwargs)


def _action_of(act: Act) -> Any:
    def action(model_admin: Any, request: HttpRequest, chosen: "QuerySet[Any]") -> HttpResponse | None:
        return acts.perform(model_admin, request, chosen, act)

    return action
