"""The summary by Rule 605(a)(2): one reporter and month, 18 columns, a row for each kind and size of orders.

Columns and limits as in oes-metadata.json (github.com/sec-gov/oes). What the publisher calls a percentage is a fraction
in the file. A value that would only make sense after dividing by 100 is refused and never rescaled in silence.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from comparison.report_files import FileRefused, Problem, ReportFile, refuse
from comparison.rule605 import Form, OrderSize, QualityFile, Stat, StatOrder, participant_warning, text_of

MOST_ROWS = 36  # 2 lists of stocks, 2 kinds of orders, 9 sizes
WIDEST_RATIO = 2
ORDERS = {"M": StatOrder.MARKET, "ML": StatOrder.MARKETABLE_LIMIT}
SIZES = {size.value for size in OrderSize if "USD" in size.label}
KEYS = ("DsgntParticipant", "RprtEntityCd", "RptDate", "Sp500", "OrderSize", "OrderType")
# Column, our name for it, the least and the most it may be.
NUMBERS: tuple[tuple[str, str, int | None, int | None], ...] = (
    ("AvgOrderQty", "average_shares", 0, None),
    ("AvgOrderSize", "average_usd", 0, None),
    ("ExctdOrderMidPtAvg", "average_midpoint", None, None),
    ("PctExctdAtQuotOrBetter", "at_or_better", 0, 1),
    ("PctExctdPI", "improved", 0, 1),
    ("WghtdAvgPctPI", "net_improvement", None, 2),
    ("AvgEffctvSprdPct", "effective_spread", -2, None),
    ("AvgPctQuotSprd", "quoted_spread", 0, None),
    ("AvgEFQPct", "effective_over_quoted", None, None),
    ("AvgRealSprdPct15sec", "realized_15s", None, None),
    ("AvgRealSprdPct1min", "realized_1m", None, None),
    ("WghtdAvgExctnTime", "speed_ms", 0, None),
)
NOTHING = {"nan", "NaN", "inf", "+inf", "-inf"}  # in the two columns that the description allows it in
MAY_BE_NOTHING = {"AvgEFQPct", "AvgRealSprdPct15sec"}
HEADER = (*KEYS, *(column for column, *_ in NUMBERS))
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{0,6})?(?:[eE][+-]?[0-9]{1,2})?")
_CODE = re.compile(r"[A-Z]{1,10}")
_MONTH = re.compile(r"20[2-9][0-9](?:0[1-9]|1[0-2])")
FIRST_MONTH = "202501"

Row = Mapping[str, str]


def is_summary(file: ReportFile) -> bool:
    return file.content.removeprefix(b"\xef\xbb\xbf").startswith(HEADER[0].encode())


def parse(file: ReportFile, *, wide_ratios_checked: bool = False) -> QualityFile:
    """`wide_ratios_checked` lets effective over quoted spreads beyond 2 pass, once somebody has compared them with the
    publisher's page. Raises FileRefused, with one problem for each wrong cell."""
    rows = list(_rows(file))
    if not rows:
        raise FileRefused(f"{file.name} has a header and nothing below it.")
    reporters = Counter(tuple(row[name] for name in KEYS[:3]) for _, row in rows)
    (participant, reporter, month), _ = reporters.most_common(1)[0]
    problems: list[Problem] = []
    stats: dict[tuple[str, ...], Stat] = {}
    for line, row in rows:
        if found := list(_wrong(line, row, (participant, reporter, month), wide_ratios_checked)):
            problems += found
        elif (key := tuple(row[name] for name in KEYS[3:])) in stats:
            problems.append(Problem(line, "", "the same stocks, size and kind of orders were told before."))
        else:
            stats[key] = _stat(row)
    refuse(f"{file.name} was not imported: it does not follow the SEC's description of the summary.", problems)
    month_on = date(int(month[:4]), int(month[4:]), 1)
    warnings = participant_warning(participant)
    return QualityFile(Form.SUMMARY, participant, reporter, month_on, tuple(stats.values()), tuple(warnings))


