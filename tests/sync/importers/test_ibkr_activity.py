"""What Interactive Brokers' statements say beyond their counts, in whatever language the account has."""

from decimal import Decimal

import pytest

from brokerhub.kernel.errors import HubError
from connections.brokers.records import AssetClass, ParkedRecord, TransactionKind, TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import FileRow, ParsedFile
from tests.sync.samples import fixture

K = TransactionKind
STATEMENT = fixture("ibkr-activity.csv").decode()
TRADES = (
    "Trades,Header,DataDiscriminator,Asset Category,Currency,Account,Symbol,Date/Time,Quantity,T. Price,Proceeds,"
    "Comm/Fee,Code\n"
)


def parse(text: str) -> ParsedFile:
    source = reader.read(text.encode())
    chosen, _ = importers.detect(source)
    assert chosen.key == "ibkr_activity"
    return chosen.parse(source)


def booked(row: FileRow) -> list[TransactionRecord]:
    found = [record for record in row.records if isinstance(record, TransactionRecord)]
    assert len(found) == len(row.records)
    return found


def of(kind: TransactionKind, parsed: ParsedFile) -> list[TransactionRecord]:
    return [record for row in parsed.rows for record in booked(row) if record.kind is kind]


def trade(*cells: str) -> TransactionRecord:
    """Category, symbol, quantity, price, proceeds, commission, codes."""
    category, symbol, quantity, price, proceeds, fee, code = cells
    what, paid = f"{category},USD,U1,{symbol}", f"{quantity},{price},{proceeds},{fee},{code}"
    (record,) = booked(parse(f'{TRADES}Trades,Data,Order,{what},"2026-03-09, 09:30:00",{paid}\n').rows[0])
    return record


def test_every_line_is_told_once() -> None:
    parsed = parse(STATEMENT)
    lines = sorted([row.line for row in parsed.rows] + [row.line for row in parsed.skipped])
    assert lines == list(range(1, len(STATEMENT.splitlines()) + 1))


def test_orders_are_read_and_their_single_trades_lots_and_totals_are_not() -> None:
    parsed = parse(STATEMENT)
    assert [record.quantity for record in (*of(K.BUY, parsed), *of(K.SELL, parsed))] == [20, -20, -2]
    reasons = {row.line: row.reason for row in parsed.skipped}
    assert {reasons[line] for line in (14, 15, 17)} == {"it is told by the orders"}
    assert {reasons[line] for line in (18, 19)} == {"it adds up other rows"}


def test_single_trades_are_read_where_there_are_no_orders() -> None:
    orders = "".join(line for line in STATEMENT.splitlines(True) if ",Order," not in line)
    assert [record.quantity for record in of(K.BUY, parse(orders))] == [15, 5]


def test_a_security_has_its_name_and_isin_from_the_statements_list() -> None:
    thing = of(K.BUY, parse(STATEMENT))[0].instrument
    assert thing is not None
    assert (thing.symbol, thing.isin, thing.name) == ("ACME.B", "US0000000001", "ACME CORP-CL B")


def test_the_cash_of_a_trade_is_its_proceeds_and_its_commission() -> None:
    bought = of(K.BUY, parse(STATEMENT))[0]
    assert (bought.gross_amount, bought.fees, bought.net_amount) == (Decimal(-200), Decimal(1), Decimal(-201))


def test_times_are_those_of_new_york_in_summer_and_in_winter() -> None:
    bought, delivered = of(K.BUY, parse(STATEMENT))[0], of(K.SELL, parse(STATEMENT))[0]
    assert [record.occurred_at.isoformat() for record in (bought, delivered) if record.occurred_at] == [
        "2026-03-09T13:30:00+00:00",
        "2026-04-01T20:20:00+00:00",
    ]
    assert delivered.subtype == "assignment"


def test_an_option_is_named_in_osi_form_and_expires_by_its_code() -> None:
    parsed = parse(STATEMENT)
    sold, expired = of(K.SELL, parsed)[1], of(K.OPTION_EXPIRATION, parsed)[0]
    assert sold.instrument is not None
    assert sold.instrument == expired.instrument
    assert (sold.instrument.symbol, sold.instrument.multiplier) == ("ACME  260717C00012500", 100)
    assert (expired.quantity, expired.net_amount) == (2, 0)


