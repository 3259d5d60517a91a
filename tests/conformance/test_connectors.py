"""Every way to connect keeps the contract of the connectors."""

import pytest

from connections.brokers import BROKERS
from tests.conformance.ways import WAYS

pytest.register_assert_rewrite("tests.conformance.connector_contract", "tests.conformance.fault_contract")
from tests.conformance.connector_contract import DataContract, SignInContract  # noqa: E402

each_way = pytest.mark.parametrize("way", WAYS, ids=str, scope="class")


def test_every_way_of_the_registry_is_held_to_the_contract():
    assert {way.method for way in WAYS} == set(BROKERS)
    assert all(BROKERS[way.method].broker == way.broker for way in WAYS)


@each_way
class TestSignIn(SignInContract):
    pass


@each_way
class TestData(DataContract):
    pass
