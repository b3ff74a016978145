"""Files that are exchanged whole, or made once."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from enfilade.secrets import kept


def test_a_file_is_exchanged_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o644)

    kept.write(path, b"new")

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_exchanged_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.mkdir()

    with pytest.raises(OSError):
        kept.write(path, b"new")

    assert list(tmp_path.iterdir()) == [path]


def test_a_file_may_be_for_everybody(tmp_path: Path) -> None:
    kept.write(tmp_path / "list", b"public", 0o644)

    assert stat.S_IMODE((tmp_path / "list").stat().st_mode) == 0o644


def test_of_many_that_make_a_file_the_first_ones_stays(tmp_path: Path) -> None:
    path, numbers = tmp_path / "folder" / "secret", count()

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(lambda _: kept.once(path, lambda: b"%d" % next(numbers)), range(64)))

    assert found == {path.read_bytes()}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
