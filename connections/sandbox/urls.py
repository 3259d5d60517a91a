"""Routes of the sandbox. Each broker stands below its own prefix, and without one as on its own host."""

from django.urls import include, path

from connections.sandbox import control
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
    path("_sandbox/sandbox.css", stylesheet),
    path("schwab/", include("connections.sandbox.schwab.urls")),
    path("", include("connections.sandbox.schwab.urls")),  # api.schwabapi.com
]
