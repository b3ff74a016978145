"""Keeps papers in rows and files in the folder."""

from dataclasses import dataclass
from typing import final

from desk.contract import Desk, Draft, Filed, NoSuchPaper, Paper
from enfilade import FIRST, Blob, Page, Paging, Stream
from enfilade.service import Key, Row, Table, Version, atomic, new_id


class PaperRow(Row):
    id: Key[str]
    text: str
    version: Version = 0


class FileRow(Row):
    id: Key[str]
    name: str


@final
@dataclass
class DeskService(Desk):
    papers_: Table[PaperRow]
    files: Table[FileRow]

    @atomic
    async def write(self, draft: Draft) -> Paper:
        return (await self.papers_.add(PaperRow(id=new_id("pap"), text=draft.text))).into(Paper)

    async def paper(self, id: str) -> Paper:
        row = await self.papers_.get(id)
        if row is None:
            raise NoSuchPaper()
        return row.into(Paper)

    async def papers(self, page: Paging = FIRST) -> Page[Paper]:
        found = await self.papers_.page(page, order="id")
        return Page(items=tuple(row.into(Paper) for row in found.items), next=found.next)

    @atomic
    async def change(self, id: str, version: Version, text: str) -> Paper:
        row = await self.papers_.get(id)
        if row is None:
            raise NoSuchPaper()
        (stored,) = await self.papers_.put(row.replace(text=text, version=version))
        return stored.into(Paper)

    @atomic
    async def file(self, name: str, content: Blob) -> Filed:
        await self.files.add(FileRow(id=content.id, name=content.name))
        return Filed(name=content.name, media_type=content.media_type, size=content.size)

    async def length(self, content: Stream[bytes]) -> int:
        return sum([len(piece) async for piece in content])
