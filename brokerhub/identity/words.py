"""What an app may ask for, in words for people: the API's scopes, and those of OpenID Connect."""

from collections.abc import Iterable
from dataclasses import dataclass

from brokerhub.kernel.models import Scope

OPENID = {
    "openid": "Recognise you, by a number that stands for your account",
    "profile": "See your name",
    "email": "See your e-mail address",
}
CHOICES: list[tuple[str, str]] = [*Scope.choices, *OPENID.items()]
_WORDS = dict(CHOICES)


@dataclass(frozen=True, slots=True)
class Wish:
    """One scope on a page. What changes something stands out."""

    scope: str
    words: str

    @property
    def changes(self) -> bool:
        return self.scope.endswith(":write")


def wishes(scopes: Iterable[str]) -> list[Wish]:
    """In the order of the enum: seeing and changing of one subject beside each other."""
    wanted = set(scopes)
    return [Wish(scope, words) for scope, words in CHOICES if scope in wanted]


def in_words(scope: str) -> str:
    return _WORDS.get(scope, scope)
