"""Whatever happens in whatever order: the books end as if the deliveries that stand had come once, cleanly."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from aggregation import undoing
from aggregation.ledger import book
from aggregation.models import Source
from connections.brokers.records import RecordStatus, TransactionRecord
from connections.models import Account
from sync.models import Mode, SyncRun, Trigger
from tests.aggregation.factories import BND, a_record, an_account, the_books

DAY = date(2026, 3, 2)
CONTENTS = (a_record(), a_record(instrument=BND, net_amount=Decimal(-8)), a_record(net_amount=Decimal(-7)))
contents = st.integers(0, len(CONTENTS) - 1)


@dataclass
class Told:
    """One delivery: which run, what it told, and whether it stands."""

    run: SyncRun
    source: Source
    records: list[TransactionRecord]
    stands: bool = True


class Books(RuleBasedStateMachine):
    """The broker has four ids, whose rows it may correct, cancel or tell anew; files tell rows without ids."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.account: Account = an_account()
        self.told: list[Told] = []
        self.at_broker: dict[str, TransactionRecord] = {}

    def teardown(self) -> None:
        try:
            self.ends_as_one_clean_run()
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    def tell(self, source: Source, records: list[TransactionRecord]) -> None:
        run = SyncRun.objects.create(
            connection=self.account.connection, trigger=Trigger.IMPORT, mode=Mode.IMPORT, state="succeeded"
        )
        booked = book(account=self.account, records=records, source=source, run_id=run.pk)
        assert booked.fetched == len(records) == booked.inserted + booked.matched + booked.superseded
        if records:
            self.told.append(Told(run, source, records))

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

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def a_batch_once_more(self, data: st.DataObject) -> None:
        again = data.draw(st.sampled_from(self.told))
        self.tell(again.source, data.draw(st.permutations(again.records)) if again.source == "csv" else again.records)

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def undo_or_apply_again(self, data: st.DataObject) -> None:
        chosen = data.draw(st.sampled_from(self.told))
        (undoing.undo if chosen.stands else undoing.reapply)(chosen.run.pk)
        chosen.stands = not chosen.stands

    def ends_as_one_clean_run(self) -> None:
        clean = an_account(self.account.connection)
        for told in self.told:
            if told.stands:
                book(account=clean, records=told.records, source=told.source, run_id=None)
        assert the_books(self.account) == the_books(clean)

    @invariant()
    def an_id_stands_once(self) -> None:
        current = self.account.transactions.current().exclude(external_id="").values_list("external_id", flat=True)
        assert len(set(current)) == len(current)


def run_machine(examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    run_state_machine_as_test(Books, settings=chosen)


@pytest.mark.django_db
def test_any_interleaving_ends_in_the_same_books_as_one_clean_run():
    run_machine(25, 12)


@pytest.mark.endurance
@pytest.mark.django_db
def test_any_interleaving_ten_thousand_times():
    run_machine(10_000, 20)
