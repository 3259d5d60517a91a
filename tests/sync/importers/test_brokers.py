"""What the exports of single brokers say beyond their counts: signs, contracts, words, accounts."""

from datetime import date
from decimal import Decimal

import pytest

from connections.brokers.records import AssetClass, ParkedRecord, TransactionKind, TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import FileNotRead, ParsedFile

K = TransactionKind


def parse(text: str, key: str) -> ParsedFile:
    source = reader.read(text.encode())
    chosen, _ = importers.detect(source)
    assert chosen.key == key
    return chosen.parse(source)


def only(parsed: ParsedFile) -> TransactionRecord:
    (record,) = parsed.records
    assert isinstance(record, TransactionRecord), record.reason
    return record


# --- Robinhood --------------------------------------------------------------------------------------------------------
ROBINHOOD = "Activity Date,Process Date,Settle Date,Instrument,Description,Trans Code,Quantity,Price,Amount\n"


def robinhood(code: str, text: str, quantity: str = "", amount: str = "", symbol: str = "KO") -> ParsedFile:
    return parse(
        ROBINHOOD + f'6/10/2026,6/10/2026,6/11/2026,{symbol},"{text}",{code},{quantity},,{amount}\n', "robinhood"
    )


@pytest.mark.parametrize(
    ("code", "quantity", "amount", "kind", "units"),
    [
        ("BTO", "2", "($10.00)", K.BUY, 2),
        ("STO", "2", "$10.00", K.SELL, -2),
        ("OEXP", "2", "", K.OPTION_EXPIRATION, 2),
        ("OEXP", "2S", "", K.OPTION_EXPIRATION, -2),
        ("OASGN", "2", "", K.OPTION_ASSIGNMENT, 2),
        ("OEXCS", "2", "", K.OPTION_EXERCISE, -2),
        ("OCA", "2S", "", K.CORPORATE_ACTION, -2),
    ],
)
def test_robinhoods_option_rows_name_the_contract_in_the_text(
    code: str, quantity: str, amount: str, kind: TransactionKind, units: int
) -> None:
    record = only(robinhood(code, "Option Expiration for KO 6/12/2026 Put $62.50", quantity, amount))
    assert record.instrument is not None
    assert (record.kind, record.quantity, record.instrument.symbol) == (kind, units, "KO    260612P00062500")
    assert record.settled_on == date(2026, 6, 11)


def test_an_option_row_that_names_no_contract_is_parked() -> None:
    (record,) = robinhood("BTO", "KO something", "1", "($10.00)").records
    assert isinstance(record, ParkedRecord)
    assert record.reason == "“KO something” names no option."


def test_the_lines_of_robinhoods_text_are_name_cusip_and_note() -> None:
    record = only(robinhood("Buy", "Coca-Cola\nCUSIP: 191216100\nDividend Reinvestment", "1.5", "($90.00)"))
    assert record.instrument is not None
    assert (record.instrument.name, record.instrument.cusip) == ("Coca-Cola", "191216100")
    assert (record.subtype, record.description) == ("reinvest", "Coca-Cola CUSIP: 191216100 Dividend Reinvestment")
    assert only(robinhood("Sell", "KO\nCUSIP: 191216100\n1 KO Option Assigned", "1", "$6")).subtype == "assignment"


def test_the_fee_for_an_instant_withdrawal_is_a_fee() -> None:
    assert only(robinhood("RTP", "Instant bank transfer - withdrawal fee", amount="($8.76)", symbol="")).kind is K.FEE
    assert only(robinhood("RTP", "Instant bank transfer", amount="($500.00)", symbol="")).kind is K.WITHDRAWAL


def test_a_purchase_that_brings_money_is_booked_with_a_doubt() -> None:
    (row,) = robinhood("BTO", "KO 6/12/2026 Call $62.50", "1", "$110.00").rows
    assert row.warnings == ("Units and money go the same way. Is the sign of the amount right?",)


def test_robinhoods_files_before_2019_are_asked_about_when_no_day_is_over_twelve() -> None:
    header = "Type,Trade Date,Settle Date,Symbol,Description,Trade Action,Qty,Price,Net Amount\n"
    row = "TRADES,05/12/2016,08/12/2016,SPY,SPDR S&P 500 ETF --- UNSOLICITED,SELL,-4,221.19,884.75\n"
    (question,) = parse(header + row, "robinhood_before_2019").questions
    assert question.about == "date_order"
    later = "MONEY_MOVEMENTS,31/01/2017,31/01/2017,,GOLD FEE,,,0,-10\n"
    sale, fee = parse(header + row + later, "robinhood_before_2019").records
    assert isinstance(sale, TransactionRecord)
    assert isinstance(fee, TransactionRecord)
    assert (sale.traded_on, sale.quantity, fee.kind) == (date(2016, 12, 5), -4, K.FEE)


