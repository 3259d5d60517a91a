"""Robinhood's routes, a list for each of its hosts. A slash at the end changes nothing."""

from django.urls import include, re_path

from connections.sandbox.robinhood import login, oauth

ID = r"[0-9a-f-]{36}"

api = [
    re_path(r"^oauth2/token/?$", oauth.token),
    re_path(r"^oauth2/revoke_token/?$", oauth.revoke),
    re_path(r"^pathfinder/user_machine/?$", login.user_machine),
    re_path(rf"^pathfinder/inquiries/(?P<machine>{ID})/user_view/?$", login.user_view),
    re_path(rf"^push/(?P<challenge_id>{ID})/get_prompts_status/?$", login.prompt_status),
    re_path(rf"^challenge/(?P<challenge_id>{ID})/respond/?$", login.respond),
]
www = [
    re_path(r"^oauth/?$", oauth.authorize),
]
agent = [
    re_path(r"^\.well-known/oauth-protected-resource(?:/mcp/trading)?$", oauth.protected_resource),
    re_path(r"^\.well-known/oauth-authorization-server(?:/mcp/trading)?$", oauth.authorization_server),
    re_path(r"^oauth/trading/register/?$", oauth.register),
]
urlpatterns = [
    re_path(r"^api/", include(api)),
    re_path(r"^www/", include(www)),
    re_path(r"^agent/", include(agent)),
]
