"""What the exports of European and crypto brokers mean beyond their counts."""

from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest

from connections.brokers.records import AssetClass, TransactionKind
from sync.importers.base import Choices
from sync.importers.words import fold
from tests.sync.importers.reading import booked, parse, reasons

K = TransactionKind


# --- Trading 212 ------------------------------------------------------------------------------------------------------
T212 = (
    "Action,Time,ISIN,Ticker,Name,No. of shares,Price / share,Currency (Price / share),Exchange rate,Result,"
    "Currency (Result),Total,Currency (Total),Withholding tax,Currency (Withholding tax),Notes,ID,"
    "Currency conversion fee,Currency (Currency conversion fee)\n"
)


def test_a_price_in_pence_is_booked_in_pounds() -> None:
    (bought,) = booked(
        parse(
            T212 + "Limit buy,2024-02-05 09:01:02.003,GB00AAAAAAA1,AAA,Aaa Plc,4,496.50,GBX,1,,,19.86,GBP,,,,EOF1,,\n"
        )
    )
    assert (bought.price, bought.net_amount, bought.quantity) == (D("4.965"), D("-19.86"), D(4))
    assert bought.instrument is not None
    assert (bought.instrument.symbol, bought.instrument.currency) == ("AAA", "GBP")


def test_a_charge_in_the_accounts_currency_is_part_of_the_total_and_one_in_another_is_not() -> None:
    row = "{},2024-02-05 09:01:02,US0000000001,BBB,Bbb Inc,2,10.00,USD,1.25,,,{},GBP,{},{},,{},{},{}\n"
    bought, paid = booked(
        parse(
            T212
            + row.format("Market buy", "16.05", "", "", "EOF2", "0.05", "GBP")
            + row.format("Dividend (Dividend)", "0.90", "0.10", "USD", "", "", "")
        )
    )
    assert (bought.gross_amount, bought.fees, bought.net_amount) == (D("-16.00"), D("0.05"), D("-16.05"))
    assert bought.price is None  # dollars, while the row's money is pounds
    assert (paid.kind, paid.net_amount, paid.taxes, paid.quantity) == (K.DIVIDEND, D("0.90"), D(0), None)


def test_a_split_takes_the_old_shares_out_and_puts_the_new_ones_in_as_one_event() -> None:
    row = "Stock split {},2025-03-24 07:24:24.0{},CA0000000001,CCC,Ccc,{},2.07,USD,1,,,59.68,EUR,,,,EOF{},,\n"
    closed, opened = booked(parse(T212 + row.format("close", 95, "29.8", 3) + row.format("open", 96, "7.45", 4)))
    assert (closed.quantity, opened.quantity) == (D("-29.8"), D("7.45"))
    assert (closed.kind, opened.kind, closed.net_amount, opened.net_amount) == (K.SPLIT, K.SPLIT, 0, 0)
    assert closed.group_id == opened.group_id != ""


def test_one_id_may_belong_to_a_purchase_and_a_sale() -> None:
    row = "Market {},2024-02-0{} 09:01:02,US0000000001,BBB,Bbb Inc,2,10.00,USD,1,,,16.05,GBP,,,,EOF9,,\n"
    records = booked(parse(T212 + row.format("buy", 5) + row.format("sell", 6)))
    assert len({record.external_id for record in records}) == 2
    assert [record.net_amount for record in records] == [D("-16.05"), D("16.05")]


def test_an_older_export_names_the_currency_in_its_headings() -> None:
    header = "Action,Time,ISIN,Ticker,Name,No. of shares,Price / share,Currency (Price / share),Exchange rate,"
    (bought,) = booked(
        parse(
            header + "Result (GBP),Total (GBP),Stamp duty reserve tax (GBP),Notes,ID\n"
            "Market buy,2021-05-04 10:00:00,GB00AAAAAAA1,AAA,Aaa Plc,10,100.00,GBX,1,,10.05,0.05,,EOF5\n"
        )
    )
    assert (bought.currency, bought.net_amount, bought.taxes, bought.price) == ("GBP", D("-10.05"), D("0.05"), D(1))


