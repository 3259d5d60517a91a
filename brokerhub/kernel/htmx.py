"""Requests that htmx makes, and how a view tells whether it wants a page or a fragment."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from brokerhub.kernel.models import User


class HtmxRequest(HttpRequest):
    """A request after our middleware; views behind `login_required` may rely on `user` being a `User`."""

    htmx: HtmxDetails
    user: User


class VisitorRequest(HttpRequest):
    """A request that may come from somebody who has not signed in."""

    htmx: HtmxDetails
    user: User | AnonymousUser


def wants_partial(request: HttpRequest) -> bool:
    """True when htmx asks for a fragment to swap in; a boosted link or a restored history entry wants the page."""
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request
