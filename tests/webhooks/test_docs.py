"""The guide is right: its code verifies a message of the hub, and its table is the list of events."""

import re
from pathlib import Path
from typing import Any

import pytest

from brokerhub.webhooks import tasks
from brokerhub.webhooks.event_types import EventType, as_table

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", GUIDE, re.S)


@pytest.mark.django_db
@pytest.mark.parametrize("number", range(len(CODE)))
def test_its_code_takes_the_hubs_message_and_refuses_a_forged_one(hooked, receiver, happens, number):
    names: dict[str, Any] = {}
    exec(CODE[number], names)
    happens("sync.finished", run={"id": 7})
    tasks.dispatch()
    [got] = receiver.got
    message = names["receive"](got.body, got.headers, hooked.secret)
    assert (message["type"], message["data"]) == ("sync.finished", {"run": {"id": 7}})
    old = got.headers | {"webhook-timestamp": str(int(got.headers["webhook-timestamp"]) - 600)}
    for body, headers in ((got.body.replace(b"7", b"8"), got.headers), (got.body, old)):
        with pytest.raises(Exception, match=r"ignature|old"):
            names["receive"](body, headers, hooked.secret)


def test_there_are_two_ways_to_verify():
    assert len(CODE) == 2


@pytest.mark.parametrize("each", EventType, ids=str)
def test_its_table_and_the_schema_say_the_same_of_each_event(each):
    row = f"| `{each.value}` | {each.sentence} |"
    assert row in GUIDE
    assert row in as_table()


def test_its_table_has_no_event_that_is_none():
    assert set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)`", GUIDE, re.M)) == set(EventType.values)