def test_a_word_trading_212_never_used_before_is_kept_as_other() -> None:
    parsed = parse(T212 + "Moon bonus,2024-02-05 09:01:02,,,,,,,,,,3.00,GBP,,,,abc,,\n")
    (record,) = booked(parsed)
    assert (record.kind, record.net_amount, record.subtype) == (K.OTHER, D("3.00"), "Moon bonus")
    assert parsed.rows[0].warnings == ("“Moon bonus” is not a word the hub knows; the row is kept as “other”.",)


# --- Freetrade and Revolut --------------------------------------------------------------------------------------------
def test_a_free_share_comes_without_money_and_a_statement_is_no_transaction() -> None:
    header = "Title,Type,Timestamp,Account Currency,Total Amount,Buy / Sell,Ticker,ISIN,Quantity,Order ID\n"
    parsed = parse(
        header
        + "Ddd,FREESHARE_ORDER,2024-01-02T10:00:00.000Z,GBP,11.04,BUY,DDD,US0000000002,1.0,O1\n"
        + "August,MONTHLY_STATEMENT,2024-01-03T10:00:00.000Z,GBP,,,,,,\n"
    )
    (given,) = booked(parsed)
    assert (given.kind, given.quantity, given.net_amount) == (K.OTHER, D(1), 0)
    assert given.occurred_at == datetime(2024, 1, 2, 10, tzinfo=UTC)
    assert [row.reason for row in parsed.skipped] == ["a statement, no transaction"]


REVOLUT = "Date,Ticker,Type,Quantity,Price per share,Total Amount,Currency,FX Rate\n"


@pytest.mark.parametrize(
    ("printed", "price", "total", "units"),
    [
        ('"0,5"', "€10", "€5", "0.5"),
        ('"1,250"', "€4", "€5", "1.250"),
        ('"1,250"', "€4", '"€5,000"', "1250"),
        ("1.25", "€4", "€5", "1.25"),
    ],
)
def test_units_with_a_comma_read_so_that_they_explain_the_amount(
    printed: str, price: str, total: str, units: str
) -> None:
    row = f"2025-06-05T07:26:04.809Z,EEE,BUY - MARKET,{printed},{price},{total},EUR,1\n"
    (bought,) = booked(parse(REVOLUT + row))
    assert bought.quantity == D(units)
    assert bought.net_amount < 0


def test_a_move_between_two_companies_of_the_broker_changes_no_position() -> None:
    word = "TRANSFER FROM REVOLUT TRADING LTD TO REVOLUT SECURITIES EUROPE UAB"
    (moved,) = booked(parse(REVOLUT + f"2023-09-09T09:21:25.730802Z,EEE,{word},2.5,,$0,USD,1\n"))
    assert (moved.kind, moved.quantity, moved.net_amount) == (K.OTHER, None, 0)


# --- Coinbase ---------------------------------------------------------------------------------------------------------
COINBASE = (
    "Transactions\nUser,Someone,0000\n"
    "ID,Timestamp,Transaction Type,Asset,Quantity Transacted,Price Currency,Price at Transaction,Subtotal,"
    "Total (inclusive of fees and/or spread),Fees and/or Spread,Notes\n"
)


def test_a_conversion_has_two_legs_though_the_second_stands_in_the_notes() -> None:
    parsed = parse(
        COINBASE + "c1,2024-03-01 09:00:00 UTC,Convert,ETH,-2.0,GBP,£1500,£3000,£3000,£0,"
        '"Converted 2 ETH to 3,000.5 USDC"\n'
    )
    gave, got = booked(parsed)
    assert len(parsed.rows) == 1
    assert (gave.quantity, got.quantity) == (D("-2.0"), D("3000.5"))
    assert gave.instrument is not None
    assert got.instrument is not None
    assert (gave.instrument.symbol, got.instrument.symbol) == ("ETH", "USDC")
    assert got.instrument.asset_class is AssetClass.CRYPTO
    assert gave.group_id == got.group_id != ""
    assert gave.external_id != got.external_id
    assert gave.net_amount == got.net_amount == 0  # what they were worth is no money


