"""Every address of the hub, read from the URL configuration: pages, fragments, files, API and administration.

A new address is tried by every test that uses this list, without being named anywhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern
from django.utils.regex_helper import normalize

# What stands in an address and is no object of a person.
WORDS = {
    "broker": "schwab",
    "document": "summary",
    "method": "schwab_oauth",
    "suffix": "csv",
    "currency": "USD",
    "line": "3",
    "key": "abc",
    "uidb36": "1",
    "content_type_id": "1",
    "app_label": "connections",
    "object_id": "1",
    "url": "nowhere",
}


UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Address:
    """`route` is a format string; `names` are what it needs; `model` is what an address of the admin is about."""

    route: str
    names: frozenset[str]
    texts: frozenset[str]  # those of the names that take any word, not only a number
    unsafe: frozenset[str] = UNSAFE  # the methods that its view may know
    model: type[Model] | None = None

    @property
    def is_api(self) -> bool:
        return self.route.startswith("/api/")

    @property
    def is_admin(self) -> bool:
        return self.route.startswith("/admin/")

    @property
    def is_ones_own(self) -> bool:
        """Whether it is about an object of a person."""
        return bool(self.names - WORDS.keys()) or self.model is not None

    @property
    def is_like_its_neighbour(self) -> bool:
        """The forms of a model in the administration that share one wrapper with its list and its change form."""
        return self.model is not None and not self.route.endswith((f"{self.model._meta.model_name}/", "/change/"))

    def filled(self, objects: Mapping[str, Any]) -> str:
        """The address of these objects. Raises KeyError for a kind of id that is not among them."""
        values = WORDS | {name: str(value) for name, value in objects.items()}
        if self.model is not None:
            first = self.model._base_manager.order_by("pk").values_list("pk", flat=True).first()
            values["object_id"] = str(first or 1)
        return self.route.format(**{name: values[name] for name in self.names})


def every_address() -> list[Address]:
    return sorted(_below(get_resolver(), "/", {}), key=lambda address: address.route)


def _below(resolver: URLResolver, prefix: str, converters: dict[str, Any]) -> Iterator[Address]:
    for entry in resolver.url_patterns:
        route = prefix + _spelled(entry)
        known = converters | dict(getattr(entry.pattern, "converters", {}))
        if isinstance(entry, URLResolver):
            yield from _below(entry, route, known)
        else:
            names = frozenset(re.findall(r"{(\w+)}", route))
            texts = frozenset(name for name in names if getattr(known.get(name), "regex", ".") not in {"[0-9]+", UUID})
            yield Address(route, names, texts, _unsafe(entry), _model_of(route))


UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _unsafe(entry: URLPattern) -> frozenset[str]:
    """Classes say which methods they have; a function may know any."""
    actions: dict[str, str] = getattr(entry.callback, "actions", None) or {}
    view = getattr(entry.callback, "cls", None) or getattr(entry.callback, "view_class", None)
    if view is None:
        return UNSAFE
    return frozenset(method for method in UNSAFE if method.lower() in actions or hasattr(view, method.lower()))


def _spelled(entry: URLPattern | URLResolver) -> str:
    if isinstance(entry.pattern, RegexPattern):
        text: str = normalize(entry.pattern.regex.pattern)[0][0]
        return re.sub(r"%\((\w+)\)s", r"{\1}", text)
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(entry.pattern))


def _model_of(route: str) -> type[Model] | None:
    about = {f"/admin/{model._meta.app_label}/{model._meta.model_name}/": model for model in admin.site._registry}
    return next((model for prefix, model in about.items() if route.startswith(prefix)), None)
