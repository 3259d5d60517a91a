"""The sandbox's central bank: three files, as the real site has them."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
import requests

LIMIT = 30  # seconds
CUBE = "{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}Cube"


def days(sandbox, name: str, **options) -> dict[str, dict[str, str]]:
    answer = requests.get(f"{sandbox.base_url}/ecb/stats/eurofxref/{name}", timeout=LIMIT, **options)
    answer.raise_for_status()
    found = ElementTree.fromstring(answer.content).findall(f"{CUBE}/{CUBE}")
    return {day.attrib["time"]: {line.attrib["currency"]: line.attrib["rate"] for line in day} for day in found}


def test_each_file_begins_with_the_newest_day_and_has_all_of_the_one_before(sandbox):
    sandbox.set_now(datetime(2026, 11, 22, 12, tzinfo=UTC))  # a Sunday
    names = ("eurofxref-daily.xml", "eurofxref-hist-90d.xml", "eurofxref-hist.xml")
    daily, lately, ever = (days(sandbox, name) for name in names)
    assert list(daily) == ["2026-11-20"]
    assert len(lately) == 65
    assert list(ever)[-1] == "2021-11-15"
    assert {next(iter(ever)), next(iter(lately))} == {"2026-11-20"}
    assert ever["2026-11-20"] == lately["2026-11-20"] == daily["2026-11-20"]
    assert len(daily["2026-11-20"]) == 29


def test_the_days_rates_come_at_sixteen_hundred_in_frankfurt(sandbox):
    sandbox.set_now(datetime(2026, 11, 20, 14, 58, tzinfo=UTC))
    assert list(days(sandbox, "eurofxref-daily.xml")) == ["2026-11-19"]
    sandbox.advance(180)
    assert list(days(sandbox, "eurofxref-daily.xml")) == ["2026-11-20"]


@pytest.mark.parametrize("path", ["/ecb/stats/eurofxref/eurofxref.xml", "/ecb/"])
def test_other_addresses_are_not_there(sandbox, path):
    assert requests.get(sandbox.base_url + path, timeout=LIMIT).status_code == 404


def test_it_is_reached_by_its_own_host_name_too(sandbox):
    url = f"{sandbox.base_url}/stats/eurofxref/eurofxref-daily.xml"
    answer = requests.get(url, headers={"Host": "www.ecb.europa.eu"}, timeout=LIMIT)
    assert answer.status_code == 200
    assert b"European Central Bank" in answer.content
