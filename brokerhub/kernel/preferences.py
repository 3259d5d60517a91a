"""What a browser remembers about how pages look: light or dark, and whether amounts are shown.

Kept in cookies, so that the server renders the page right the first time and nothing flashes.
"""

from enum import StrEnum

from django.conf import settings
from django.http import HttpRequest

THEME_COOKIE = f"{settings.COOKIE_PREFIX}theme"
AMOUNTS_COOKIE = f"{settings.COOKIE_PREFIX}amounts"
HIDDEN = "hidden"


class Theme(StrEnum):
    AUTO = "auto"  # as the device has it
    LIGHT = "light"
    DARK = "dark"


def theme_of(request: HttpRequest) -> Theme:
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return Theme(chosen) if chosen in set(Theme) else Theme.AUTO


def amounts_hidden(request: HttpRequest | None) -> bool:
    return request is not None and request.COOKIES.get(AMOUNTS_COOKIE) == HIDDEN