def _rows(file: ReportFile) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(io.StringIO(text_of(file), newline=""), strict=True)
    try:
        header = next(reader, [])
        if tuple(header) != HEADER:
            missing = [name for name in HEADER if name not in header]
            what = f"it lacks {', '.join(missing)}" if missing else "its columns are others, or in another order"
            raise FileRefused(f"{file.name} is no Rule 605 summary: {what}.")
        problems: list[Problem] = []
        for number, cells in enumerate(reader, start=1):
            if not cells:
                continue
            if number > MOST_ROWS * 10:
                raise FileRefused(f"{file.name} has more rows than a summary can have ({MOST_ROWS}).")
            if len(cells) != len(HEADER):
                problems.append(Problem(reader.line_num, "", f"has {len(cells)} cells instead of {len(HEADER)}."))
                continue
            row = dict(zip(HEADER, cells, strict=True))
            yield reader.line_num, row | {name: "" for name in MAY_BE_NOTHING if row[name] in NOTHING}
        refuse(f"{file.name} was not imported: rows are cut or run together.", problems)
    except csv.Error as error:
        raise FileRefused(f"{file.name} is not a CSV file: line {reader.line_num}, {error}.") from error


def _wrong(line: int, row: Row, reporter: tuple[str, ...], wide_ratios_checked: bool) -> Iterator[Problem]:
    """One problem for each wrong cell."""
    yield from _wrong_keys(line, row, reporter)
    for column, _, least, most in NUMBERS:
        text = row[column]
        if not text:
            continue
        if not _NUMBER.fullmatch(text):
            yield Problem(line, column, f"{text[:30]!r} is not a number with at most 6 decimals.")
            continue
        value = Decimal(text)
        if least is not None and value < least:
            yield Problem(line, column, f"{text} is less than {least}.")
        elif most is not None and value > most:
            yield Problem(line, column, f"{text} is more than {most}. Fractions are expected: 0.95 for 95 %.")
        elif column == "AvgEFQPct" and abs(value) > WIDEST_RATIO and not wide_ratios_checked:
            yield Problem(
                line,
                column,
                f"{text} would be an effective spread of {abs(value) * 100:.0f} % of the quoted one. Compare it with "
                "the publisher's page; if it is right, import with --wide-ratios-checked.",
            )


def _wrong_keys(line: int, row: Row, reporter: tuple[str, ...]) -> Iterator[Problem]:
    patterns = ((_CODE, "capital letters"), (_CODE, "capital letters"), (_MONTH, "a month as YYYYMM"))
    for (pattern, what), column, usual in zip(patterns, KEYS, reporter, strict=False):
        if not pattern.fullmatch(row[column]):
            yield Problem(line, column, f"{row[column][:30]!r} is not {what}.")
        elif column == "RptDate" and row[column] < FIRST_MONTH:
            yield Problem(line, column, f"{row[column]} lies before the first month there are summaries of.")
        elif row[column] != usual:
            yield Problem(line, column, f"{row[column]} stands among rows of {usual}; a file is one reporter's month.")
    if row["Sp500"] not in {"Y", "N"}:
        yield Problem(line, "Sp500", f"{row['Sp500'][:30]!r} is neither Y nor N.")
    if row["OrderSize"] not in SIZES:
        yield Problem(line, "OrderSize", f"{row['OrderSize'][:30]!r} is no size class.")
    if row["OrderType"] not in ORDERS:
        yield Problem(line, "OrderType", f"{row['OrderType'][:30]!r} is neither M nor ML.")


def _stat(row: Row) -> Stat:
    figures = {name: Decimal(row[column]) if row[column] else None for column, name, *_ in NUMBERS}
    return Stat(
        is_sp500=row["Sp500"] == "Y", order=ORDERS[row["OrderType"]], size=OrderSize(row["OrderSize"]), figures=figures
    )
