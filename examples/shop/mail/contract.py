"""Mail: the mail server. Somebody else's system; this is what we know of it."""

from typing import Protocol

from enfilade import Sensitive, command, contract, peers


@contract(owner="customers", version=1, needs=peers)
class Mail(Protocol):
    @command("PUT /messages/{id}")
    async def send(self, id: str, to: Sensitive[str], subject: str, text: str) -> None:
        """Send a mail. The same id is the same mail, and is sent once."""
        ...
