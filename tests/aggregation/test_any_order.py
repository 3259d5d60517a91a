"""Whatever happens in whatever order: the books end as after one clean run.

A clean run is: every delivery told once, in its order, into an empty account; beside it what people decided of the same
rows, in the words each row is known by; then taken back what does not stand. Equal rows are interchangeable, so once
people have decided about rows the books are compared by what counts, not by which of two equal rows it is.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from aggregation import edits, near_matches, review, staging, standing, undoing
from aggregation.ledger import book
from aggregation.models import PAST, BookStatus, Delivery, PossibleDuplicate, Source, Transaction, UserEdit
from aggregation.review_models import Decision
from connections.brokers.records import RecordStatus, TransactionRecord
from connections.models import Account
from sync.models import Mode, SyncRun, Trigger
from tests.aggregation.factories import BND, a_record, an_account, the_books

CONTENTS = (
    a_record(),
    a_record(instrument=BND, net_amount=Decimal(-8)),
    a_record(net_amount=Decimal(-7)),
    a_record(traded_on=date(2026, 3, 3)),  # the first one, a day later
    a_record(quantity=Decimal(20), net_amount=Decimal("-3605.00"), gross_amount=None),  # two of the first one
)
contents = st.integers(0, len(CONTENTS) - 1)
POINTS = (
    (staging.Batch, "add"),
    (staging, "classify"),
    (staging, "write"),
    (standing, "uphold"),
    (near_matches, "answer"),
    (near_matches, "find"),
)


class KilledError(Exception):
    """The process ends here; what it had not committed is gone."""


@dataclass
class Told:
    """One delivery: which run, what it told, and whether it stands."""

    run: SyncRun
    source: Source
    records: list[TransactionRecord]
    stands: bool = True


def a_run(account: Account) -> SyncRun:
    return SyncRun.objects.create(
        connection=account.connection, trigger=Trigger.IMPORT, mode=Mode.IMPORT, state="succeeded"
    )


class Books(RuleBasedStateMachine):
    """The broker has four ids, whose rows it may correct, cancel or tell anew; files tell rows with ids and without."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.account: Account = an_account()
        self.user = self.account.connection.user
        self.told: list[Told] = []
        self.at_broker: dict[str, TransactionRecord] = {}

    def teardown(self) -> None:
        try:
            if not connection.needs_rollback:  # after an error of the database that error tells more
                self.ends_as_one_clean_run()
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    def tell(self, source: Source, records: list[TransactionRecord]) -> None:
        run = a_run(self.account)
        booked = book(account=self.account, records=records, source=source, run_id=run.pk)
        assert booked.fetched == len(records) == booked.inserted + booked.matched + booked.superseded
        if records:
            self.told.append(Told(run, source, records))

    # --- What is told -------------------------------------------------------------------------------------------------
    @rule(number=st.integers(1, 4), content=contents, status=st.sampled_from(list(RecordStatus)))
    def the_broker_changes_its_mind(self, number: int, content: int, status: RecordStatus) -> None:
        self.at_broker[str(number)] = replace(CONTENTS[content], external_id=str(number), status=status)

    @rule(data=st.data())
    def a_page(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from("1234"), max_size=6))
        self.tell(Source.API, [self.at_broker[number] for number in ids if number in self.at_broker])

    @rule(rows=st.lists(contents, max_size=5))
    def a_file(self, rows: list[int]) -> None:
        self.tell(Source.CSV, [CONTENTS[row] for row in rows])

    @rule(rows=st.lists(st.tuples(contents, st.sampled_from(["", "f1", "f2", "1"])), max_size=4))
    def a_file_with_ids_on_some_rows(self, rows: list[tuple[int, str]]) -> None:
        self.tell(Source.CSV, [replace(CONTENTS[row], external_id=name) for row, name in rows])

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def a_batch_once_more(self, data: st.DataObject) -> None:
        again = data.draw(st.sampled_from(self.told))
        names = [record.external_id for record in again.records if record.external_id]
        may_turn = again.source == "csv" and len(set(names)) == len(names)  # an id told twice: the last one counts
        self.tell(again.source, data.draw(st.permutations(again.records)) if may_turn else again.records)

    @rule(rows=st.lists(contents, min_size=1, max_size=4), point=st.sampled_from(POINTS))
    def a_worker_is_killed_and_tries_again(self, rows: list[int], point: tuple[Any, str]) -> None:
        before, records = self.all_there_is(), [CONTENTS[row] for row in rows]
        with patch.object(*point, dies_after(getattr(*point))), pytest.raises(KilledError), transaction.atomic():
            book(account=self.account, records=[a_record("killed"), *records], source=Source.CSV, run_id=None)
        assert self.all_there_is() == before
        self.tell(Source.CSV, records)

    def all_there_is(self) -> list[list[dict[str, Any]]]:
        models: tuple[Any, ...] = (Transaction, Delivery, UserEdit, PossibleDuplicate)
        return [list(model.objects.filter(account=self.account).order_by("pk").values()) for model in models]

    # --- What is done about it ----------------------------------------------------------------------------------------
    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def undo_or_apply_again(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(self.told))
        (undoing.undo if chosen.stands else undoing.reapply)(chosen.run.pk)
        chosen.stands = not chosen.stands

    @rule(data=st.data())
    def a_person_edits_a_row(self, data: st.DataObject) -> None:
        rows = list(self.account.transactions.shown().order_by("pk"))
        if not rows:
            return
        row = data.draw(st.sampled_from(rows))
        if row.status == BookStatus.EXCLUDED:
            edits.bring_back(row, user=self.user)
        elif row.status in edits.LIVING and data.draw(st.booleans()):
            edits.exclude(row, user=self.user)
        else:
            edits.annotate(row, user=self.user, note="mine")

    @rule(data=st.data())
    def a_person_answers_a_question(self, data: st.DataObject) -> None:
        waiting = list(PossibleDuplicate.objects.waiting().filter(account=self.account).for_list())
        if not waiting:
            return
        question = data.draw(st.sampled_from(waiting))
        if data.draw(st.booleans()):
            review.merge(question, user=self.user, keep=data.draw(st.sampled_from(question.rows)))
        else:
            review.keep_both(question, user=self.user)

    @rule(data=st.data())
    def a_person_takes_an_answer_back(self, data: st.DataObject) -> None:
        decided = list(PossibleDuplicate.objects.decided().filter(account=self.account).order_by("pk"))
        if decided:
            review.reopen(data.draw(st.sampled_from(decided)), user=self.user)

    # --- What must hold -----------------------------------------------------------------------------------------------
    def ends_as_one_clean_run(self) -> None:
        clean = an_account(self.account.connection)
        runs = []
        for told in self.told:
            runs.append(a_run(clean))
            book(account=clean, records=told.records, source=told.source, run_id=runs[-1].pk)
        has_decided = copy_decisions(self.account, clean)
        for told, run in zip(self.told, runs, strict=True):
            if not told.stands:
                undoing.undo(run.pk)
        if has_decided:
            assert what_counts(self.account) == what_counts(clean)
        else:
            assert the_books(self.account) == the_books(clean)

    @invariant()
    def an_id_stands_once(self) -> None:
        current = self.account.transactions.current().filter(part_of=None).exclude(external_id="")
        names = list(current.values_list("source", "external_id"))
        assert len(set(names)) == len(names)

    @invariant()
    def what_is_no_duplicate_of_anything_is_none(self) -> None:
        proofs = self.account.transactions.filter(status=BookStatus.DUPLICATE)
        assert not proofs.filter(superseded_by=None).exists()
        assert not proofs.filter(superseded_by__status=BookStatus.UNDONE).exists()


