"""Registering apps of others. A client's secret is shown once, in the answer to the form that made it."""

from typing import Any

from allauth.idp.oidc.adapter import get_adapter
from allauth.idp.oidc.models import Client, Token
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator

from brokerhub.identity import access
from brokerhub.identity.forms import ClientForm
from brokerhub.identity.models import AppAccess
from brokerhub.identity.words import in_words
from brokerhub.kernel import audit
from brokerhub.kernel.admin import OwnersOwn
from brokerhub.kernel.desk_admin import DeskAdmin
from brokerhub.kernel.models import User
from brokerhub.kernel.reauthentication import asks_again

admin.site.unregister([Client, Token])  # allauth's forms show digests, and put a new secret into a cookie


@admin.register(Client)
class AppAdmin(DeskAdmin):
    form = ClientForm
    list_display = ("name", "type", "people", "created_at", "id")
    list_filter = ("type", "created_at")
    search_fields = ("name", "id")
    ordering = ("name",)
    readonly_fields = ("id", "created_at")
    actions = ("new_secret",)

    def get_readonly_fields(self, request: HttpRequest, obj: Client | None = None) -> tuple[str, ...]:
        return self.readonly_fields if obj is None else (*self.readonly_fields, "type")

    def get_fields(self, request: HttpRequest, obj: Client | None = None) -> tuple[str, ...]:
        fields = ("name", "website", "type", "scopes", "redirect_uris")
        return fields if obj is None else ("id", *fields, "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Client]:
        found: QuerySet[Client] = super().get_queryset(request).annotate(people=Count("accesses"))
        return found

    @admin.display(description="People", ordering="people")
    def people(self, client: Any) -> int:
        return int(client.people)

    @method_decorator(asks_again)
    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """It ends with a secret."""
        answer: HttpResponse = super().add_view(request, *args, **kwargs)
        return answer

    def log_addition(self, request: HttpRequest, obj: Client, message: Any) -> Any:
        """By its name: an app of allauth's calls itself by its id."""
        return super().log_addition(request, obj, f"Registered {obj.name}.")

    def response_add(self, request: HttpRequest, obj: Client, post_url_continue: str | None = None) -> HttpResponse:
        return self._with_new_secret(request, obj)

    @admin.action(description="Give a new secret", permissions=["change"])
    @method_decorator(asks_again)
    def new_secret(self, request: HttpRequest, chosen: QuerySet[Client]) -> HttpResponse | None:
        """The old one ends at once."""
        client = chosen.first()
        if client is None or chosen.count() != 1 or client.type != Client.Type.CONFIDENTIAL:
            self.message_user(request, "Choose one app that is confidential.", "ERROR")
            return None
        assert isinstance(request.user, User)
        audit.note(by=request.user, about=client, flag=audit.CHANGE, did="Given a new secret.")
        return self._with_new_secret(request, client)

    def _with_new_secret(self, request: HttpRequest, client: Client) -> HttpResponse:
        secret = ""  # nosec B105  # a word of the protocol
        if client.type == Client.Type.CONFIDENTIAL:
            secret = get_adapter().generate_client_secret()
            client.set_secret(secret)
            client.save(update_fields=["secret"])
        context = self.admin_site.each_context(request) | {
            "title": f"{client.name} is registered",
            "client": client,
            "secret": secret,
            "opts": self.opts,
            "issuer": get_adapter().get_issuer(),
        }
        answer = TemplateResponse(request, "admin/identity/secret.html", context)
        answer["Cache-Control"] = "no-store"
        return answer


@admin.register(AppAccess)
class AppAccessAdmin(OwnersOwn, DeskAdmin):
    list_display = ("app", "user", "may", "granted_at", "last_used_at")
    list_filter = ("granted_at", "last_used_at")
    search_fields = ("client__name", "user__email")
    list_select_related = ("client", "user")
    ordering = ("-granted_at",)
    fields = readonly_fields = ("app", "user", "may", "granted_at", "last_used_at")

    @admin.display(description="App", ordering="client__name")
    def app(self, granted: AppAccess) -> str:
        return str(granted.client.name)

    @admin.display(description="May")
    def may(self, granted: AppAccess) -> str:
        return "; ".join(in_words(scope) for scope in granted.scopes)

    def delete_model(self, request: HttpRequest, obj: AppAccess) -> None:
        access.cut(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AppAccess]) -> None:
        for granted in queryset:
            access.cut(granted)
