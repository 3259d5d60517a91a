"""The operators' start page: each app says in its `desk.py` what of it needs attention and where a request id leads.

Counts are bounded: whether there are 1,000 or 4,000,000 makes no difference to what an operator does next, and counting
the second costs seconds.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.module_loading import autodiscover_modules

from brokerhub.kernel.models import User

BOUND = 1000
MOST_REASONS = 6
MOST_FOUND = 50  # of one kind, under one id


def bounded(count: int) -> str:
    """`999`, or `1,000+` for whatever is more than BOUND."""
    return f"{BOUND:,}+" if count > BOUND else f"{count:,}"


# --- What needs attention ---------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Pile:
    """What waits for one and the same reason, and where its list is."""

    words: str
    count: int
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One kind of thing that may wait for an operator. `piles` asks one question of the database, or few."""

    title: str
    advice: str  # what to do about it
    permission: str  # who may not see the list does not see the counts
    piles: Callable[[], Sequence[Pile]]
    tone: str = "warn"
    everything: str = ""  # where all of it is listed; empty: its piles are all there is


@dataclass(frozen=True, slots=True)
class Waiting:
    """An item with what is in it now."""

    item: Attention
    piles: Sequence[Pile]

    @property
    def total(self) -> int:
        return sum(pile.count for pile in self.piles)

    @property
    def words(self) -> str:
        return bounded(self.total)

    @property
    def is_cut(self) -> bool:
        """Whether there is more than was counted, so that each pile's count is the least it may be."""
        return self.total > BOUND

    @property
    def shown(self) -> Sequence[Pile]:
        return self.piles[:MOST_REASONS]

    @property
    def others(self) -> int:
        return max(0, len(self.piles) - MOST_REASONS)


def by_reason(
    rows: "QuerySet[Any]", *fields: str, words: Callable[..., str], link: Callable[..., str]
) -> Sequence[Pile]:
    """At most BOUND + 1 of `rows` by the values of `fields`, the largest pile first. One question."""
    seen = Counter(rows.order_by().values_list(*fields)[: BOUND + 1])
    return [Pile(words(*values), count, link(*values)) for values, count in seen.most_common()]


def list_of(model: type[Model], **narrowed: Any) -> str:
    """The address of the model's list in the admin, narrowed by its filters."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{address}?{urlencode(narrowed)}" if narrowed else address


# --- Where a request id leads -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Found:
    at: datetime
    words: str
    link: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where rows with a request id are kept. `find` gives at most MOST_FOUND of them."""

    title: str
    permission: str
    find: Callable[[str], Iterable[Found]]


def rows_of(
    model: type[Model], at: str, *related: str, detail: Callable[[Any], str] = lambda row: ""
) -> Callable[[str], Iterable[Found]]:
    """For a model with a `request_id`: its rows, told by their own words, with their pages in the admin."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"

    def find(request_id: str) -> Iterator[Found]:
        rows = model._default_manager.filter(request_id=request_id).select_related(*related).order_by("pk")
        for row in rows[:MOST_FOUND]:
            yield Found(getattr(row, at), str(row), reverse(name, args=[row.pk]), detail(row))

    return find


# --- The registry -----------------------------------------------------------------------------------------------------
@dataclass(slots=True)
class Desk:
    items: list[Attention] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)

    def watch(self, *items: Attention) -> None:
        self.items += items

    def search(self, *sources: Source) -> None:
        self.sources += sources

    def waiting(self, user: User | AnonymousUser) -> list[Waiting]:
        """What waits now and this person may see; items with nothing in them too, so that a page can say so."""
        return [Waiting(item, item.piles()) for item in self.items if user.has_perm(item.permission)]

    def found(self, request_id: str, user: User | AnonymousUser) -> list[tuple[Source, list[Found]]]:
        """Sources in which something has this id."""
        seen = ((source, list(source.find(request_id))) for source in self.sources if user.has_perm(source.permission))
        return [(source, found) for source, found in seen if found]


desk = Desk()


def load() -> None:
    """Let each app's `desk.py` say what it has; called once, when all apps are there."""
    autodiscover_modules("desk")
