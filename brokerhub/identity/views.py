"""The provider's endpoints: allauth's views, made stricter, and the documents that describe them."""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from allauth.core.internal import ratelimit
from allauth.core.internal.httpkit import add_query_params
from allauth.idp.oidc.adapter import get_adapter
from allauth.idp.oidc.forms import AuthorizationForm
from allauth.idp.oidc.models import Client, Token
from allauth.idp.oidc.views import AuthorizationView, RevokeView, TokenView
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from brokerhub.identity import access, requests, single_use
from brokerhub.identity.forms import website_of
from brokerhub.identity.words import CHOICES, wishes
from brokerhub.kernel.reauthentication import confirm, is_recent

REVOCABLE = (Token.Type.ACCESS_TOKEN, Token.Type.REFRESH_TOKEN)
EXCHANGED = {"authorization_code": ("code", 0), "refresh_token": ("refresh_token", single_use.LEEWAY)}


class Authorize(AuthorizationView):  # type: ignore[misc]  # allauth has no type hints
    """Asks the person. Letting an app in is like making a token, so a session of yesterday proves itself first."""

    template_name = "identity/consent.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            requests.check(request.GET)
            if request.user.is_authenticated and not is_recent(request):
                return confirm(request)  # type: ignore[arg-type]
            answer: HttpResponse = super().get(request, *args, **kwargs)
        except requests.Unusable as refusal:
            return _error_page(request, refusal.sentence)
        except requests.Refused as refusal:
            return _to_app(add_query_params(refusal.redirect_uri, refusal.params))
        except ValueError:  # of oauthlib, for an address that is not well-formed
            return _error_page(request, "The app's request cannot be read.")
        return self._let_the_form_lead_on(_as_an_error(answer))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and not is_recent(request):
            return confirm(request)  # type: ignore[arg-type]
        return self._let_the_form_lead_on(_as_an_error(super().post(request, *args, **kwargs)))

    def form_valid(self, form: AuthorizationForm) -> HttpResponse:
        answer: HttpResponse = super().form_valid(form)
        if "code" in parse_qs(urlsplit(answer.get("Location", "")).query):
            client = Client.objects.get(pk=self._request_info["client_id"])
            access.grant(user=self.request.user, client=client, scopes=form.cleaned_data["scopes"])
        return answer

    def _let_the_form_lead_on(self, answer: HttpResponse) -> HttpResponse:
        """Browsers hold the page's form-action against the redirect that answers its form, too."""
        if isinstance(answer, TemplateResponse):
            back = urlsplit(self._request_info["redirect_uri"])
            source = f"{back.scheme}://{back.netloc}" if back.scheme in {"http", "https"} else f"{back.scheme}:"
            answer._csp_update = {"form-action": [source]}  # type: ignore[attr-defined]  # as its decorator does
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super(AuthorizationView, self).get_context_data(**kwargs)  # whose own asks for django.contrib.sites
        client = Client.objects.get(pk=self._request_info["client_id"])
        ticked = kwargs["form"].data.getlist("scopes") if kwargs.get("form") and kwargs["form"].is_bound else None
        back = urlsplit(self._request_info["redirect_uri"])
        context |= {
            "client": client,
            "website": website_of(client),
            "wishes": wishes(self._scopes),
            "ticked": self._scopes if ticked is None else ticked,
            "back_to": back.netloc or f"{back.scheme}:",
            "is_local": back.hostname in requests.LOOPBACK,
        }
        return dict(context)


def _error_page(request: HttpRequest, sentence: str) -> HttpResponse:
    return render(request, "identity/error.html", {"sentence": sentence}, status=HTTPStatus.BAD_REQUEST)


def _as_an_error(answer: HttpResponse) -> HttpResponse:
    """allauth sends its page for what it refuses as a success; the form is a TemplateResponse, all else redirects."""
    if type(answer) is HttpResponse and answer.status_code == HTTPStatus.OK:
        answer.status_code = HTTPStatus.BAD_REQUEST
    return answer


