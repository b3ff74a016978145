"""The mail server. `GET /messages` shows what was sent."""

import msgspec

from shop.outside.wire import Answer, Ask, nothing


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    to: str
    subject: str
    text: str


class Mail:
    """Remembers messages by their id."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}

    async def answer(self, ask: Ask) -> Answer:
        match ask.method, ask.path:
            case "PUT", ("messages", id):
                self.messages.setdefault(id, msgspec.json.decode(ask.body, type=Message))
                return Answer(204)
            case "GET", ("messages",):
                return Answer(200, self.messages)
            case _:
                return await nothing(ask)
