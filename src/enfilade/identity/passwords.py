"""Passwords: kept as argon2id hashes, worked on beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from enfilade.clock import Clock, SystemClock
from enfilade.store import refuse_in_unit

T = TypeVar("T")

MEMORY: Final = 19 * 1024
"""KiB that one hash takes, with 2 passes: OWASP's least for argon2id, some 20 ms, and little room for many at once."""


class Passwords:
    """Hashes passwords and compares them; a service takes it in its constructor.

        account = await self.accounts.find_one(email=email)
        if not await self.passwords.verify(account and account.password, password):
            raise WrongLogin()

    `verify(None, ...)` takes the same time and is False, so that nobody learns by it who has an account. No more than
    `at_once` are worked on, in threads of their own: a crowd that logs in waits, and the rest of the app does not.
    """

    def __init__(self, clock: Clock | None = None, *, at_once: int = 2, memory: int = MEMORY, passes: int = 2) -> None:
        self._random = (clock or SystemClock()).random
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory, parallelism=1)
        self._nobody = f"$argon2id$v=19$m={memory},t={passes},p=1${'A' * 22}${'A' * 43}"
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="enfilade-passwords")

    async def hash(self, password: str) -> str:
        """What to keep of a password."""
        refuse_in_unit("hashing a password")
        salt = self._random.randbytes(16)
        return await self._aside(lambda: self._hasher.hash(password, salt=salt))

    async def verify(self, hash: str | None, password: str) -> bool:
        """Whether it is the password of this hash; of None it never is."""
        refuse_in_unit("comparing a password")
        return await self._aside(lambda: self._compare(hash or self._nobody, password)) and bool(hash)

    def needs_rehash(self, hash: str) -> bool:
        """Whether a hash was made with weaker settings: after a login, keep `await hash(password)` instead."""
        return self._hasher.check_needs_rehash(hash)

    def _compare(self, hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(hash, password)
        except VerifyMismatchError:
            return False

    async def _aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
