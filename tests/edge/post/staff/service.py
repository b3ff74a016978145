from __future__ import annotations

from typing import final

from post.staff.contract import Staff

from enfilade.identity.people import LoginRefused, Person


@final
class StaffService(Staff):
    async def authenticate(self, login: str, password: str, tenant: str = "") -> Person:
        raise LoginRefused

    async def person(self, subject: str) -> Person:
        return Person(subject=subject)
