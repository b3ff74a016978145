"""Papers that are filed, changed and copied."""

from typing import Annotated, Protocol

from enfilade import (
    FIRST,
    Blob,
    Body,
    Message,
    Meta,
    Page,
    Paging,
    Problem,
    Stream,
    Version,
    anyone,
    command,
    contract,
    query,
)


class Paper(Message):
    id: str
    text: str
    version: Version = 0


class Draft(Message):
    """What a paper is made of; papers may have papers in them."""

    text: Annotated[str, Meta(max_length=100)]
    parts: "tuple[Draft, ...]" = ()


class Filed(Message):
    name: str
    media_type: str
    size: int


class NoSuchPaper(Problem, status=404):
    """No paper has this id."""


@contract(needs=anyone, body="64KiB", timeout=2.0)
class Desk(Protocol):
    @command("POST /papers", status=201)
    async def write(self, draft: Body[Draft]) -> Paper:
        """Keep a paper."""
        ...

    @query("GET /papers/{id}", raises=[NoSuchPaper])
    async def paper(self, id: str) -> Paper:
        """Read one."""
        ...

    @query("GET /papers")
    async def papers(self, page: Paging = FIRST) -> Page[Paper]:
        """Read all."""
        ...

    @command("PUT /papers/{id}", raises=[NoSuchPaper])
    async def change(self, id: str, version: Version, text: str) -> Paper:
        """Write anew what one has read before."""
        ...

    @command("PUT /files/{name}")
    async def file(self, name: str, content: Blob) -> Filed:
        """Keep a file."""
        ...

    @command("POST /lengths", body="100MiB", timeout=20.0)
    async def length(self, content: Stream[bytes]) -> int:
        """Count bytes and forget them."""
        ...
