import pytest


@pytest.fixture
def loaded(db):
    """The shipped catalogue in the database."""
    from comparison import loading  # a conftest is read before Django is ready

    return loading.load()
