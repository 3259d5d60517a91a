"""Routes of the sandbox. Each broker stands below its own prefix, and without one as on its own host."""

from django.urls import include, path

from connections.sandbox import account_levers, control, plans
from connections.sandbox.ibkr import levers
from connections.sandbox.robinhood import control as robinhood_control
from connections.sandbox.robinhood import oauth
from connections.sandbox.schwab.oauth import stylesheet

urlpatterns = [
    path("_control/", control.overview),
    path("_control/truth/<str:login>", control.person_truth),
    path("_control/reset", control.reset),
    path("_control/clock", control.clock),
    path("_control/faults", control.faults),
    path("_control/maintenance", control.maintenance),
    path("_control/limits", control.limits),
    path("_control/callbacks", control.callbacks),
    path("_control/corrections", control.corrections),
    path("_control/tokens", control.tokens),
    path("_control/calls", control.calls),
    path("_control/people", control.people),
    path("_control/plans", plans.plans),
    path("_control/accounts", account_levers.accounts),
    path("_control/robinhood/logins", robinhood_control.logins),
    path("_control/robinhood/phone", robinhood_control.phone),
    path("_control/robinhood/keys", robinhood_control.keys),
    path("_control/ibkr/keys", levers.keys),
    path("_control/ibkr/consumers", levers.consumers),
    path("_control/ibkr/flex", levers.flex),
    path("_control/ibkr/switches", levers.switches),
    path("_feeds/<str:broker>/maintenance.ics", plans.calendar),
    path("_feeds/<str:broker>/scheduled-maintenances.json", plans.status_page),
    path("_sandbox/sandbox.css", stylesheet),
    path("schwab/", include("connections.sandbox.schwab.urls")),
    path("robinhood/", include("connections.sandbox.robinhood.urls")),
    path(".well-known/oauth-protected-resource/robinhood/agent/mcp/trading", oauth.protected_resource),
    path(".well-known/oauth-authorization-server/robinhood/agent/mcp/trading", oauth.authorization_server),
    path("alpaca/", include("connections.sandbox.alpaca.urls")),
    path("ecb/", include("connections.sandbox.ecb.urls")),
    path("ibkr/", include("connections.sandbox.ibkr.urls")),
    path("", include("connections.sandbox.ibkr.urls")),  # as ibind and ibflex are pointed here
    path("", include("connections.sandbox.schwab.urls")),  # api.schwabapi.com
]
