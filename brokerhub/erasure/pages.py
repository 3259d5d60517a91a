"""Settings > Delete account: what would go, confirmed twice, and nobody gets in any more."""

from django import forms
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from brokerhub.erasure import deleting
from brokerhub.erasure.belongings import held
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.htmx import HtmxRequest
from brokerhub.kernel.reauthentication import asks_again
from connections import connection_manager


class DeleteForm(forms.Form):
    email = forms.EmailField(
        label="Your e-mail address", help_text="Type it, to be sure.", widget=forms.EmailInput({"autocomplete": "off"})
    )

    def __init__(self, *arguments: object, email: str) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._email = email

    def clean_email(self) -> str:
        given: str = self.cleaned_data["email"].lower()
        if given != self._email:
            raise forms.ValidationError("This is not the address of this account.")
        return given


@login_required
@asks_again
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def delete_account(request: HtmxRequest) -> HttpResponse:
    form = DeleteForm(request.POST or None, email=request.user.email)
    if request.method != "POST":
        return _shown(request, form)
    if not form.is_valid():
        return _shown(request, form, status=422)
    try:
        deletion = deleting.ask(request.user)
    except NotAllowed as refusal:
        form.add_error(None, str(refusal))
        return _shown(request, form, status=409)
    logout(request)
    return render(request, "settings/delete_asked.html", {"deletion": deletion, "email": form.cleaned_data["email"]})


def _shown(request: HtmxRequest, form: DeleteForm, status: int = 200) -> HttpResponse:
    connections = connection_manager.list_connections(request.user)
    leaving = [(each, connection_manager.left_to_do(each)) for each in connections if each.state != "disconnected"]
    rows = held(request.user)
    context = {"form": form, "rows": rows, "total": sum(rows.values()), "leaving": leaving}
    return render(request, "settings/delete.html", context, status=status)
