"""What every tabular format can rely on: where the table is, how it prints dates and numbers, what is asked."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from connections.brokers.records import ParkedRecord, TransactionKind, TransactionRecord
from sync import importers
from sync.importers import dates, numbers, reader
from sync.importers.base import Choices, FileNotRead, ParsedFile
from sync.importers.rules import BUY, DIVIDEND, FEE, SELL, Rule, Sign, by_word
from sync.importers.tabular import Columns, TabularFormat

K = TransactionKind


class Plain(TabularFormat):
    """A format made up for these tests: unsigned amounts, and nothing said about dates and decimals."""

    key = "plain"
    label = "Plain, everything"
    institution = "Plain"
    signature = frozenset({"day", "what", "sum"})
    columns = Columns(
        date="day",
        word="what",
        symbol="share",
        quantity="units",
        amount="sum",
        fees=("fee", "levy"),
        currency="money",
        id="number",
        account="account",
    )
    rules = by_word(
        {"buy": BUY, "sell": SELL, "dividend": DIVIDEND, "fee": FEE, "gift": Rule(K.OTHER, Sign.PRINTED, cash=False)}
    )
    currency = "EUR"
    date_order = ""
    decimal = ""
    signed = False
    footers = ("the end",)


HEADER = "Day;What;Share;Units;Sum;Fee;Levy;Money;Number;Account\n"


def parse(*rows: str, choices: Choices | None = None, header: str = HEADER) -> ParsedFile:
    source = reader.read((header + "\n".join(rows)).encode())
    return Plain().parse(source, choices or Choices())


def booked(parsed: ParsedFile) -> list[TransactionRecord]:
    found = [record for record in parsed.records if isinstance(record, TransactionRecord)]
    assert len(found) == len(parsed.records)
    return found


def test_one_number_over_twelve_settles_the_dates_of_the_whole_file() -> None:
    parsed = parse("05/03/2026;fee;;;1", "13/03/2026;fee;;;1")
    assert [record.traded_on for record in booked(parsed)] == [date(2026, 3, 5), date(2026, 3, 13)]
    assert parsed.questions == ()
    parsed = parse("05/03/2026;fee;;;1", "03/13/2026;fee;;;1")
    assert [record.traded_on for record in booked(parsed)] == [date(2026, 5, 3), date(2026, 3, 13)]


@pytest.mark.parametrize(
    ("second", "examples"),
    [("04/05/2026", ("05/03/2026", "04/05/2026")), ("06/06/2026", ("05/03/2026",))],
)
def test_dates_that_could_be_either_are_asked_with_examples(second: str, examples: tuple[str, ...]) -> None:
    (question,) = parse("05/03/2026;fee;;;1", f"{second};fee;;;1").questions
    assert (question.about, question.examples) == ("date_order", examples)
    assert question.options == (("dmy", "05 March 2026"), ("mdy", "03 May 2026"))


def test_dates_that_contradict_each_other_are_asked_too() -> None:
    (question,) = parse("13/03/2026;fee;;;1", "03/13/2026;fee;;;1").questions
    assert question.examples == ("13/03/2026", "03/13/2026")


def test_the_answer_is_taken() -> None:
    parsed = parse("05/03/2026;fee;;;1,5", choices=Choices(date_order="dmy", decimal=","))
    assert [(record.traded_on, record.net_amount) for record in booked(parsed)] == [(date(2026, 3, 5), Decimal("-1.5"))]
    assert parsed.questions == ()


def test_dates_nobody_can_misread_are_not_asked_about() -> None:
    parsed = parse("2026-03-05;fee;;;1", "5 Mar 2026;fee;;;1", "05-MAR-2026;fee;;;1", "20260305;fee;;;1")
    assert {record.traded_on for record in booked(parsed)} == {date(2026, 3, 5)}
    assert parsed.questions == ()


@pytest.mark.parametrize(
    ("printed", "amount"),
    [("1.234,56", "1234.56"), ("1,234.56", "1234.56"), ("12,5", "12.5"), ("1.234.567", "1234567"), ("0.125", "0.125")],
)
def test_the_numbers_tell_which_mark_is_the_decimal_one(printed: str, amount: str) -> None:
    parsed = parse(f"2026-03-05;dividend;;;{printed}")
    assert [record.net_amount for record in booked(parsed)] == [Decimal(amount)]
    assert parsed.questions == ()


def test_numbers_that_could_be_either_are_asked_with_examples() -> None:
    (question,) = parse("2026-03-05;dividend;;;1.234", "2026-03-05;dividend;;;5").questions
    assert (question.about, question.examples) == ("decimal", ("1.234",))
    assert question.options == ((".", "1.234 is 1.234"), (",", "1.234 is 1\N{NARROW NO-BREAK SPACE}234"))


def test_in_a_file_with_both_marks_each_number_speaks_for_itself() -> None:
    rows = parse("2026-03-05;fee;;;1.234,56", "2026-03-05;fee;;;1,234.56", "2026-03-05;fee;;;1.234").rows
    first, second, third = (row.records[0] for row in rows)
    assert isinstance(first, TransactionRecord)
    assert isinstance(second, TransactionRecord)
    assert first.net_amount == second.net_amount == Decimal("-1234.56")
    assert isinstance(third, ParkedRecord)
    assert third.reason == "“1.234” may have thousands or decimals."


def test_amounts_without_a_sign_get_it_from_their_kind_and_a_mere_value_is_no_cash() -> None:
    parsed = parse("2026-03-05;buy;X;2;10", "2026-03-05;sell;X;2;10", "2026-03-05;gift;X;1;99")
    assert [(record.quantity, record.net_amount) for record in booked(parsed)] == [(2, -10), (-2, 10), (1, 0)]


def test_all_columns_of_fees_are_added_up() -> None:
    (record,) = booked(parse("2026-03-05;sell;X;2;10;0.25;0.5"))
    assert (record.fees, record.net_amount, record.gross_amount) == (Decimal("0.75"), 10, Decimal("10.75"))


def test_every_row_is_in_the_result_once_with_its_line_and_account() -> None:
    parsed = parse(
        '2026-03-05;fee;"two\nlines";;1;;;;;A',
        "",
        "2026-03-06;dance;;;3;;;;;B",
        "nonsense;fee;;;1;;;;;A",
        "The end;of it",
        "2026-03-07;fee;;;1",
    )
    assert [(row.line, row.account_hint) for row in parsed.rows] == [(2, "A"), (5, "B"), (6, "A")]
    assert [(row.line, row.reason) for row in parsed.skipped] == [(7, "footer"), (8, "footer")]
    assert {hint: len(rows) for hint, rows in parsed.accounts.items()} == {"A": 2, "B": 1}
    assert parsed.rows[1].warnings == ("“dance” is not a word the hub knows; the row is kept as “other”.",)


def test_a_row_printed_twice_with_the_same_id_is_one_and_the_same_id_for_another_row_waits() -> None:
    row, other = "2026-03-05;fee;;;1;;;;77;A", "2026-03-05;fee;;;2;;;;77;A"
    parsed = parse(row, row, other)
    assert [type(line.records[0]) for line in parsed.rows] == [TransactionRecord, ParkedRecord]
    assert parsed.skipped[0].reason == "the same row as in line 2, with the same id"
    assert parsed.rows[1].records[0].reason == "The id “77” is that of another row too, in line 2."  # type: ignore[union-attr]


def test_rows_without_an_id_are_never_taken_for_each_other() -> None:
    assert len(parse("2026-03-05;fee;;;1", "2026-03-05;fee;;;1").rows) == 2


def test_a_row_without_a_currency_takes_the_formats_and_an_odd_one_is_parked() -> None:
    first, second = parse("2026-03-05;fee;;;1;;;chf", "2026-03-05;fee;;;1;;;francs").rows
    assert first.records[0].currency == "CHF"  # type: ignore[union-attr]
    assert second.records[0].reason == "“FRANCS” is no currency."  # type: ignore[union-attr]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_copy_saved_with_another_delimiter_is_found_all_the_same(delimiter: str) -> None:
    header = "Preamble\n\n" + HEADER.replace(";", delimiter)
    row = "2026-03-05;fee;;;1".replace(";", delimiter)
    assert Plain().detect(reader.read((header + row).encode())) is not None
    assert len(parse(row, header=header).rows) == 1


def test_another_file_is_refused_by_a_format_that_is_forced_on_it() -> None:
    with pytest.raises(FileNotRead, match="lacks columns of that export"):
        parse("1;2", header="a;b\n")


def test_a_good_file_is_not_damned_by_a_delimiter_that_is_not_its_own() -> None:
    text = "Date,Details,Amount,Balance\n01/04/2026,Deposit" + ";" * 500 + ",5,5\n"
    assert importers.detect(reader.read(text.encode()))[0].key == "vanguard_uk"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-05T14:05:06.123456Z", datetime(2026, 3, 5, 14, 5, 6, 123456, UTC)),
        ("2026-03-05 14:05:06 UTC", datetime(2026, 3, 5, 14, 5, 6, 0, UTC)),
        ("2026-03-05T14:05:06+02:00", datetime(2026, 3, 5, 12, 5, 6, 0, UTC)),
        ("06/10/2026 09:30:05 EDT", datetime(2026, 6, 10, 13, 30, 5, 0, UTC)),
        ("06/10/2026 9:30:05 PM EST", datetime(2026, 6, 11, 1, 30, 5, 0, UTC)),
        ("06/10/2026 09:30", None),  # on whose clock?
        ("06/10/2026", None),
    ],
)
def test_moments_are_told_in_utc(text: str, moment: datetime | None) -> None:
    assert dates.parse_moment(text) == moment


@pytest.mark.parametrize("text", ["06/10/2026 25:00", "06/10/2026 09:30 XYZ"])
def test_an_impossible_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has no time like"):
        dates.parse_moment(text)


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("140S", ".", "-140"),
        ("0.5s", ".", "-0.5"),
        ("1.259,59", ",", "1259.59"),
        ("1'259.59", ".", "1259.59"),
        ("USD 12.50", ".", "12.50"),
        ("12,50 EUR", ",", "12.50"),
        ("\N{MINUS SIGN}3", ".", "-3"),
        ("-£5.20", ".", "-5.20"),
    ],
)
def test_quantities_and_amounts_of_many_brokers(text: str, decimal: str, number: str) -> None:
    assert numbers.parse_quantity(text, decimal) == Decimal(number)


def test_the_separator_of_an_unknown_file_is_the_one_that_splits_it_evenly() -> None:
    assert reader.likely_delimiter("a;b;c\n1,5;2;3\n1,6;2;3\n") == ";"
    assert reader.likely_delimiter("a\tb\n1\t2\n") == "\t"
    assert reader.likely_delimiter("a,b\n1,2\n") == ","
