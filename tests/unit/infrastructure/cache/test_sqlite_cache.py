"""Level 2 on real files: what it keeps is right or not given, and nothing that happens to the file stops its caller."""

import logging
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ivcrush.infrastructure.cache import sqlite_cache
from ivcrush.infrastructure.cache.sqlite_cache import SqliteCache, StoredReply
from tests.unit.infrastructure.cache.conftest import WallClock

Open = Callable[..., SqliteCache]


def alter(path: Path, sql: str, *values: object) -> None:
    connection = sqlite3.connect(path)
    connection.execute(sql, values)
    connection.commit()
    connection.close()


def test_a_reply_survives_a_restart_and_tells_how_long_it_may_still_be_used(opened: Open, clock: WallClock) -> None:
    first = opened()
    first.set("quotes?symbols=IBM", b"{}", 300.0)
    first.close()
    clock.now_s += 100
    again = opened()
    assert again.get("quotes?symbols=IBM") == StoredReply(b"{}", 200.0, 100.0)
    stats = again.stats()
    assert (stats.hits, stats.misses, stats.entries, stats.bytes, stats.working) == (1, 0, 1, 2, True)


def test_two_open_caches_on_one_file_share_what_they_keep(opened: Open) -> None:
    one, other = opened(), opened()
    one.set("k", b"from one", 300.0)
    assert other.get("k") == StoredReply(b"from one", 300.0, 0.0)
    other.set("k", b"from the other", 300.0)
    assert one.get("k") == StoredReply(b"from the other", 300.0, 0.0)
    other.drop("k")
    assert one.get("k") is None


def test_a_reply_is_gone_at_the_second_its_time_is_over(opened: Open, clock: WallClock) -> None:
    cache = opened()
    cache.set("k", b"v", 300.0)
    clock.now_s += 300
    assert cache.get("k") is None
    assert (cache.stats().misses, cache.stats().corrupt, cache.stats().entries) == (1, 0, 0)


def test_a_clock_that_went_back_an_hour_makes_the_age_unknown_and_the_reply_unused(
    opened: Open, clock: WallClock
) -> None:
    cache = opened()
    cache.set("k", b"v", 300.0)
    clock.now_s -= 3600
    assert cache.get("k") is None


def test_a_clock_set_right_by_half_a_second_never_lengthens_a_life(opened: Open, clock: WallClock) -> None:
    cache = opened()
    cache.set("k", b"v", 300.0)
    clock.now_s -= 0.5
    assert cache.get("k") == StoredReply(b"v", 300.0, 0.0)


def test_a_life_of_nothing_and_a_reply_too_large_are_not_kept(opened: Open) -> None:
    cache = opened(max_bytes=800)
    cache.set("no time", b"v", 0.0)
    cache.set("too large", b"v" * 101, 300.0)
    cache.set("fits", b"v" * 100, 300.0)
    assert (cache.stats().sets, cache.stats().entries) == (1, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE replies SET payload = x'7b7c'",
        "UPDATE replies SET payload = x'7b7d00'",
        "UPDATE replies SET checksum = checksum + 1",
        "UPDATE replies SET expires_at = expires_at + 1e9",
        "UPDATE replies SET stored_at = stored_at - 1",
        "UPDATE replies SET key = 'other'",
    ],
)
def test_a_spoiled_row_is_dropped_and_counted_and_its_place_taken_again(
    opened: Open, cache_path: Path, spoil: str
) -> None:
    cache = opened()
    cache.set("asked", b"{}", 300.0)
    alter(cache_path, spoil)
    key = "other" if "key" in spoil else "asked"
    assert cache.get(key) is None
    assert (cache.stats().corrupt, cache.stats().entries) == (1, 0)
    cache.set(key, b"{}", 300.0)
    assert cache.get(key) == StoredReply(b"{}", 300.0, 0.0)


def test_each_single_flipped_bit_of_a_payload_is_found(opened: Open, cache_path: Path) -> None:
    payload = b'{"bid": 1.25, "ask": 1.3}'
    cache = opened()
    for bit in range(8 * len(payload)):
        cache.set("k", payload, 300.0)
        flipped = (int.from_bytes(payload, "big") ^ 1 << bit).to_bytes(len(payload), "big")
        alter(cache_path, "UPDATE replies SET payload = ?", flipped)
        assert cache.get("k") is None, bit
    assert cache.stats().corrupt == 8 * len(payload)


def test_rows_and_bytes_stay_bounded_over_a_year_and_those_that_live_longest_stay(
    opened: Open, clock: WallClock, cache_path: Path
) -> None:
    cache = opened(max_rows=50, max_bytes=1_000_000)
    for number in range(52 * 40):  # 40 replies of 4 KB a week
        cache.set(f"chain {number}", bytes(4096), 30 * 86_400.0)
        clock.now_s += 7 * 86_400 / 40
    stats = cache.stats()
    assert stats.entries <= 50 + 256
    assert cache_path.stat().st_size < 4_000_000
    assert cache.get("chain 2079") is not None
    assert cache.get("chain 0") is None


def test_a_short_run_sweeps_what_earlier_ones_left_expired(opened: Open, clock: WallClock) -> None:
    first = opened()
    for number in range(5):
        first.set(f"old {number}", b"v", 300.0)
    first.close()
    clock.now_s += 86_400
    second = opened()
    second.set("new", b"v", 300.0)
    assert second.stats().entries == 1