def test_money_moves_only_where_the_asset_is_money_or_is_traded() -> None:
    row = "{},2024-03-01 09:00:00 UTC,{},{},{},GBP,£1,£{},£{},£0,\n"
    records = booked(
        parse(
            COINBASE
            + row.format("a", "Deposit", "EUR", "100", "86", "86")
            + row.format("b", "Pro Deposit", "GBP", "-50", "50", "50")
            + row.format("c", "Receive", "BTC", "0.1", "900", "900")
            + row.format("d", "Staking Income", "ADA", "3", "1", "1")
        )
    )
    assert [(one.kind, one.net_amount, one.currency) for one in records] == [
        (K.DEPOSIT, D(100), "EUR"),
        (K.TRANSFER_OUT, D(-50), "GBP"),
        (K.TRANSFER_IN, 0, "GBP"),
        (K.INTEREST, 0, "GBP"),
    ]
    assert [one.quantity for one in records] == [None, None, D("0.1"), D(3)]


# --- DEGIRO -----------------------------------------------------------------------------------------------------------
DEGIRO = {
    "nl": "Datum,Tijd,Valutadatum,Product,ISIN,Omschrijving,FX,Mutatie,,Saldo,,Order Id\n",
    "pt": "Data,Hora,Data Valor,Produto,ISIN,Descrição,T.,Mudança,,Saldo,,ID da Ordem\n",
    "en": "Date,Time,Value date,Product,ISIN,Description,FX,Change,,Balance,,Order Id\n",
}


def test_a_broken_order_id_is_put_together_and_groups_the_rows_of_the_trade() -> None:
    parsed = parse(
        DEGIRO["nl"]
        + '15-12-2022,16:55,15-12-2022,FFF,US0000000003,Valuta Creditering,"1,06",USD,"33,90",USD,"0,00",abc-\n'
        + ",,,,,,,,,,,def\n"
        + '15-12-2022,16:55,15-12-2022,FFF,US0000000003,Valuta Debitering,,EUR,"-31,91",EUR,"0,07",abc-def\n'
        + '15-12-2022,16:55,15-12-2022,FFF,US0000000003,"Koop 1 @ 33,9 USD",,USD,"-33,90",USD,"-33,90",abc-def\n'
    )
    records = booked(parsed)
    assert [one.kind for one in records] == [K.FX, K.FX, K.BUY]
    assert {one.group_id for one in records} == {"abc-def"}
    assert [(row.line, row.reason) for row in parsed.skipped] == [(3, "continues line 2")]
    assert parsed.accounts.keys() == {""}


@pytest.mark.parametrize(
    ("description", "amount", "units", "price"),
    [
        ("Koop 500 @ 0,039 EUR", "-19,50", "500", "0.039"),
        ("Compra 1 GGG INC A@82,055 EUR (IE0000000001)", "-82,06", "1", "82.055"),
        ("Verkoop 1.250 @ 2,5 EUR", "3125,00", "-1250", "2.5"),
        ("Vente 1 046,5 @ 2 EUR", "2093,00", "-1046.5", "2"),
        ("Buy 1,000 GGG@1.5 EUR (IE0000000001)", "-1500,00", "1000", "1.5"),
    ],
)
def test_numbers_in_a_description_read_so_that_they_explain_the_amount(
    description: str, amount: str, units: str, price: str
) -> None:
    row = f'15-12-2022,16:55,15-12-2022,GGG,IE0000000001,"{description}",,EUR,"{amount}",EUR,"0,00",x\n'
    (traded,) = booked(parse(DEGIRO["pt"] + row, expected="degiro"))
    assert (traded.quantity, traded.price) == (D(units), D(price))


def test_pence_are_pounds_and_accents_may_have_been_encoded_twice() -> None:
    sold, credited = booked(
        parse(
            DEGIRO["en"]
            + "02-04-2024,09:00,02-04-2024,HHH,GB00HHHHHHH1,Sell 4 HHH@496 GBX (GB00HHHHHHH1),,GBP,19.84,GBP,114.31,y\n"
            + "02-04-2024,09:01,02-04-2024,,,CrÃ©dito de divisa,,EUR,408.83,EUR,638.81,y\n"
        )
    )
    assert (sold.quantity, sold.price, sold.currency) == (D(-4), D("4.96"), "GBP")
    assert credited.kind is K.FX


def test_a_dividend_in_shares_is_no_purchase() -> None:
    row = "14-09-2023,08:49,14-09-2023,III NV,NL0000000001,STOCK DIVIDEND: Koop 9 @ 0 EUR,,EUR,0.00,EUR,1.50,\n"
    (given,) = booked(parse(DEGIRO["nl"] + row))
    assert (given.kind, given.subtype, given.quantity) == (K.CORPORATE_ACTION, "stock dividend", D(9))


