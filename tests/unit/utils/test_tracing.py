"""Which id a line carries, across scopes and tasks."""

import asyncio
import re

import pytest

from ivcrush.utils.tracing import correlation_id, correlation_scope, new_correlation_id


def test_outside_of_any_scope_the_id_is_a_dash() -> None:
    assert correlation_id() == "-"


def test_a_new_id_is_twelve_hexadecimal_digits_and_another_each_time() -> None:
    assert re.fullmatch("[0-9a-f]{12}", new_correlation_id())
    assert new_correlation_id() != new_correlation_id()


def test_a_given_id_holds_inside_its_scope_and_the_outer_one_is_back_after_it() -> None:
    with correlation_scope("run") as outer:
        with correlation_scope() as inner:
            assert correlation_id() == inner != outer
        assert correlation_id() == outer == "run"
    assert correlation_id() == "-"


def test_an_exception_leaves_no_id_behind() -> None:
    with pytest.raises(KeyError), correlation_scope("run"):
        raise KeyError("x")
    assert correlation_id() == "-"


async def test_tasks_inherit_the_id_and_do_not_see_each_others() -> None:
    async def in_scope(identifier: str) -> tuple[str, str]:
        inherited = correlation_id()
        with correlation_scope(identifier):
            await asyncio.sleep(0)
            return inherited, correlation_id()

    with correlation_scope("run"):
        seen = tuple(await asyncio.gather(in_scope("AAPL"), in_scope("MSFT")))
    assert seen == (("run", "AAPL"), ("run", "MSFT"))
