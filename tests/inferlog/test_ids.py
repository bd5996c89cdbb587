"""Ids are short to look up, in the order of their making, and never the same twice."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from inferlog.ids import IdMaker, new_instance_id


def test_ids_are_32_hexadecimal_digits_in_order() -> None:
    make_id = IdMaker()
    ids = [make_id() for _ in range(1000)]
    assert all(re.fullmatch("[0-9a-f]{32}", made) for made in ids)
    assert ids == sorted(ids)


def test_a_later_maker_s_ids_come_later() -> None:
    assert IdMaker()()[:13] <= IdMaker()()[:13]


def test_threads_share_a_maker_without_sharing_an_id() -> None:
    make_id = IdMaker()
    with ThreadPoolExecutor(8) as threads:
        made = [future.result() for future in [threads.submit(_many, make_id) for _ in range(8)]]
    ids = [one for some in made for one in some]
    assert len(set(ids)) == len(ids) == 8 * 2000


def test_makers_of_the_same_moment_share_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_780_000_000_000_000_000)
    assert len({IdMaker()() for _ in range(1000)}) == 1000


def test_an_instance_id_is_16_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{16}", new_instance_id())
    assert new_instance_id() != new_instance_id()


def _many(make_id: IdMaker) -> list[str]:
    return [make_id() for _ in range(2000)]
