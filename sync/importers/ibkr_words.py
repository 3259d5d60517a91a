"""What Interactive Brokers' statements call their sections and columns: in the language of the account.

The kinds of rows (Header, Data, SubTotal, Total), DataDiscriminator, and Order, Trade and ClosedLot stay English. Names
are compared without case and accents. English and Russian are known from statements, the others from what people
published of theirs; a name that is not here is never guessed at.
"""

import re
import unicodedata
from enum import Enum, auto
from functools import lru_cache


class Section(Enum):
    TRADES = auto()
    CASH_MOVES = auto()
    DIVIDENDS = auto()
    TAX = auto()
    FEES = auto()
    INTEREST = auto()
    CHARGES = auto()  # Transaction Fees
    ADJUSTMENTS = auto()  # Commission Adjustments
    ACTIONS = auto()
    TRANSFERS = auto()
    CASH_REPORT = auto()
    ACCOUNT = auto()
    INSTRUMENTS = auto()
    QUIET = auto()  # tells no transactions, though it has dates


_SECTIONS = {
    Section.TRADES: "Trades | Сделки | Transaktionen | Operaciones | Operações",
    Section.CASH_MOVES: "Deposits & Withdrawals | Вводы и выводы средств | Dépôts et retraits"
    " | Einzahlungen & Auszahlungen | Depósitos y retiradas",
    Section.DIVIDENDS: "Dividends | Payment In Lieu Of Dividends | Дивиденды | Dividenden | Dividendos",
    Section.TAX: "Withholding Tax | Удерживаемый налог | Quellensteuer | Retención de impuestos",
    Section.FEES: "Fees | Other Fees | Сборы/комиссии | Gebühren | Tarifas",
    Section.INTEREST: "Interest | Процент | Zinsen | Intereses | Intérêts | Juros",
    Section.CHARGES: "Transaction Fees | Платы за транзакции | Transaktionsgebühren",
    Section.ADJUSTMENTS: "Commission Adjustments | Корректировки комиссий",
    Section.ACTIONS: "Corporate Actions | Корпоративные действия | Kapitalmaßnahmen | Operações societárias",
    Section.TRANSFERS: "Transfers | Переводы",
    Section.CASH_REPORT: "Cash Report | Отчет о денежных средствах | Cash-Bericht",
    Section.ACCOUNT: "Account Information | Информация о счете | Kontoinformation | Kontoinformationen"
    " | Información sobre la cuenta",
    Section.INSTRUMENTS: "Financial Instrument Information | Информация о финансовом инструменте"
    " | Información de instrumento financiero",
    Section.QUIET: "Statement | Open Positions | Открытые позиции | Offene Positionen | Posiciones abiertas"
    " | Change in Dividend Accruals | Open Dividend Accruals | Изменения в начислениях дивидендов"
    " | Открытые начисления дивидендов | Alteração nos dividendos acumulados",
}
_COLUMNS = {
    "category": "Asset Category | Класс актива | Vermögenswertkategorie | Anlagekategorie | Categoría de activo"
    " | Categoria de ativos",
    "currency": "Currency | Валюта | Währung | Devise | Divisa | Moeda",
    "account": "Account | Счет | Konto | Cuenta | Compte | Conta",
    "symbol": "Symbol | Символ | Símbolo | Symbole",
    "at": "Date/Time | Дата/Время | Datum/Zeit | Fecha/Hora | Data/hora",
    "date": "Date | Settle Date | Дата | Дата расчета | Datum | Abrechnungsdatum | Fecha | Fecha de liquidación",
    "quantity": "Quantity | Qty | Количество | Menge | Cantidad | Quantidade",
    "price": "T. Price | Xfer Price | Цена транзакции | T.-Kurs | Precio trans. | Preço Neg.",
    "proceeds": "Proceeds | Выручка | Erlös | Productos | Rendimentos",
    "fee": "Comm/Fee | Комиссия/плата | Prov./Gebühr | Provision/Gebühr | Tarifa/com. | Corr/Taxa",
    "code": "Code | Код | Código",
    "description": "Description | Описание | Beschreibung | Descripción | Descrição",
    "amount": "Amount | Сумма | Betrag | Montant | Importe",
    "direction": "Direction | Направление",
    "cash": "Cash Amount",
    "isin": "Security ID | Идентификатор ценной бумаги | Id. de seguridad",
    "multiplier": "Multiplier | Множитель | Multiplikator | Multiplicador",
    "type": "Type | Тип | Typ | Tipo",
    "total": "Total | Всего | Gesamt",
    "title": "Currency Summary | Валютная сводка",
    "field": "Field Name | Название поля | Feldname | Nombre del campo",
    "value": "Field Value | Значение поля | Feldwert | Valor del campo",
}
_STARTING = "Starting Cash | Начальная сумма средств"
_ENDING = "Ending Cash | Остаток средств на конец периода"
_COMMISSION_IN = re.compile(r"(?:comm|комиссия|prov|com)[^ ]* (?:in|в|en) ([a-z]{3})")  # of exchanges of currency
_ACCENTS = {ord(mark): None for mark in "\u0300\u0301\u0302\u0303\u0308\u0327"}


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """Without case, accents and needless blanks; `й` stays what it is."""
    plain = unicodedata.normalize("NFKD", name.casefold().replace("й", "\x00")).translate(_ACCENTS)
    return " ".join(plain.replace("\x00", "й").split())


def _names(text: str) -> list[str]:
    return [folded(name) for name in text.split("|")]


SECTIONS = {name: section for section, text in _SECTIONS.items() for name in _names(text)}
COLUMNS = {name: column for column, text in _COLUMNS.items() for name in _names(text)}
STARTING, ENDING, ACCOUNT_NUMBER = set(_names(_STARTING)), set(_names(_ENDING)), set(_names(_COLUMNS["account"]))


def commission_currency(column: str) -> str:
    """RUB of `Комиссия в RUB`; "" for any other column."""
    found = _COMMISSION_IN.fullmatch(folded(column))
    return found[1].upper() if found else ""
