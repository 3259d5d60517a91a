"""What a row of a file is known by: neither its place in the file nor the balance after it, which both change."""

import csv
import io
import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from sync.models import RunState
from tests.aggregation.factories import a_connection, an_account
from tests.sync.samples import real_export
from tests.sync.test_imports import import_into

pytestmark = pytest.mark.django_db
few = settings(
    max_examples=3,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Lines before the first row, the column of the running balance, what divides the cells.
FILES = {
    "schwab-checking-2020.csv": (4, 6, ","),
    "swissquote-2022.csv": (1, 11, ";"),
    "robinhood-options-2020h2.csv": (1, None, ","),
}


@pytest.mark.parametrize("name", FILES)
@given(dice=st.randoms(use_true_random=False))
@few
def test_rows_in_another_order_with_other_running_balances_are_the_same_rows(
    name: str, person: User, dice: random.Random
) -> None:
    head, balance, divider = FILES[name]
    content = real_export(name).decode("utf-8-sig")
    rows = [row for row in csv.reader(io.StringIO(content), delimiter=divider) if row]
    before, after = rows[:head], rows[head:]
    dice.shuffle(after)
    if balance is not None:
        for row in after:
            if len(row) > balance and row[balance]:
                row[balance] = f"{dice.randint(1, 99_999)}.00"
    written = io.StringIO()
    csv.writer(written, delimiter=divider).writerows(before + after)
    account = an_account(a_connection(person))
    first = import_into(account, content.encode(), name)
    again = import_into(account, written.getvalue().encode(), f"again-{name}")
    assert (first.state, again.state) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert (again.inserted, again.superseded, again.matched) == (0, 0, first.inserted + first.matched)
    assert Transaction.objects.shown().filter(account=account).count() == first.inserted > 10