def test_the_byte_limit_keeps_the_replies_that_live_longest(opened: Open) -> None:
    cache = opened(max_bytes=8_000)
    for number in range(16):
        cache.set(f"k{number}", bytes(1000), 300.0 + number)
    cache._sweep_when_due(8_000)
    assert [number for number in range(16) if cache.get(f"k{number}") is not None] == list(range(8, 16))


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xff" * 5000)


def half_of_it(path: Path) -> None:
    SqliteCache(path).close()
    path.write_bytes(path.read_bytes()[:9000])


def no_page_intact(path: Path) -> None:
    SqliteCache(path).close()
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\x5a" * (len(content) - 100))


@pytest.mark.parametrize("spoil", [garbage, half_of_it, no_page_intact])
def test_a_damaged_file_is_begun_anew_with_a_warning_and_the_old_one_set_aside(
    opened: Open, cache_path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(cache_path)
    before = cache_path.read_bytes()
    with caplog.at_level(logging.WARNING):
        cache = opened()
    cache.set("k", b"v", 300.0)
    assert cache.get("k") == StoredReply(b"v", 300.0, 0.0)
    assert (cache.stats().rebuilds, cache.stats().working) == (1, True)
    assert [str(cache_path) in record.message for record in caplog.records] == [True]
    assert cache_path.with_name("cache.db.damaged").read_bytes() == before


def test_damage_met_while_in_use_is_repaired_for_the_next_question(opened: Open, cache_path: Path) -> None:
    writer = opened()
    for number in range(40):
        writer.set(f"k{number}", bytes(9000), 300.0)
    writer.close()
    reader = opened()
    content = cache_path.read_bytes()
    cache_path.write_bytes(content[: 16384 * 2] + b"\x5a" * (len(content) - 16384 * 2))
    assert reader.get("k7") is None
    assert reader.stats().rebuilds == 1
    reader.set("k7", b"v", 300.0)
    assert reader.get("k7") == StoredReply(b"v", 300.0, 0.0)


def test_an_empty_file_is_a_new_cache(opened: Open, cache_path: Path) -> None:
    cache_path.touch()
    cache = opened()
    cache.set("k", b"v", 300.0)
    assert (cache.get("k"), cache.stats().rebuilds) == (StoredReply(b"v", 300.0, 0.0), 0)


def test_a_cache_of_another_version_is_emptied_without_a_word(opened: Open, cache_path: Path) -> None:
    old = opened()
    old.set("k", b"v", 300.0)
    old.close()
    alter(cache_path, f"PRAGMA user_version = {sqlite_cache.SCHEMA + 1}")
    cache = opened()
    assert (cache.get("k"), cache.stats().entries, cache.stats().rebuilds) == (None, 0, 0)


def test_another_programs_database_is_left_alone_and_done_without(
    opened: Open, cache_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alter(cache_path, "CREATE TABLE songs (title TEXT)")
    before = cache_path.read_bytes()
    cache = opened()
    cache.set("k", b"v", 300.0)
    assert (cache.get("k"), cache.stats().working) == (None, False)
    assert cache_path.read_bytes() == before
    assert len(caplog.records) == 1
    assert "another program's database" in caplog.text


@pytest.mark.parametrize("place", ["a directory", "under a file", "nowhere writable"])
def test_a_place_that_cannot_hold_a_file_is_done_without_after_one_warning(
    tmp_path: Path, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "plain").write_text("x")
    path = {
        "a directory": tmp_path,
        "under a file": tmp_path / "plain" / "cache.db",
        "nowhere writable": Path("/proc/none/cache.db"),
    }[place]
    cache = SqliteCache(path)
    for number in range(3):
        cache.set(f"k{number}", b"v", 300.0)
        assert cache.get(f"k{number}") is None
    cache.drop("k")
    assert cache.stats().working is False
    assert len(caplog.records) == 1


def test_a_full_disk_costs_the_new_replies_only_and_one_warning(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    cache = opened()
    cache.set("small", b"v", 300.0)
    assert cache._connection is not None
    cache._connection.execute("PRAGMA max_page_count = 1")
    cache.set("large", bytes(200_000), 300.0)
    cache.set("large too", bytes(200_000), 300.0)
    assert (cache.get("small"), cache.get("large")) == (StoredReply(b"v", 300.0, 0.0), None)
    assert len(caplog.records) == 1


def test_a_locked_file_is_passed_over_without_a_word(
    opened: Open, cache_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = opened()
    cache.set("k", b"v", 300.0)
    other = sqlite3.connect(cache_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache.set("j", b"v", 300.0)
    assert (cache.get("k"), cache.get("j")) == (StoredReply(b"v", 300.0, 0.0), None)
    other.close()
    assert caplog.records == []


def test_the_file_and_its_directory_are_for_their_owner_only(tmp_path: Path) -> None:
    cache = SqliteCache(tmp_path / "new" / "cache.db")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "new").iterdir()} == {0o600}
    cache.close()


def test_a_closed_cache_hands_out_nothing_and_keeps_nothing(opened: Open) -> None:
    cache = opened()
    cache.set("k", b"v", 300.0)
    cache.close()
    assert cache.get("k") is None
    cache.set("k", b"v", 300.0)
    assert (cache.get("k"), cache.stats().working) == (None, False)
