"""docs/security.md tells of each requirement of OWASP ASVS 5.0.0 on levels 1 and 2 once, and of tests that exist."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"
# The levels of the requirements of each section, in their order. Source: the standard's own table, version 5.0.0.
LEVELS = {
    "1.1": "22",
    "1.2": "1111122223",
    "1.3": "112222222223",
    "1.4": "222",
    "1.5": "123",
    "2.1": "122",
    "2.2": "112",
    "2.3": "12223",
    "2.4": "23",
    "3.1": "3",
    "3.2": "113",
    "3.3": "12223",
    "3.4": "11222233",
    "3.5": "11122333",
    "3.6": "3",
    "3.7": "22333",
    "4.1": "12233",
    "4.2": "23333",
    "4.3": "22",
    "4.4": "1222",
    "5.1": "2",
    "5.2": "112333",
    "5.3": "113",
    "5.4": "222",
    "6.1": "122",
    "6.2": "111111112222",
    "6.3": "11223333",
    "6.4": "112233",
    "6.5": "22222333",
    "6.6": "2223",
    "6.7": "33",
    "6.8": "2222",
    "7.1": "222",
    "7.2": "1111",
    "7.3": "22",
    "7.4": "11222",
    "7.5": "223",
    "7.6": "22",
    "8.1": "1233",
    "8.2": "1123",
    "8.3": "133",
    "8.4": "23",
    "9.1": "111",
    "9.2": "1222",
    "10.1": "22",
    "10.2": "223",
    "10.3": "22223",
    "10.4": "1111122222233333",
    "10.5": "22222",
    "10.6": "22",
    "10.7": "222",
    "11.1": "2233",
    "11.2": "22233",
    "11.3": "11233",
    "11.4": "1222",
    "11.5": "23",
    "11.6": "23",
    "11.7": "33",
    "12.1": "12233",
    "12.2": "11",
    "12.3": "22223",
    "13.1": "2333",
    "13.2": "222223",
    "13.3": "2233",
    "13.4": "1222233",
    "14.1": "22",
    "14.2": "12223333",
    "14.3": "122",
    "15.1": "12233",
    "15.2": "12233",
    "15.3": "1222222",
    "15.4": "3333",
    "16.1": "2",
    "16.2": "22222",
    "16.3": "2222",
    "16.4": "222",
    "16.5": "2223",
    "17.1": "23",
    "17.2": "22223333",
    "17.3": "22",
}
ROWS = [line.strip("|").split(" | ") for line in DOCUMENT.read_text().splitlines() if line.startswith("| V")]


def test_each_requirement_of_levels_1_and_2_stands_there_once_and_none_is_invented():
    wanted = {
        f"V{section}.{n}" for section, levels in LEVELS.items() for n, level in enumerate(levels, 1) if level < "3"
    }
    told = [number for row in ROWS for number in row[0].strip().split(", ")]
    assert len(wanted) == 253
    assert sorted(told) == sorted(wanted)


def test_each_row_says_how_or_why_not():
    for row in ROWS:
        assert len(row) == 4, row
        assert all(cell.strip() for cell in row[:3]), row


NAMED = sorted({name for row in ROWS for name in re.findall(r"`([\w/]+\.py(?:::\w+)?)`", row[3])})


def test_tests_are_named():
    assert len(NAMED) > 60


@pytest.mark.parametrize("name", NAMED)
def test_each_test_named_exists(name):
    path, _, function = name.partition("::")
    source = (TESTS / path).read_text()
    assert not function or f"def {function}(" in source