@pytest.mark.parametrize(
    ("cells", "kind", "subtype", "net"),
    [
        (("Stocks", "ACME", "-5", "10", "50", "-1", "O"), K.SELL, "short", "49"),
        (("Stocks", "ACME", "5", "10", "-50", "-1", "C"), K.BUY, "cover", "-51"),
        (("Stocks", "ACME", "5", "10", "-50", "-1", "C;O"), K.BUY, "", "-51"),
        (("Stocks", "ACME", "0.5", "10", "-5", "0", "O;R"), K.BUY, "reinvest", "-5"),
        (("Stocks", "ACME", "-5", "10", "50", "1", "Ca"), K.BUY, "cancelled", "51"),
        (("Equity and Index Options", "ACME 17JUL26 12 P", "1", "0", "0", "0", "A;C"), K.OPTION_ASSIGNMENT, "", "0"),
        (("Equity and Index Options", "ACME 17JUL26 12 P", "-1", "0", "0", "0", "C;Ex"), K.OPTION_EXERCISE, "", "0"),
        (("Futures", "ESH6", "1", "2793.75", '"-139,687.5"', "-2.05", "O"), K.BUY, "", "-2.05"),
        (("CFDs", "ACMEn", "-1", "10", "10", "-1", "O"), K.SELL, "short", "-1"),
    ],
)
def test_codes_tell_what_a_trade_was(cells: tuple[str, ...], kind: TransactionKind, subtype: str, net: str) -> None:
    record = trade(*cells)
    assert (record.kind, record.subtype, record.net_amount) == (kind, subtype, Decimal(net))


def test_a_bond_is_priced_per_hundred() -> None:
    record = trade("Bonds", "ACME 3 3/4 11/18/29", "2000", "99", "-1980", "-2", "O")
    assert record.instrument is not None
    assert (record.instrument.asset_class, record.instrument.multiplier) == (AssetClass.BOND, Decimal("0.01"))


def test_an_exchange_is_two_legs_and_its_commission_stays_in_the_accounts_currency() -> None:
    (row,) = (row for row in parse(STATEMENT).rows if len(row.records) > 1)
    legs = booked(row)
    assert [(leg.kind, leg.currency, leg.net_amount) for leg in legs] == [
        (K.FX, "USD", 130),
        (K.FX, "GBP", -100),
        (K.FEE, "EUR", -2),
    ]
    assert len({leg.group_id for leg in legs}) == 1


def test_a_stamp_duty_with_a_time_is_in_the_commission_already() -> None:
    parsed = parse(STATEMENT)
    assert [record.net_amount for record in of(K.TAX, parsed) if record.subtype == "transaction"] == [
        Decimal("-0.6"),
        Decimal("0.6"),
    ]
    assert "it is in the commission of its trade" in {row.reason for row in parsed.skipped}


def test_a_tax_of_an_earlier_year_is_kept() -> None:
    (tax,) = (record for record in of(K.TAX, parse(STATEMENT)) if record.subtype == "withholding")
    assert tax.traded_on.year == 2025


def test_dividends_name_their_security_with_or_without_a_blank() -> None:
    paid = of(K.DIVIDEND, parse(STATEMENT))
    assert {record.instrument.symbol for record in paid if record.instrument} == {"ACME.B"}
    assert [record.subtype for record in paid] == ["", "in_lieu"]


def test_the_two_rows_of_a_split_are_one_event_and_a_merger_pays_its_proceeds() -> None:
    parsed = parse(STATEMENT)
    before, after = of(K.SPLIT, parsed)
    assert before.group_id == after.group_id
    assert [(one.subtype, one.quantity, one.instrument and one.instrument.isin) for one in (before, after)] == [
        ("reverse", -100, "US0000000002"),
        ("reverse", 10, "US0000000003"),
    ]
    (merged,) = of(K.CORPORATE_ACTION, parsed)
    assert (merged.subtype, merged.quantity, merged.net_amount) == ("merger", -20, 100)