def dies_after(work: Callable[..., Any]) -> Callable[..., Any]:
    def working(*args: Any, **named: Any) -> Any:
        work(*args, **named)
        raise KilledError

    return working


def what_counts(account: Account) -> Counter[tuple[Any, ...]]:
    rows = account.transactions.in_books().values_list("kind", "traded_on", "instrument__key", "quantity", "net_amount")
    return Counter(tuple(row) for row in rows)


def known_as(row: Transaction) -> tuple[Any, ...]:
    """What a row is called by in its own source."""
    return (row.source, row.external_id) if row.external_id else (row.source, bytes(row.content_key), row.occurrence)


def copy_decisions(account: Account, clean: Account) -> bool:
    """Put the edits and decisions of `account` beside the same rows of `clean`; whether there are any."""
    same = {known_as(row): row for row in clean.transactions.exclude(status__in=PAST)}
    edited = list(UserEdit.objects.filter(account=account).select_related("transaction"))
    decided = PossibleDuplicate.objects.filter(account=account).exclude(decision=Decision.OPEN)
    PossibleDuplicate.objects.filter(account=clean).delete()
    for edit in sorted(edited, key=lambda edit: edit.transaction.status not in PAST):
        # An edit that could not go on, because the next version had one of its own, is left behind for good.
        UserEdit.objects.update_or_create(
            transaction=same[known_as(edit.transaction)],
            defaults={"account": clean, "note": edit.note, "is_excluded": edit.is_excluded},
        )
    leaders: dict[int | None, PossibleDuplicate | None] = {None: None}
    asked: set[frozenset[int]] = set()
    named = decided.select_related("first", "second", "kept", "whole").order_by("pk")
    for pair in sorted(named, key=lambda pair: pair.first.status in PAST or pair.second.status in PAST):
        first, second, kept, whole = (
            same[known_as(row)] if row else None for row in (pair.first, pair.second, pair.kept, pair.whole)
        )
        assert first is not None
        assert second is not None
        both = frozenset((first.pk, second.pk))
        # A question about a row and its own later version, or one that could not go on because the next versions had
        # been asked about as well, is left behind for good.
        if len(both) == 1 or both in asked:
            continue
        asked.add(both)
        leaders[pair.pk] = PossibleDuplicate.objects.create(
            account=clean,
            first=min(first, second, key=lambda row: row.pk),
            second=max(first, second, key=lambda row: row.pk),
            reasons=pair.reasons,
            decision=pair.decision,
            kept=kept,
            whole=whole,
            leader=leaders.get(pair.leader_id),
        )
    with connection.cursor() as cursor:
        standing.uphold(cursor, clean.pk)
    return bool(edited) or len(leaders) > 1


def run_machine(machine: type[Books], examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
        database=None,
    )
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.django_db
def test_any_interleaving_ends_in_the_same_books_as_one_clean_run():
    run_machine(Books, 15, 12)


@pytest.mark.endurance
@pytest.mark.django_db(transaction=True)  # each example has its own: the locks of temporary tables stay until its end
@pytest.mark.parametrize("part", range(40))
def test_any_interleaving_ten_thousand_times(part: int) -> None:
    run_machine(seed(part)(type("Books", (Books,), {})), 250, 20)