def _to_app(url: str) -> HttpResponse:
    """Not a redirect of Django's, which refuses the schemes of apps on phones; the address is a registered one."""
    return HttpResponse(status=HTTPStatus.FOUND, headers={"Location": url})


class Exchange(TokenView):  # type: ignore[misc]
    """A code or a refresh token for an access token, once."""

    def post(self, request: HttpRequest) -> HttpResponse:
        if not ratelimit.consume(request, action="token", app="allauth.idp.oidc"):
            return _error(HTTPStatus.TOO_MANY_REQUESTS, "temporarily_unavailable", "Too many requests.")
        name, leeway = EXCHANGED.get(request.POST.get("grant_type", ""), ("", 0))
        value = request.POST.get(name, "")
        if name == "refresh_token":
            access.end_if_over(value)
        answer = self._exchange(request, value)
        if value and answer.status_code == HTTPStatus.BAD_REQUEST:
            single_use.end_what_came_of(value, leeway=leeway)
        return answer

    def _exchange(self, request: HttpRequest, value: str) -> HttpResponse:
        try:
            with transaction.atomic():
                answer: HttpResponse = super().post(request)
                if answer.status_code != HTTPStatus.OK:
                    return answer
                if single_use.is_first(value, issued=json.loads(answer.content)["access_token"]):
                    return answer
                transaction.set_rollback(True)
        except ValidationError as refusal:
            return _error(HTTPStatus.BAD_REQUEST, "invalid_target", " ".join(refusal.messages))
        except ValueError:
            return _error(HTTPStatus.BAD_REQUEST, "invalid_request", "The request cannot be read.")
        return _error(HTTPStatus.BAD_REQUEST, "invalid_grant", "It has been used already.")


class Revoke(RevokeView):  # type: ignore[misc]
    """With a refresh token ends what came of it, too (RFC 7009, 2.1). The app keeps the person's consent."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        given = Token.objects.by_value(request.POST.get("token", "")).filter(type__in=REVOCABLE)
        refresh = given.filter(type=Token.Type.REFRESH_TOKEN).first()
        try:
            answer: HttpResponse = super().post(request, *args, **kwargs)
        except ValueError:
            return _error(HTTPStatus.BAD_REQUEST, "invalid_request", "The request cannot be read.")
        if answer.status_code != HTTPStatus.OK:
            return answer
        given.delete()  # allauth looks no further than `token_type_hint`, which may be wrong
        if refresh is not None:
            Token.objects.filter(user=refresh.user_id, client=refresh.client_id, type=Token.Type.ACCESS_TOKEN).delete()
        return answer


def _error(status: HTTPStatus, code: str, sentence: str) -> JsonResponse:
    headers = {"Cache-Control": "no-store"}
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = "60"
    return JsonResponse({"error": code, "error_description": sentence}, status=status, headers=headers)


@require_safe
def configuration(request: HttpRequest) -> JsonResponse:
    """What this provider can do and where (OpenID Connect Discovery, RFC 8414)."""
    issuer = get_adapter().get_issuer()
    endpoints = {
        f"{name}_endpoint": issuer + reverse(f"idp:oidc:{view}")
        for name, view in {
            "authorization": "authorization",
            "token": "token",  # nosec B105  # a word of the protocol
            "revocation": "revoke",
            "userinfo": "userinfo",
        }.items()
    }
    ways_in = ["client_secret_basic", "client_secret_post", "none"]
    answer = JsonResponse(
        {
            "issuer": issuer,
            **endpoints,
            "jwks_uri": issuer + reverse("idp:oidc:jwks"),
            "scopes_supported": [scope for scope, _ in CHOICES],
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ways_in,
            "revocation_endpoint_auth_methods_supported": ways_in,
            "id_token_signing_alg_values_supported": ["RS256"],
            "subject_types_supported": ["public"],
            "service_documentation": issuer + reverse("api-docs"),
        }
    )
    answer["Access-Control-Allow-Origin"] = "*"
    return answer