# --- Fidelity ---------------------------------------------------------------------------------------------------------
FIDELITY = (
    "\n\nRun Date,Action,Symbol,Description,Type,Quantity,Price ($),Commission ($),Fees ($),Amount ($),"
    "Settlement Date\n"
)


def fidelity(action: str, symbol: str, quantity: str, amount: str, name: str = "X") -> TransactionRecord:
    return only(
        parse(FIDELITY + f"06/10/2026, {action}, {symbol},{name},Cash,{quantity},,4.95,0.08,{amount},\n", "fidelity")
    )


def test_fidelitys_prose_begins_with_the_word_and_may_end_with_the_day_it_counts_for() -> None:
    record = fidelity("FOREIGN TAX PAID as of 05/12/2026", "TM", "", "-8.76")
    assert (record.kind, record.traded_on, record.settled_on) == (K.TAX, date(2026, 5, 12), date(2026, 6, 10))
    assert fidelity("YOU SOLD SHORT X", "TM", "-5", "50").subtype == "short"
    assert fidelity("YOU SOLD X", "TM", "-5", "50").fees == Decimal("5.03")


def test_fidelitys_options_begin_with_a_minus_sign_and_its_bonds_are_face_value() -> None:
    option = fidelity("YOU BOUGHT OPENING TRANSACTION", "-SPY260125C260.5", "4", "-90").instrument
    bond = fidelity("YOU BOUGHT", "978928WR4", "10000", "-9900", "US TREAS NTS 1.62500% 05/30/2028").instrument
    assert option is not None
    assert (option.asset_class, option.symbol) == (AssetClass.OPTION, "SPY   260125C00260500")
    assert bond is not None
    assert (bond.asset_class, bond.multiplier) == (AssetClass.BOND, Decimal("0.01"))


# --- Vanguard ---------------------------------------------------------------------------------------------------------
VANGUARD = (
    "Account Number,Trade Date,Settlement Date,Transaction Type,Transaction Description,Investment Name,Symbol,Shares,"
    "Share Price,Principal Amount,Commission Fees,Net Amount,Accrued Interest,Account Type,\n"
)


def test_the_second_table_is_found_below_more_holdings_than_a_preamble_has_rows() -> None:
    held = "1,FUND,VTI,1,1,1,\n" * 60
    text = f"Account Number,Investment Name,Symbol,Shares,Share Price,Total Value,\n{held}\n\n{VANGUARD}"
    row = "1,06/10/2026,06/11/2026,Buy,Buy,X,VTI,2,10,-20,0,-20,0,Cash,\n"
    parsed = parse(text + row, "vanguard_us")
    assert (only(parsed).quantity, parsed.rows[0].line) == (2, 65)


def test_a_treasury_bill_without_a_symbol_is_the_same_thing_in_all_its_rows() -> None:
    names = (
        "U S TREASURY BILL CPN  0.00 % MTD 2027-04-10 DTD 2026-08-14",
        "U S TREASURY BILL 2027-04-10 DTD 2026-08-14",
    )
    rows = [f"1,06/10/2026,06/11/2026,Buy,Buy,{name},,5000,99,-4950,0,-4950,0,Cash,\n" for name in names]
    bills = [only(parse(VANGUARD + row, "vanguard_us")).instrument for row in rows]
    assert {bill.symbol for bill in bills if bill} == {"T-BILL-2027-04-10"}


def test_vanguard_uk_tells_trades_in_a_sentence() -> None:
    header = "Cash Transactions\nDate,Details,Amount,Balance\n"
    rows = (
        '13/06/2026,"Bought 1,550 Foo ETF Distributing (FOO)",-14982.06,1\n'
        "13/06/2026,Sold .9232 U.S. Equity Index Fund - Accumulation,400,2\n"
        "13/06/2026,Reversal of DIV: FOO.XLON.GB @ GBP 0.3106,-170.83,3\n"
        "13/06/2026,Bought something,-1,3\n"
        "Investment Transactions\nDate,InvestmentName,TransactionDetails,Quantity\n"
    )
    parsed = parse(header + rows, "vanguard_uk")
    buy, sale, reversal, odd = parsed.records
    assert isinstance(buy, TransactionRecord)
    assert isinstance(sale, TransactionRecord)
    assert isinstance(reversal, TransactionRecord)
    assert isinstance(odd, ParkedRecord)
    assert (buy.quantity, buy.currency, buy.instrument and buy.instrument.symbol) == (1550, "GBP", "FOO")
    assert (sale.quantity, sale.instrument and sale.instrument.asset_class) == (Decimal("-0.9232"), AssetClass.FUND)
    assert (reversal.kind, reversal.net_amount) == (K.DIVIDEND, Decimal("-170.83"))
    assert [row.reason for row in parsed.skipped] == ["tells the trades above a second time"] * 2