def test_accents_are_folded_however_they_were_written() -> None:
    assert fold("CrÃ©dito  de DIVISA") == fold("Crédito de divisa") == fold("Cre\u0301dito de divisa")
    assert fold("Sälj") == "salj"


# --- Swissquote, Saxo, Avanza -----------------------------------------------------------------------------------------
def test_both_sides_of_an_exchange_share_their_order() -> None:
    header = "Date;Order #;Transaction;Symbol;Name;ISIN;Quantity;Unit price;Costs;Accrued Interest;Net Amount;"
    credit, debit, fee = booked(
        parse(
            header + "Balance;Currency\n"
            "23-08-2022 12:00:25;114;Forex credit;;;;1.0;1995.39;0.00;0.00;1995.39;2937.32;EUR\n"
            "23-08-2022 12:00:25;114;Forex debit;;;;1.0;2000.00;0.00;0.00;-2000.00;166.08;USD\n"
            "30-06-2022 18:01:13;00000000;Custody Fees;;;;1.0;50.00;3.85;0.00;-53.85;28.90;CHF\n"
        )
    )
    assert (credit.kind, debit.kind, credit.group_id, debit.group_id) == (K.FX, K.FX, "114", "114")
    assert (fee.group_id, fee.quantity, fee.price, fee.fees) == ("", None, None, D("3.85"))


SAXO = (
    "Client ID,Trade Date,Value Date,Type,Instrument,Instrument ISIN,Instrument currency,Exchange Description,"
    "Instrument Symbol,Event,Amount,Order ID,Conversion Rate\n"
)


def test_a_dutch_event_reads_as_an_english_one_and_clients_are_kept_apart() -> None:
    parsed = parse(
        SAXO
        + '11,16-mrt-2025,18-mrt-2025,Transactie,JJJ,IE0000000001,EUR,AMS,JJJ:xams,Koop 1.5 @ 110.01 EUR,"-165,02",,1\n'
        + "12,02-Jan-2025,02-Jan-2025,Trade,JJJ,IE0000000001,EUR,AMS,JJJ:xams,Sell 2 @ 110 EUR,220,,1\n"
    )
    bought, sold = booked(parsed)
    assert (bought.traded_on, bought.settled_on) == (date(2025, 3, 16), date(2025, 3, 18))
    assert (bought.quantity, bought.price, bought.net_amount) == (D("1.5"), D("110.01"), D("-165.02"))
    assert (sold.quantity, sold.net_amount) == (D(-2), D(220))
    assert list(parsed.accounts) == ["11", "12"]


def test_an_event_without_units_is_parked_and_stops_no_other() -> None:
    parsed = parse(
        SAXO + "11,16-Jan-2025,,Trade,JJJ,,EUR,,JJJ:xams,Buy a lot,-1,,1\n" + "11,16-Jan-2025,,,,,EUR,,,Deposit,5,,1\n"
    )
    assert reasons(parsed) == ["“Buy a lot” names no units and price like “Buy 3 @ 139.74 USD”."]
    assert len(parsed.rows) == 2


def test_avanzas_other_rows_are_told_apart_by_their_text() -> None:
    header = "Datum;Konto;Typ av transaktion;Värdepapper/beskrivning;Antal;Kurs;Belopp;Transaktionsvaluta;"
    taxed, moved, bought = booked(
        parse(
            header + "Courtage (SEK);Valutakurs;Instrumentvaluta;ISIN;Resultat\n"
            "2022-01-27;K1;Övrigt;Avkastningsskatt;;;-26;SEK;0;;;;\n"
            "2023-03-10;K1;Övrigt;Fond B;3,6545;;;;;;;LU0000000001;\n"
            "2023-03-10;K1;Köp;Kkk Inc;2;330,16;-7104,41;SEK;21,45;10,72;USD;US0000000004;\n"
        )
    )
    assert (taxed.kind, taxed.net_amount) == (K.TAX, D(-26))
    assert (moved.kind, moved.quantity, moved.net_amount, moved.currency) == (K.OTHER, D("3.6545"), 0, "SEK")
    assert (bought.fees, bought.gross_amount, bought.price) == (D("21.45"), D("-7082.96"), None)
    assert bought.instrument is not None
    assert bought.instrument.currency == "USD"