def test_units_come_in_and_go_out_by_transfer() -> None:
    parsed = parse(STATEMENT)
    assert [record.quantity for record in (*of(K.TRANSFER_IN, parsed), *of(K.TRANSFER_OUT, parsed))] == [7, -3]


def test_the_rows_are_held_against_the_cash_report() -> None:
    assert parse(STATEMENT).warnings == ()
    (warning,) = parse(STATEMENT.replace('"1,133.05"', '"1,131.05"')).warnings
    assert warning.startswith("By the Cash Report USD changed by 1031.05; the rows add up to 1033.05. Commissions on")


def test_rows_of_several_accounts_come_as_groups() -> None:
    row = 'Trades,Data,Order,Stocks,USD,{},ACME,"2026-03-09, 09:30:00",1,10,-10,0,O\n'
    parsed = parse(TRADES + row.format("U1") + row.format("U2") + row.format("U1"))
    assert {account: [one.line for one in rows] for account, rows in parsed.accounts.items()} == {
        "U1": [2, 4],
        "U2": [3],
    }
    assert parse(STATEMENT).accounts.keys() == {"U7700001"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("2026-01-05", "soon", "“soon” is not a date like 2025-12-31."),
        ("2026-01-05", "2099-01-05", "The date 2099-01-05 is in the future."),
        ("Transfer,700", "Transfer,lots", "“lots” is not a number."),
        ("Transfer,700", "Transfer,", "The row needs an amount."),
        ("17JUL26 12.5 C", "SOON", "“ACME SOON” is no option the hub can name."),
        ("GBP.USD", "GBPUSD", "“GBPUSD” is no exchange for USD."),
    ],
)
def test_a_row_that_cannot_be_read_is_parked_with_the_reason(old: str, new: str, reason: str) -> None:
    parsed = parse(STATEMENT.replace(old, new))
    parked = [record for record in parsed.records if isinstance(record, ParkedRecord)]
    assert {record.reason for record in parked} == {reason}
    assert len(parsed.rows) == len(parse(STATEMENT).rows)


SPANISH = """Statement,Header,Nombre del campo,Valor del campo
Statement,Data,Title,Informe de actividad
Información sobre la cuenta,Header,Nombre del campo,Valor del campo
Información sobre la cuenta,Data,Cuenta,U7700002
Valor liquidativo,Header,Clase de activo,Total previo
Valor liquidativo,Data,Efectivo,10
Operaciones,Header,DataDiscriminator,Categoría de activo,Divisa,Símbolo,Fecha/Hora,Cantidad,Productos,Tarifa/com.,Código
Operaciones,Data,Order,Acciones,EUR,ACME,"2026-03-09, 10:00:00",10,-50,-1,O
Dividendos,Header,Divisa,Fecha,Descripción,Cantidad
Dividendos,Data,EUR,2026-03-10,ACME(ES0000000001) Dividendo en efectivo,3
Dividendos,Data,Total Dividendos en EUR,,,3
"""


def test_a_spanish_statement_is_read_where_amounts_are_called_as_quantities_are() -> None:
    parsed = parse(SPANISH)
    assert [(row.account_hint, booked(row)[0].net_amount) for row in parsed.rows] == [
        ("U7700002", -51),
        ("U7700002", 3),
    ]
    assert parsed.warnings == ()


def test_accents_and_case_of_headings_do_not_matter() -> None:
    plain = (
        SPANISH.replace("Categoría", "CATEGORIA").replace("Operaciones", "OPERACIONES").replace("Símbolo", "simbolo")
    )
    assert [booked(row)[0].net_amount for row in parse(plain).rows] == [-51, 3]


def test_an_unknown_language_is_refused_whole_and_english_asked_for() -> None:
    polish = SPANISH.replace("Dividendos", "Dywidendy").replace("Divisa,Fecha,", "Waluta,Termin,")
    with pytest.raises(HubError, match=r"language the hub does not know: “Dywidendy”\. .*English"):
        parse(polish)


def test_an_unknown_section_in_a_known_language_is_named() -> None:
    added = STATEMENT + "Novelties,Header,Currency,Date,Amount\nNovelties,Data,USD,2026-01-01,5\n"
    assert parse(added).warnings == ("The hub does not know the section “Novelties”; its rows were not read.",)
