"""Text that does harm where it is taken for markup or for a formula, put wherever a person or a broker may write."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from django.apps import apps
from django.db import DataError, IntegrityError, models, transaction

from brokerhub.archive.tables import TABLES

MARK = "xss0canary"
# Breaks out of an attribute, of a script and of a formula's cell, each in its way.
HARMFUL = f"=1+1'\"></script><{MARK}>"
OWNERS = "of-the-owner"  # behind it in rows that belong to a person
HARMFUL_LINK = f"javascript:{MARK}()"
# Words of ours, never anybody's: they choose code, not text.
TECHNICAL = {
    *("password", "timezone", "zone", "reason_code", "broker_user_key", "session_nonce_digest", "redirect_uri"),
    *("action", "format", "sha256", "header", "fingerprint", "group_id", "key", "model", "item", "digest"),
    *("error_code", "repeats", "benchmark", "period", "kind", "condition", "publisher_key", "external_id", "as_of"),
    *("origin", "token_key", "field"),
}


def written_fields() -> Iterator[tuple[type[models.Model], str, str]]:
    """Model, field and the harmful text for it."""
    personal = {table.model for table in TABLES}
    for model in apps.get_models():
        if model.__module__.split(".")[0] in {"django", "allauth", "knox"} or not model._meta.managed:
            continue
        for field in model._meta.get_fields():
            if not isinstance(field, models.CharField | models.TextField) or field.choices or field.unique:
                continue
            text = HARMFUL_LINK if "url" in field.name else HARMFUL + OWNERS * (model in personal)
            if field.name not in TECHNICAL and (field.max_length is None or field.max_length >= len(text)):
                yield model, field.name, text


def plant() -> int:
    """Write the harmful text into every row of every such field; how many fields took it."""
    planted = 0
    for model, name, text in written_fields():
        try:
            with transaction.atomic():
                planted += bool(model._base_manager.update(**{name: text}))
        except (IntegrityError, DataError):  # a constraint says what may stand there
            continue
    return planted


class Page(HTMLParser):
    """What a browser would make of a page, and what of it the content security policy would stop."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.links: list[str] = []
        self.forms: list[dict[str, Any]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if MARK in tag or any(MARK in name for name in given):
            self.faults.append(f"the harmful text became <{tag}>")
        if tag == "style" or "style" in given:
            self.faults.append(f"a style inside <{tag}>")
        data = given.get("type", "").endswith("json")
        if tag == "script" and "src" not in given and not data:
            self.faults.append("a script inside the page")
        self.faults += [f"{name} on <{tag}>" for name in given if name.startswith(("on", "hx-on"))]
        for name in ("href", "src", "action", "formaction", "hx-get", "hx-post", "data"):
            if given.get(name, "").strip().lower().startswith(("javascript:", "vbscript:", "data:text")):
                self.faults.append(f"a {name} that is a script: {given[name]}")
            if tag in {"script", "img", "link", "iframe", "source"} and "//" in given.get(name, "")[:9]:
                self.faults.append(f"<{tag}> from elsewhere: {given[name]}")
        if tag == "form":
            self.forms.append({"action": given.get("action", ""), "method": given.get("method", "get"), "file": False})
        if tag == "input" and given.get("type") == "file" and self.forms:
            self.forms[-1]["file"] = True
        if tag == "a":
            self.links.append(given.get("href", ""))
