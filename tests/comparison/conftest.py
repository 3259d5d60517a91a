from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def shipped_once(django_db_setup, django_db_blocker) -> Iterator[object]:
    """The shipped catalogue, committed once for a module: 1,300 rows are too many for each test."""
    from django.apps import apps

    from comparison import loading  # a conftest is read before Django is ready

    with django_db_blocker.unblock():
        found = loading.load()
    yield found
    with django_db_blocker.unblock():
        for name in ("FeeRule", "RegulatoryFee", "BenchmarkValue", "PlanFeature", "FeatureDefinition", "RuleChange"):
            apps.get_model("comparison", name).objects.all().delete()
        for name in ("BrokerPlan", "ComparisonBroker", "ComparisonSource", "CatalogueChange"):
            apps.get_model("comparison", name).objects.all().delete()


@pytest.fixture
def loaded(shipped_once, db):
    """The shipped catalogue in the database; what a test changes in it is taken back."""
    return shipped_once
