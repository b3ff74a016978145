"""What is stored sealed: read where it was sealed, with its key, and nowhere else."""

from __future__ import annotations

import pytest

from enfilade.secrets.seal import DataKeys, Seal, Unsealable, next_key

SECRET = b"a secret of thirty-two characters"
ONE = next_key("")
TWO = next_key(ONE)


def test_what_was_sealed_is_read_again() -> None:
    sealed = Seal(SECRET, "answers").seal(b"the answer", b"here")

    assert Seal(SECRET, "answers").open(sealed, b"here") == b"the answer"
    assert b"answer" not in sealed


@pytest.mark.parametrize(
    ("secret", "purpose", "about"),
    [(b"another secret of 32 characters!!", "answers", b"here"), (SECRET, "other", b"here"),
     (SECRET, "answers", b"there")],
)  # fmt: skip
def test_it_is_read_with_its_secret_for_its_purpose_at_its_place_only(
    secret: bytes, purpose: str, about: bytes
) -> None:
    sealed = Seal(SECRET, "answers").seal(b"the answer", b"here")
    with pytest.raises(Unsealable):
        Seal(secret, purpose).open(sealed, about)


def test_a_digest_knows_the_same_again_and_needs_the_secret() -> None:
    assert Seal(SECRET, "a").digest(b"4111") == Seal(SECRET, "a").digest(b"4111")
    assert Seal(SECRET, "a").digest(b"4111") != Seal(SECRET, "b").digest(b"4111")


@pytest.mark.parametrize("at", range(0, 103, 7))
def test_a_changed_byte_anywhere_is_noticed(at: int) -> None:
    keys = DataKeys(ONE)
    sealed = bytearray(keys.seal(b"0123456789", b"here"))
    assert len(sealed) == 93 + 10
    sealed[at] ^= 1
    with pytest.raises(Unsealable):
        keys.open(bytes(sealed), b"here")


@pytest.mark.parametrize("broken", [b"", b"\x01", b"plain text of a column" * 8])
def test_what_is_no_sealed_value_is_told_so(broken: bytes) -> None:
    with pytest.raises(Unsealable):
        DataKeys(ONE).open(broken, b"here")


def test_a_new_version_encrypts_and_the_old_one_still_reads() -> None:
    old = DataKeys(ONE).seal(b"written before", b"here")
    both = DataKeys(TWO)

    assert both.open(old, b"here") == b"written before"
    assert both.newest == 2
    with pytest.raises(Unsealable, match="no version 2"):
        DataKeys(ONE).open(both.seal(b"written after", b"here"), b"here")


def test_a_rewrap_changes_the_wrapped_key_and_not_the_value() -> None:
    old = DataKeys(ONE).seal(b"the value", b"here")
    new = DataKeys(TWO).rewrap(old, b"here")
    assert new is not None
    only_new = DataKeys(TWO.split()[1])

    assert only_new.open(new, b"here") == b"the value"
    assert new[65:] == old[65:]
    assert only_new.rewrap(new, b"here") is None
    with pytest.raises(Unsealable):
        DataKeys(TWO).rewrap(old, b"elsewhere")


@pytest.mark.parametrize(
    "said", ["", "nonsense", "1:short", f"{ONE} {ONE}", "0:" + ONE.partition(":")[2]], ids=range(5)
)
def test_a_data_key_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(ValueError):
        DataKeys(said)
