"""Why books and broker may differ, in words for people: the same on the page, in the API and in exports."""

from django.db import models


class Cause(models.TextChoices):
    MISSING_HISTORY = "missing_history", "History missing"
    MISSED_SPLIT = "missed_split", "Split not booked"
    UNSETTLED = "unsettled", "Not settled yet"
    TRANSFER_LEG = "transfer_leg", "Other side of a transfer missing"
    SYMBOL_CHANGE = "symbol_change", "Renamed"
    CORPORATE_ACTION = "corporate_action", "Corporate action not booked"
    CASH_IN_LIEU = "cash_in_lieu", "Cash for a fraction not booked"
    TWIN_LOST = "twin_lost", "One of two equal rows missing"
    TWIN_DOUBLED = "twin_doubled", "Booked twice"
    FEE = "fee", "Fee not booked"
    TAX = "tax", "Tax not booked"
    DIVIDEND = "dividend", "Dividend not booked"
    INTEREST = "interest", "Interest not booked"
    REINVESTMENT = "reinvestment", "Reinvestment not booked"
    REVERSAL = "reversal", "Taken back by the broker"
    WRONG_SIGN = "wrong_sign", "Booked the wrong way round"
    WRONG_UNITS = "wrong_units", "Counted in other units"
    WRONG_CURRENCY = "wrong_currency", "Booked in another currency"
    TRADE = "trade", "Trade not booked"
    FX_LEG = "fx_leg", "Currency exchange not booked"
    EXPIRED = "expired", "Expired option still in the books"
    EXERCISED = "exercised", "Shares of an exercised option not booked"
    SWEEP = "sweep", "Kept in a money fund"
    MONEY_MOVED = "money_moved", "Deposit or withdrawal not booked"
    EXCLUDED = "excluded", "Left out by you"
    TAKEN_BACK = "taken_back", "Taken back with its sync or import"
    PENDING = "pending", "Pending"
    STALE_REPORT = "stale_report", "Figures of different moments"
    NOT_REPORTED = "not_reported", "No longer reported"
    TOLD_BY_BROKER = "told_by_broker", "Your correction is told by the broker now"
    ROUNDING = "rounding", "Rounding"
    UNKNOWN = "unknown", "Cause not found"

    @property
    def is_quiet(self) -> bool:
        """It comes right by itself, or is too small to matter: listed, but nothing to do and no alarm."""
        return self in QUIET

    @property
    def advice(self) -> str:
        """What it means and what to do, in a sentence or two."""
        return ADVICE[self]


QUIET = frozenset({Cause.UNSETTLED, Cause.PENDING, Cause.STALE_REPORT, Cause.ROUNDING})
ADVICE = {
    Cause.MISSING_HISTORY: "The broker has more than the transactions in the books add up to. They begin too late, or "
    "the broker does not tell all of them. Import a file for the days before, or start from what the broker reports.",
    Cause.MISSED_SPLIT: "The units differ by the ratio of a split that is not in the books. Book it.",
    Cause.UNSETTLED: "The broker counts by settlement date. This comes right by itself within days.",
    Cause.TRANSFER_LEG: "Another of your accounts has one side of this transfer. Book the other side here.",
    Cause.SYMBOL_CHANGE: "What the books hold under one name the broker reports under another. Book the change.",
    Cause.CORPORATE_ACTION: "The broker reports what a spin-off or merger brought; the books do not have it. Book it.",
    Cause.CASH_IN_LIEU: "A fraction was paid out in cash. Book what came in.",
    Cause.TWIN_LOST: "Two equal rows happened and the books count one. Count both.",
    Cause.TWIN_DOUBLED: "The books count one event twice. Leave one of the rows out.",
    Cause.FEE: "The broker took a fee that is not in the books. Book it.",
    Cause.TAX: "Tax was withheld that is not in the books. Book it.",
    Cause.DIVIDEND: "The broker paid a dividend that is not in the books. Book it.",
    Cause.INTEREST: "The broker paid or charged interest that is not in the books. Book it.",
    Cause.REINVESTMENT: "A dividend was reinvested, and the units bought for it are not in the books. Book them.",
    Cause.REVERSAL: "The broker seems to have taken this row back. Read its days again, or leave it out.",
    Cause.WRONG_SIGN: "A row counts in where it should count out, or the other way round. Turn it round.",
    Cause.WRONG_UNITS: "Books and broker count the same holding in different units. Check where the rows come from.",
    Cause.WRONG_CURRENCY: "The same amount is missing in one currency and too much in another. Move it.",
    Cause.TRADE: "Units and cash differ as if one trade were not in the books. Read the days again, or book it.",
    Cause.FX_LEG: "One currency has less and another more, at about the going rate. Book the exchange.",
    Cause.EXPIRED: "This option has expired, and the books still have it. Book the expiry.",
    Cause.EXERCISED: "An option was exercised or assigned; the shares and the money are not in the books. Book them.",
    Cause.SWEEP: "The broker keeps this money in a money fund; the books have it as cash. Book the purchase.",
    Cause.MONEY_MOVED: "A round sum came in or went out that is not in the books. Book it as a deposit or withdrawal.",
    Cause.EXCLUDED: "The difference is a row you left out. Bring it back if the broker is right.",
    Cause.TAKEN_BACK: "The difference is what you took back with a sync or an import.",
    Cause.PENDING: "The broker counts a pending row already. It counts here once it is posted.",
    Cause.STALE_REPORT: "Rows and report are of different moments. The next sync brings them together.",
    Cause.NOT_REPORTED: "The broker does not report this position any more, and no row says where it went. "
    "Read the days again, or take it out of the books.",
    Cause.TOLD_BY_BROKER: "You corrected the books, and now the broker tells the same. Take your correction back.",
    Cause.ROUNDING: "Brokers round; the difference is smaller than that.",
    Cause.UNKNOWN: "Nothing in the books explains it. Read the days again; book or ignore what is still open then.",
}  # fmt: skip
