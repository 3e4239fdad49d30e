"""The power-loss model on a short record; and that it does lose what was not synced: else its silence means nothing."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.power.__main__ import cuts
from tests.power.disk import Disk, File, Resize, Write
from tests.power.judge import SESSIONS, Record, problems_after, recorded
from tests.power.trace import Call, why_not

ROWS, DOCUMENT_BYTES, SEED = 5, 9_000, 20260515


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Seven sessions of the repositories, as strace saw them."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    return recorded(tmp_path_factory.mktemp("power"), ROWS, DOCUMENT_BYTES)


def without(record: Record, *names: str) -> Record:
    """The same writes by a program that never makes these calls."""
    return replace(record, calls=tuple(call for call in record.calls if call is None or call.name not in names))


@pytest.mark.fault(3)
def test_wherever_the_power_fails_nothing_acknowledged_is_lost_and_nothing_is_half_there(record: Record) -> None:
    assert problems_after(record, cuts(record, 60, SEED), SEED) == []


@pytest.mark.fault(3)
def test_a_restore_leaves_the_former_database_or_the_fresh_one_wherever_the_power_fails(record: Record) -> None:
    # Restored onto a database whose process was killed: a log lies beside it.
    begun, ended = (record.ended(SESSIONS.index("bring_back") + after) for after in (-1, 0))
    within = [place for place in record.turning_points() if begun < place < ended]
    assert len(within) > 30
    assert problems_after(record, within, SEED) == []


def test_all_that_was_told_before_is_there_at_the_end(record: Record) -> None:
    # Five sessions of work: opened, begun, 5 rows, a history after rows 0 and 3, ended, reported. And two others.
    assert len(record.states) == 5 * 11 + 2
    assert record.states[-1]["report.json"] != record.states[0]["report.json"] == "absent"


def test_a_program_that_never_syncs_is_found_out(record: Record) -> None:
    careless = without(record, "fsync", "fdatasync")
    found = problems_after(careless, cuts(careless, 40, SEED), SEED)
    assert len(found) > 20
    assert any("neither the old state nor the new one" in problem for problem in found)


def test_a_program_that_syncs_its_log_at_checkpoints_only_is_found_out(record: Record) -> None:
    """The setting `synchronous=NORMAL`: sound at all times, and what was told is lost."""
    calls = list(record.calls)
    told = [place for place, call in enumerate(calls) if call is not None and call.name == "write"]
    for place in told:  # the sync of the log is the last call but few before the word that tells of it
        for before in range(max(place - 12, 0), place):
            call = calls[before]
            if call is not None and call.name == "fdatasync":
                calls[before] = Call("lseek", call.arguments, 0)
    careless = replace(record, calls=tuple(calls))
    assert problems_after(careless, cuts(careless, 60, SEED), SEED) != []


# --- the disk by itself ---


def call(name: str, *arguments: str | bytes, result: int = 0) -> Call:
    return Call(name, arguments, result)


def opened(disk: Disk, path: str, descriptor: int = 3) -> None:
    disk.apply(call("openat", "AT_FDCWD", path.encode(), "O_RDWR|O_CREAT", "0600", result=descriptor))


def possible(disk: Disk, tmp_path: Path, losses: int = 200) -> set[tuple[tuple[str, bytes], ...]]:
    """Every folder that some power loss leaves."""
    found = set()
    for turn in range(losses):
        folder = tmp_path / str(turn)
        folder.mkdir()
        disk.restored(folder, Random(turn))
        found.add(tuple(sorted((path.name, path.read_bytes()) for path in folder.iterdir())))
    return found


def test_a_synced_file_is_lost_with_its_name_until_the_directory_is_synced(tmp_path: Path) -> None:
    disk = Disk(Path("/box"))
    opened(disk, "/box/a")
    disk.apply(call("pwrite64", "3", b"hello", "5", "0", result=5))
    disk.apply(call("fsync", "3"))
    assert possible(disk, tmp_path) == {(), (("a", b"hello"),)}
    disk.root.sync()
    (tmp_path / "later").mkdir()
    assert possible(disk, tmp_path / "later") == {(("a", b"hello"),)}


def test_a_new_name_takes_an_old_ones_place_at_once(tmp_path: Path) -> None:
    disk = Disk(Path("/box"))
    for name, content in (("old", b"1st"), ("new", b"2nd")):
        opened(disk, f"/box/{name}")
        disk.apply(call("pwrite64", "3", content, "3", "0", result=3))
        disk.apply(call("fsync", "3"))
    disk.root.sync()
    disk.apply(call("rename", b"/box/new", b"/box/old"))
    before, after = (("new", b"2nd"), ("old", b"1st")), (("old", b"2nd"),)
    assert possible(disk, tmp_path) == {before, after}


def test_a_write_is_torn_between_sectors_of_512_bytes_only() -> None:
    file = File(durable=bytearray(b"-" * 1536), pending=[Write(256, b"x" * 1024)])
    found = {file.after_power_loss(Random(turn), 0.5) for turn in range(200)}
    parts = (b"-" * 256, b"x" * 256), (b"-" * 512, b"x" * 512), (b"-" * 256, b"x" * 256)
    first, second, third = parts
    assert found == {b"-" * 256 + a + b + c + b"-" * 256 for a in first for b in second for c in third}


def test_a_later_write_can_survive_an_earlier_one_and_leaves_a_gap() -> None:
    file = File(pending=[Write(0, b"a" * 512), Write(512, b"b" * 512), Resize(512)])
    found = {file.after_power_loss(Random(turn), 0.5) for turn in range(200)}
    assert bytes(512) + b"b" * 512 in found
    assert b"" in found
    assert b"a" * 512 in found
    assert {len(content) for content in found} == {0, 512, 1024}


def test_a_call_that_the_model_does_not_know_is_refused() -> None:
    disk = Disk(Path("/box"))
    opened(disk, "/box/a")
    with pytest.raises(NotImplementedError, match="fallocate"):
        disk.apply(call("fallocate", "3", "0", "0", "4096"))