# --- E*TRADE, Webull, Schwab's others ---------------------------------------------------------------------------------
def test_etrades_dividend_that_buys_is_a_reinvestment_and_the_title_names_the_account() -> None:
    text = (
        "For Account:,####1234\n\n"
        "TransactionDate,TransactionType,SecurityType,Symbol,Quantity,Amount,Price,Commission,Description\n\n"
        "06/10/26,Dividend,EQ,KO,0.5,-30,60,0,COCA COLA\n"
        "06/10/26,Bought,OPTN,AAPL Jan 21 '27 $150.5 Call,1,-300,3,0.65,X\n"
    )
    first, second = parse(text, "etrade_transactions").rows
    assert (first.account_hint, first.records[0].kind) == ("####1234", K.BUY)  # type: ignore[union-attr]
    assert second.records[0].instrument.symbol == "AAPL  270121C00150500"  # type: ignore[union-attr]


WEBULL = "Name,Symbol,Side,Status,Filled,Total Qty,Price,Avg Price,Time-in-Force,Placed Time,Filled Time\n"


def test_webulls_order_filled_further_is_the_same_order_and_two_alike_are_two() -> None:
    row = "Apple,AAPL,Buy,Partial Filled,{},100,@150.00,150.005,DAY,06/10/2026 09:30:00 EDT,06/10/2026 09:30:05 EDT\n"
    early, late = (only(parse(WEBULL + row.format(units), "webull_orders")) for units in (40, 100))
    assert early.external_id == late.external_id
    assert (early.net_amount, late.net_amount) == (Decimal("-6000.20"), Decimal("-15000.50"))
    twins = parse(WEBULL + row.format(40) * 2, "webull_orders")
    assert len({record.external_id for record in twins.records}) == 2
    assert twins.rows[0].warnings == ("The order was only partly filled when the file was made.",)


def test_webulls_cancelled_orders_are_counted_but_tell_nothing() -> None:
    row = "Apple,AAPL,Buy,Cancelled,0,100,140.00,,DAY,06/08/2026,06/08/2026\n"
    parsed = parse(WEBULL + row, "webull_orders")
    assert (parsed.rows, parsed.skipped[0].reason) == ((), "an order of which nothing was filled (cancelled)")


def test_a_vest_is_two_rows_and_delivers_what_was_not_withheld() -> None:
    header = (
        "Date,Action,Symbol,Description,Quantity,FeesAndCommissions,DisbursementElection,Amount,AwardDate,AwardId,"
        "FairMarketValuePrice,SalePrice,SharesSoldWithheldForTaxes,NetSharesDeposited,Taxes\n"
    )
    rows = "06/10/2026,Lapse,KO,Restricted Stock Lapse,400,,,,,,,,,,\n,,,,,,,,03/21/2025,C1,$60.00,,150,250,$9\n"
    parsed = parse(header + rows, "schwab_equity_awards")
    record = only(parsed)
    assert (record.kind, record.quantity, record.net_amount) == (K.TRANSFER_IN, 250, 0)
    assert (record.raw["Quantity"], record.raw["AwardId"]) == ("400", "C1")
    assert [(row.line, row.reason) for row in parsed.skipped] == [(3, "goes on with line 2")]


# --- Positions --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "whose"),
    [
        ("Account Number,Account Name,Symbol,Description,Quantity,Last Price,Current Value", "Fidelity's"),
        ("Account Number,Investment Name,Symbol,Shares,Share Price,Total Value,", "Vanguard's"),
    ],
)
def test_a_file_of_what_is_held_is_refused_with_the_way_to_what_happened(header: str, whose: str) -> None:
    with pytest.raises(FileNotRead, match=f"This is {whose} positions file, which says what you hold but not what"):
        importers.detect(reader.read(f"{header}\n1,X,VTI,1,1,1,1\n".encode()))
