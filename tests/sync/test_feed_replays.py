"""Whoever replays the feed of changes has what the hub shows, whatever happened and however they page."""

from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from aggregation import edits, review
from aggregation.models import BookStatus, PossibleDuplicate, Transaction
from brokerhub.kernel.errors import NotAllowed
from sync.changes import Cursor, Page, page_after
from tests.aggregation.test_any_order import Books


class Reader:
    """A program that keeps a copy: it puts rows in by their id, takes removed ones out, and keeps the cursor."""

    def __init__(self, user: Any) -> None:
        self.user, self.cursor = user, ""
        self.rows: dict[int, tuple[Any, ...]] = {}

    def read(self, limit: int) -> Page:
        page = page_after(self.user, Cursor.read(self.cursor) if self.cursor else Cursor(), limit=limit)
        told = [row.pk for row in page.added + page.modified] + page.removed
        assert len(told) == len(set(told)) <= limit, "a change comes once"
        self.rows |= {row.pk: facts(row) for row in page.added + page.modified}
        for gone in page.removed:
            self.rows.pop(gone, None)
        self.cursor = page.next_cursor
        return page

    def follow(self, limit: int = 500) -> list[Page]:
        pages = [self.read(limit)]
        while pages[-1].has_more:
            pages.append(self.read(limit))
        return pages


def facts(row: Transaction) -> tuple[Any, ...]:
    return row.status, row.stated, row.net_amount, row.part_of_id, row.superseded_by_id


class ReplayedBooks(Books):
    """The rules of `Books`, what people do to rows, one reader who looks after every step, and one who rarely does."""

    @initialize()
    def readers_come(self) -> None:
        self.steady, self.rare = (Reader(self.account.connection.user) for _ in range(2))

    def some_row(self, data: st.DataObject, *statuses: str) -> Transaction | None:
        rows = list(Transaction.objects.filter(account=self.account, status__in=statuses, part_of=None).order_by("pk"))
        return data.draw(st.sampled_from(rows)) if rows else None

    @rule(data=st.data())
    def a_person_excludes_or_brings_back(self, data: st.DataObject) -> None:
        row = self.some_row(data, BookStatus.POSTED, BookStatus.EXCLUDED)
        if row is not None:
            act = edits.bring_back if row.status == BookStatus.EXCLUDED else edits.exclude
            act(row, user=self.account.connection.user)

    @rule(data=st.data())
    def a_person_splits_or_joins(self, data: st.DataObject) -> None:
        row, user = self.some_row(data, BookStatus.POSTED, BookStatus.SPLIT), self.account.connection.user
        if row is not None and row.status == BookStatus.SPLIT:
            edits.join(row, user=user)
        elif row is not None:
            parts = [
                edits.Part(net_amount=row.net_amount - 1, quantity=row.quantity),
                edits.Part(net_amount=row.net_amount * 0 + 1),
            ]
            edits.split(row, parts, user=user)

    @rule(data=st.data())
    def a_person_decides_about_a_pair(self, data: st.DataObject) -> None:
        pairs = list(PossibleDuplicate.objects.filter(account=self.account).order_by("pk"))
        if pairs:
            pair, act = data.draw(st.sampled_from(pairs)), data.draw(st.sampled_from([review.merge, review.reopen]))
            try:
                with transaction.atomic():
                    act(pair, user=self.account.connection.user)
            except NotAllowed:
                return  # as a page would say

    @precondition(lambda self: hasattr(self, "rare"))
    @rule(limit=st.integers(1, 4), to_the_end=st.booleans())
    def the_rare_reader_looks(self, limit: int, to_the_end: bool) -> None:
        if to_the_end:
            self.rare.follow(limit)
            assert self.rare.rows == self.shown()
        else:
            self.rare.read(limit)

    def shown(self) -> dict[int, tuple[Any, ...]]:
        return {row.pk: facts(row) for row in Transaction.objects.filter(account=self.account).shown()}

    @invariant()
    def the_steady_reader_has_what_is_shown(self) -> None:
        if not hasattr(self, "steady"):
            return
        had = set(self.steady.rows)
        pages = self.steady.follow()
        assert self.steady.rows == self.shown()
        assert all(not page.added or {row.pk for row in page.added}.isdisjoint(had) for page in pages)
        assert all(set(page.removed) <= had for page in pages), "what is removed was there"
        assert self.steady.follow()[0].next_cursor == self.steady.cursor
        assert self.steady.read(1).removed == []

    def ends_as_one_clean_run(self) -> None:
        if hasattr(self, "rare"):
            self.rare.follow(2)
            assert self.rare.rows == self.shown()
            anew = Reader(self.account.connection.user)
            anew.follow(3)
            assert anew.rows == self.shown()


@pytest.mark.django_db
def test_who_replays_the_feed_has_what_the_hub_shows() -> None:
    chosen = settings(
        max_examples=8,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    run_state_machine_as_test(ReplayedBooks, settings=chosen)
