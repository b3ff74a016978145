"""The audit on disk: whole, or it is known what was done to it."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from enfilade.clock import VirtualClock
from enfilade.guard import Trail, prove

SECRET = b"a secret of thirty-two characters"


def written(folder: Path, *lines: str, clock: VirtualClock | None = None, size: int = 1024**2) -> Path:
    """A file with these lines; the first is its opening."""
    trail = Trail(folder, SECRET, clock or VirtualClock(), size=size)
    for line in lines:
        trail.write(json.dumps({"what": line}).encode())
    close(trail)
    return folder / trail.name


def close(trail: Trail) -> None:
    asyncio.run(trail.aclose())


def settle(trail: Trail) -> None:
    while trail.waiting:
        time.sleep(0.01)  # it writes in a thread


def rules(folder: Path, **options: str) -> list[str]:
    return [one.rule for one in prove(folder, SECRET, **options).findings]


def test_what_was_written_is_whole(tmp_path: Path) -> None:
    written(tmp_path, "a", "b")
    path = written(tmp_path, "c")

    proof = prove(tmp_path, SECRET)
    assert (proof.files, proof.lines, proof.findings, proof.notes) == (2, 5, (), ())
    assert [json.loads(line).get("what") for line in path.read_text().splitlines()] == [None, "c"]


def test_a_seal_is_what_anybody_with_the_secret_can_compute(tmp_path: Path) -> None:
    path = written(tmp_path, "a", "b")
    key, before = hmac.digest(SECRET, b"enfilade audit", "sha256"), ""

    for line in path.read_text().splitlines():
        text, _, mark = line.rpartition(',"seal":"')
        assert mark == hmac.digest(key, f"{before}{text}}}".encode(), "sha256").hex() + '"}'
        before = mark[:64]


Lines = list[bytes]
SPOILED: dict[str, tuple[str, Callable[[Lines], Lines]]] = {
    "changed": ("changed", lambda lines: [line.replace(b'"b"', b'"x"') for line in lines]),
    "removed": ("truncated", lambda lines: [*lines[:2], *lines[3:]]),
    "swapped": ("changed", lambda lines: [lines[0], lines[2], lines[1], *lines[3:]]),
    "cut": ("truncated", lambda lines: lines[:-1]),
    "cut within a line": ("truncated", lambda lines: [*lines[:-1], lines[-1][:20]]),
    "beheaded": ("truncated", lambda lines: lines[1:]),
    "repeated": ("changed", lambda lines: [*lines, lines[-1]]),
    "unsealed": ("changed", lambda lines: [*lines[:2], b'{"what":"b"}\n', *lines[3:]]),
    "no line": ("changed", lambda lines: [*lines[:2], b"nonsense\n", *lines[3:]]),
    "emptied": ("truncated", lambda lines: []),
}


@pytest.mark.parametrize(("rule", "spoil"), SPOILED.values(), ids=SPOILED.keys())
def test_what_somebody_does_to_a_file_is_found(tmp_path: Path, rule: str, spoil: Callable[[Lines], Lines]) -> None:
    path = written(tmp_path, "a", "b", "c")
    path.write_bytes(b"".join(spoil(path.read_bytes().splitlines(keepends=True))))

    assert rule in rules(tmp_path)


def test_a_finding_names_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a", "b", "c")
    path.write_bytes(path.read_bytes().replace(b'"b"', b'"x"'))

    assert [one.where for one in prove(tmp_path, SECRET).findings] == [f"{path.name}:3"]


def test_a_writer_that_was_killed_within_a_line_is_no_tampering(tmp_path: Path) -> None:
    path = written(tmp_path, "a", "b")
    with path.open("ab") as file:
        file.write(b'{"what":"c","se')

    proof = prove(tmp_path, SECRET)
    assert proof.findings == ()
    assert proof.notes == (f"{path.name} ends within line 4: its writer was stopped there.",)


def test_lines_that_were_written_before_their_head_was_are_whole(tmp_path: Path) -> None:
    path = written(tmp_path, "a")
    head = path.with_name(f"{path.name}.head")
    before = head.read_bytes()
    other = written(tmp_path, "b")
    other.with_name(f"{other.name}.head").write_bytes(before)  # another's is none

    assert rules(tmp_path) == ["head"]


def test_a_file_cannot_go_missing_once_another_was_begun(tmp_path: Path) -> None:
    first, second = written(tmp_path, "a"), written(tmp_path, "b")
    written(tmp_path, "c")
    for path in (second, second.with_name(f"{second.name}.head")):
        path.unlink()

    assert rules(tmp_path) == ["missing"]
    first.unlink()
    assert rules(tmp_path) == ["missing", "missing"]  # named by nobody that is there, but its head is


def test_files_that_were_put_away_need_not_be_there(tmp_path: Path) -> None:
    clock = VirtualClock()
    first = written(tmp_path, "a", clock=clock)
    asyncio.run(clock.advance(60.0))
    second = written(tmp_path, "b", clock=clock)
    for path in (first, first.with_name(f"{first.name}.head")):
        path.unlink()

    assert rules(tmp_path) == ["missing"]
    assert rules(tmp_path, begin=second.name) == []


def test_a_seal_that_the_log_named_proves_that_the_newest_file_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "enfilade"):
        path = written(tmp_path, "a")
    seal = caplog.messages[-1].rpartition(" ")[2]

    assert rules(tmp_path, end=seal) == []
    for each in (path, path.with_name(f"{path.name}.head")):
        each.unlink()
    assert rules(tmp_path) == []
    assert rules(tmp_path, end=seal) == ["missing"]


def test_nobody_without_the_secret_makes_a_chain(tmp_path: Path) -> None:
    trail = Trail(tmp_path, b"another secret of 32 characters!", VirtualClock())
    trail.write(b'{"what":"a"}')
    close(trail)

    assert rules(tmp_path) == ["foreign"]


def test_a_file_that_is_renamed_is_found(tmp_path: Path) -> None:
    path = written(tmp_path, "a")
    path.rename(tmp_path / "20990101T000000Z-1-00000000.jsonl")

    assert set(rules(tmp_path)) >= {"missing", "head", "changed"}


def test_a_new_file_is_begun_when_one_is_large_and_each_day_and_the_chain_goes_on(tmp_path: Path) -> None:
    clock = VirtualClock()
    trail = Trail(tmp_path, SECRET, clock, size=400)
    for turn in (0.0, 0.0, 86400.0):
        asyncio.run(clock.advance(turn))
        trail.write(json.dumps({"what": "x" * 300}).encode())
        settle(trail)
    close(trail)

    proof = prove(tmp_path, SECRET)
    assert (proof.files, proof.lines, proof.findings) == (3, 6, ())
    assert sorted(one.name[:8] for one in tmp_path.glob("*.jsonl")) == ["20260101", "20260101", "20260102"]


def test_processes_that_write_at_once_have_files_of_their_own_and_each_is_named_later(tmp_path: Path) -> None:
    both = [Trail(tmp_path, SECRET, VirtualClock()) for _ in range(2)]
    for trail in both:
        trail.write(b'{"what":"a"}')
    for trail in both:
        close(trail)
    written(tmp_path, "b")
    for path in tmp_path.glob(f"{both[0].name}*"):
        path.unlink()

    assert rules(tmp_path) == ["missing"]


def test_all_lines_are_written_when_it_is_closed(tmp_path: Path) -> None:
    path = written(tmp_path, *map(str, range(5000)))

    assert [json.loads(line).get("what") for line in path.read_bytes().splitlines()[1:]] == [*map(str, range(5000))]


def test_a_disk_that_takes_nothing_delays_the_lines_and_loses_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trail = Trail(tmp_path, SECRET, VirtualClock(), size=1)
    tmp_path.rename(gone := tmp_path.with_name("gone"))  # so that no new file can be begun
    trail.write(b'{"what":"a"}')
    while not caplog.records:
        time.sleep(0.01)
    gone.rename(tmp_path)
    trail.write(b'{"what":"b"}')
    settle(trail)
    close(trail)

    assert "cannot be written" in caplog.text
    assert prove(tmp_path, SECRET).findings == ()
    lines = [json.loads(line) for path in sorted(tmp_path.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    assert sorted(line["what"] for line in lines if "what" in line) == ["a", "b"]


def test_no_files_are_nothing(tmp_path: Path) -> None:
    assert prove(tmp_path / "none", SECRET).files == 0
