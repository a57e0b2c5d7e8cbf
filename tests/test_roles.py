"""Finding roles, and what they share."""

import pytest

from gateway.accounts import Accounts
from gateway.metrics import Metrics
from gateway.roles import Services, UnknownRoleError, find_roles, role_names
from gateway.settings import Settings


def test_every_role_of_the_package_is_found() -> None:
    assert {"checkpoint", "guard", "http"} <= set(role_names())
    assert list(find_roles()) == role_names()


def test_only_the_named_roles_are_built_and_each_once() -> None:
    assert list(find_roles(["http", "guard", "http"])) == ["http", "guard"]


def test_an_unknown_role_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownRoleError, match=r"no role gaurd; roles are .*guard"):
        find_roles(["gaurd"])


def test_the_fresh_state_is_made_when_a_role_asks_for_it_and_shared() -> None:
    services = Services(Settings.of(), Accounts({}), Metrics("1"))
    assert services.fresh is None
    assert services.fresh_state() is services.fresh_state() is services.fresh


def test_building_every_role_connects_to_nothing() -> None:
    services = Services(Settings.of(kafka_bootstrap_servers="127.0.0.1:1"), Accounts({}), Metrics("1"))
    assert all(build(services).problems() is not None for build in find_roles().values())
