"""While many records are made, nothing looks for garbage among them; afterwards all is as it was."""

from __future__ import annotations

import gc
import weakref

import pytest

from leaderboard.process_pool import without_cycle_collection


class Record:
    own: Record | None = None


@pytest.fixture(autouse=True)
def thawed():
    yield
    gc.unfreeze()


def test_collection_goes_on_after_the_outermost_block_alone():
    with without_cycle_collection():
        with without_cycle_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collection_was_off_before_and_stays_off():
    gc.disable()
    try:
        with without_cycle_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_goes_on_after_an_error():
    with pytest.raises(ValueError, match="it"), without_cycle_collection():
        raise ValueError("it")
    assert gc.isenabled()


def test_records_are_not_looked_at_again_and_are_freed_once_nothing_refers_to_them():
    with without_cycle_collection():
        records = [Record() for _ in range(100)]
    looked_at = {id(item) for item in gc.get_objects()}
    assert not looked_at & {id(record) for record in records}
    last = weakref.ref(records[-1])
    del records
    assert last() is None


def test_garbage_in_cycles_that_is_made_later_is_collected():
    with without_cycle_collection():
        pass
    record = Record()
    record.own = record
    last = weakref.ref(record)
    del record
    gc.collect()
    assert last() is None
