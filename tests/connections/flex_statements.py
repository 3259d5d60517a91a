"""Flex statements for tests, put together of rows: one example of each, and what the hub makes of them."""

from xml.sax.saxutils import quoteattr

from connections.brokers import ibkr_rows, ibkr_statement
from connections.brokers.ibkr_instruments import Known
from connections.brokers.ibkr_statement import Report

TRADE = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "subCategory": "COMMON",
    "symbol": "ACME",
    "description": "ACME CORP",
    "conid": "990001",
    "isin": "US0000000001",
    "multiplier": "1",
    "strike": "",
    "expiry": "",
    "putCall": "",
    "underlyingSymbol": "",
    "tradeID": "5000001",
    "transactionID": "31000001",
    "origTransactionID": "0",
    "ibOrderID": "41000001",
    "tradeDate": "20260903",
    "dateTime": "20260903;101530",
    "settleDateTarget": "20260904",
    "transactionType": "ExchTrade",
    "buySell": "BUY",
    "openCloseIndicator": "O",
    "quantity": "10",
    "tradePrice": "100",
    "proceeds": "-1000",
    "taxes": "0",
    "ibCommission": "-1",
    "ibCommissionCurrency": "USD",
    "netCash": "-1001",
    "notes": "P",
    "levelOfDetail": "EXECUTION",
}
OPTION = {
    "assetCategory": "OPT",
    "symbol": "ACME  261016P00090000",
    "underlyingSymbol": "ACME",
    "strike": "90",
    "expiry": "20261016",
    "putCall": "P",
    "multiplier": "100",
}
EURUSD = {
    "assetCategory": "CASH",
    "symbol": "EUR.USD",
    "buySell": "SELL",
    "quantity": "-900",
    "tradePrice": "1.1",
    "proceeds": "990",
    "netCash": "0",
    "ibCommission": "-2",
    "ibCommissionCurrency": "EUR",
    "notes": "",
}
CASH = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "ACME",
    "description": "ACME(US0000000001) CASH DIVIDEND USD 0.24 PER SHARE",
    "conid": "990001",
    "multiplier": "1",
    "dateTime": "20260915;202000",
    "settleDate": "20260915",
    "reportDate": "20260915",
    "amount": "24",
    "type": "Dividends",
    "transactionID": "32000003",
    "actionID": "160000001",
    "levelOfDetail": "DETAIL",
}
TRANSFER = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "ACME",
    "conid": "990001",
    "multiplier": "1",
    "type": "ACATS",
    "direction": "IN",
    "date": "20260916",
    "dateTime": "20260916;085027",
    "settleDate": "20260916",
    "quantity": "5",
    "transferPrice": "0",
    "cashTransfer": "0",
    "transactionID": "33000001",
    "levelOfDetail": "TRANSFER",
}
ACTION = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "ACME",
    "description": "ACME(US0000000001) SPLIT 10 FOR 1 (ACME, ACME CORP, US0000000001)",
    "conid": "990001",
    "multiplier": "1",
    "reportDate": "20260917",
    "dateTime": "20260916;202500",
    "quantity": "90",
    "proceeds": "0",
    "type": "FS",
    "transactionID": "34000001",
    "actionID": "167000001",
    "levelOfDetail": "DETAIL",
}
POSITION = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "BRK B",
    "conid": "72063691",
    "multiplier": "1",
    "position": "-3",
    "markPrice": "500",
    "positionValue": "-1500",
    "costBasisPrice": "480.5",
    "levelOfDetail": "SUMMARY",
}
MONEY = {"accountId": "U7700001", "currency": "USD", "endingCash": "250.5", "endingSettledCash": "200"}
TRANSACTION_TAX = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "ACME",
    "conid": "990001",
    "multiplier": "1",
    "date": "20260903",
    "taxDescription": "French Transaction Tax",
    "taxAmount": "-3",
    "tradeId": "5000001",
}
SALES_TAX = {
    "accountId": "U7700001",
    "currency": "USD",
    "symbol": "",
    "date": "20260905",
    "taxableDescription": "Data fee",
    "salesTax": "-0.76",
    "taxableTransactionID": "36000001",
    "transactionID": "36000002",
}
EQUITY = {"accountId": "U7700001", "reportDate": "20260930", "total": "12345.67"}
OPTIONAL = {
    "TransactionTaxes": "TransactionTax",
    "SalesTaxes": "SalesTax",
    "EquitySummaryInBase": "EquitySummaryByReportDateInBase",
}
ROWS = {
    "Trades": "Trade",
    "CashTransactions": "CashTransaction",
    "Transfers": "Transfer",
    "CorporateActions": "CorporateAction",
    "OpenPositions": "OpenPosition",
    "CashReport": "CashReportCurrency",
}


def element(tag, told):
    return f"<{tag} {' '.join(f'{name}={quoteattr(value)}' for name, value in told.items())} />"


def statement(without=(), info=None, **rows):
    """A statement with these rows by section; a row may be (tag, attributes) where it is not the usual one."""
    parts = [element("AccountInformation", info)] if info else []
    for section, tag in (ROWS | OPTIONAL).items():
        if section in without or (section in OPTIONAL and section not in rows):
            continue
        told = [row if isinstance(row, tuple) else (tag, row) for row in rows.get(section, [])]
        parts.append(f"<{section}>{''.join(element(*row) for row in told)}</{section}>")
    head = {"accountId": "U7700001", "fromDate": "20260901", "toDate": "20260930", "period": "LastMonth"}
    body = element("FlexStatement", head).replace(" />", ">") + "".join(parts) + "</FlexStatement>"
    text = f'<FlexQueryResponse type="AF"><FlexStatements count="1">{body}</FlexStatements></FlexQueryResponse>'
    report = ibkr_statement.read(text)
    assert isinstance(report, Report)
    return report.statements[0]


def read(**rows):
    found = statement(**rows)
    return list(ibkr_rows.transactions(found, Known.by([found])))


def one(section, row, **changes):
    (record,) = read(**{section: [{**row, **changes}]})
    return record


def told(record):
    symbol = record.instrument.symbol if record.instrument else None
    return record.kind.value, record.subtype, symbol, record.quantity, record.net_amount, record.currency
