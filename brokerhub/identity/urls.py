"""The provider's addresses, by the names that allauth's views look up. Its other flows (devices, logout, registration
by programs) have none."""

from allauth.idp.oidc import views as oidc
from django.urls import include, path

from brokerhub.identity import views

app_name = "idp"
_oidc = [
    path(".well-known/openid-configuration", views.configuration, name="configuration"),
    path(".well-known/oauth-authorization-server", views.configuration),
    path(".well-known/jwks.json", oidc.jwks, name="jwks"),
    path("oauth/authorize", views.Authorize.as_view(), name="authorization"),
    path("oauth/token", views.Exchange.as_view(), name="token"),
    path("oauth/revoke", views.Revoke.as_view(), name="revoke"),
    path("oauth/userinfo", oidc.user_info, name="userinfo"),
]
urlpatterns = [path("", include((_oidc, "oidc")))]
