"""What every page's frame needs: navigation, theme, hidden amounts, environment, forms, and plotly.js."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly
from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage
from django.forms.renderers import TemplatesSetting
from django.http import HttpRequest
from django.urls import reverse

from brokerhub.kernel.preferences import amounts_hidden, theme_of


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation."""

    label: str
    url: str
    icon: str  # of Heroicons
    current: str  # value of aria-current: "page" on the page itself, "true" on a page below it, "" elsewhere


_PLACES = (
    ("Overview", "overview", "home"),
    ("Connections", "connections:list", "link"),
    ("Portfolio", "aggregation:portfolio", "chart-pie"),
    ("Compare", "comparison:mine", "scale"),
    ("Sync", "sync:list", "arrow-path"),
    ("Health", "health:board", "signal"),
)
_SECTIONS = (
    ("Profile", "settings"),
    ("E-mail address", "account_email"),
    ("Password", "account_change_password"),
    ("Two-factor sign-in", "mfa_index"),
    ("Signed-in devices", "usersessions_list"),
    ("Notifications", "health:alerts"),
    ("API tokens", "tokens"),
    ("Apps with access", "apps"),
    ("Webhooks", "webhooks:list"),
    ("Developer keys", "app-keys"),
    ("Export", "export"),
    ("Delete account", "delete-account"),
)
_SETTINGS_PATHS = ("/settings/", "/accounts/", "/health/alerts/")


def context(request: HttpRequest) -> dict[str, Any]:
    """The frame's part of every template's context.

    `page_base` is what a page extends that may also be opened in a dialog: htmx asks for it with hx-target="#dialog",
    everybody else gets the whole page, so confirmations work without JavaScript.
    """
    htmx = getattr(request, "htmx", None)
    return {
        "places": lambda: list(_places(request)),
        "setting_sections": lambda: list(_sections(request)),
        "in_settings": _in_settings(request),
        "theme": theme_of(request),
        "amounts_hidden": amounts_hidden(request),
        "environment": settings.ENVIRONMENT,
        "page_base": "components/dialog.html" if htmx and htmx.target == "dialog" else "base.html",
    }


def _in_settings(request: HttpRequest) -> bool:
    return request.path.startswith(_SETTINGS_PATHS)


def _places(request: HttpRequest) -> Iterator[Place]:
    match = request.resolver_match
    here = match.namespace or match.url_name if match else ""
    for label, name, icon in _PLACES:
        url = reverse(name)
        below = here == name.split(":")[0] and not _in_settings(request)
        yield Place(label, url, icon, _current(request, url, below=below))


def _current(request: HttpRequest, url: str, *, below: bool) -> str:
    return "page" if request.path == url else "true" if below else ""


def _sections(request: HttpRequest) -> Iterator[Place]:
    for label, name in _SECTIONS:
        url = reverse(name)
        below = name != "settings" and request.path.startswith(url)
        yield Place(label, url, "", _current(request, url, below=below))


class FormRenderer(TemplatesSetting):
    """Every form and field in our own look, wherever a template writes {{ form }} or {{ field.as_field_group }}."""

    form_template_name = "components/form.html"
    field_template_name = "components/field.html"


class PlotlyFinder(BaseFinder):
    """Serves `plotly/plotly.min.js` out of the installed plotly package: nothing vendored, nothing from elsewhere."""

    prefix = "plotly"
    name = "plotly.min.js"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.storage = FileSystemStorage(Path(plotly.__file__).parent / "package_data")
        self.storage.prefix = self.prefix  # type: ignore[attr-defined]  # collectstatic puts it in front of the name

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """As Django's own finders answer: the path, a list of it, or an empty list for what is not here."""
        if path != f"{self.prefix}/{self.name}":
            return []
        found = self.storage.path(self.name)
        return [found] if find_all else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, FileSystemStorage]]:
        yield self.name, self.storage