# --- XTB --------------------------------------------------------------------------------------------------------------
XTB = "ID;Type;Time;Symbol;Comment;Amount\n"
EUR = Choices(currency="EUR")


def test_the_account_currency_is_asked_because_the_file_never_says_it() -> None:
    (question,) = parse(XTB + "1;Deposit;12.04.2024 13:00:22;;a, b, c;500\n").questions
    assert question.about == "currency"
    assert ("EUR", "500 EUR") in question.options
    (record,) = booked(parse(XTB + "1;Deposit;12.04.2024 13:00:22;;a, b, c;500\n", Choices(currency="PLN")))
    assert (record.currency, record.net_amount) == ("PLN", D(500))


def test_a_row_printed_twice_is_one_and_a_sale_with_the_id_of_its_purchase_is_another() -> None:
    bought = "7;Ações/ETF compra;25.07.2023 20:56:07;LLL.US;OPEN BUY 1/3.5 @ 122.34;-111.25\n"
    sold = "7;Ações/ETF vende;25.07.2023 20:56:07;LLL.US;CLOSE BUY 1 @ 122.34;111.25\n"
    parsed = parse(XTB + bought + sold + bought, EUR)
    assert [(one.kind, one.quantity) for one in booked(parsed)] == [(K.BUY, D(1)), (K.SELL, D(-1))]
    assert [(row.line, row.reason) for row in parsed.skipped] == [(4, "the same row as in line 2, with the same id")]


def test_the_comment_tells_a_trade_in_any_language_and_its_price_counts_where_it_explains_the_amount() -> None:
    row = "{};Zakup;02.04.2024 14:48:16;{};OPEN BUY 10 @ 11.50;{}\n"
    here, abroad = booked(parse(XTB + row.format(1, "MMM.DE", "-115") + row.format(2, "NNN.US", "-106.03"), EUR))
    assert (here.kind, here.price) == (K.BUY, D("11.50"))
    assert (abroad.kind, abroad.price) == (K.BUY, None)
    assert abroad.instrument is not None
    assert (abroad.instrument.symbol, abroad.instrument.currency) == ("NNN", "USD")


# --- Trade Republic ---------------------------------------------------------------------------------------------------
REPUBLIC = (
    "datetime,date,account_type,category,type,asset_class,name,symbol,shares,price,amount,fee,tax,currency,"
    "transaction_id\n"
)


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_net_is_amount_and_fee_and_tax_and_a_dividend_taken_back_stays_one(delimiter: str) -> None:
    text = REPUBLIC + (
        "2026-03-28T12:17:14.638045Z,2026-03-27,DEFAULT,CASH,DIVIDEND,STOCK,Ooo,US0000000005,197.3,,-32.27,,8.25,EUR,t1\n"
        "2026-03-29T12:17:14Z,2026-03-29,DEFAULT,TRADING,SELL,STOCK,Ooo,US0000000005,-2.5,10.5,26.25,-1.00,-0.50,EUR,t2\n"
    )
    back, sold = booked(parse(text.replace(",", delimiter), expected="traderepublic"))
    assert (back.kind, back.net_amount, back.taxes, back.quantity) == (K.DIVIDEND, D("-24.02"), D("-8.25"), None)
    assert (back.traded_on, back.external_id) == (date(2026, 3, 27), "t1")
    assert (sold.net_amount, sold.gross_amount, sold.fees, sold.taxes) == (D("24.75"), D("26.25"), D(1), D("0.5"))
    assert sold.instrument is not None
    assert sold.instrument.isin == "US0000000005"


def test_a_transfer_is_money_unless_it_moves_shares() -> None:
    begins = "2026-03-28T12:00:00Z,2026-03-28,DEFAULT"
    paid, moved = booked(
        parse(
            REPUBLIC
            + f"{begins},CASH,TRANSFER_OUT,,,,,,-53,,,EUR,t3\n"
            + f"{begins},DELIVERY,TRANSFER_IN,STOCK,Ooo,US0000000005,4,,,,,EUR,t4\n"
        )
    )
    assert (paid.kind, paid.net_amount, paid.quantity) == (K.WITHDRAWAL, D(-53), None)
    assert (moved.kind, moved.quantity, moved.net_amount) == (K.TRANSFER_IN, D(4), 0)
