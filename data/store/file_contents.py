"""The contents of files: rows of their own, or files in a folder; others can be added."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import UUID

from data import sql_loader
from data.db import Connection
from data.records.ids import FileId

sql = sql_loader.load("files")


class Contents(Protocol):
    """Where contents are kept; `name` is what the row of a file says."""

    name: str

    async def put(self, tx: Connection, file_id: FileId, content: bytes) -> None:
        """Keep the content of a file whose row this transaction inserts."""

    async def get(self, tx: Connection, file_id: FileId) -> bytes | None:
        """Return the content; None when it is missing."""

    async def forget(self, ids: Collection[FileId]) -> None:
        """Delete what is kept of these, once their rows are gone."""


class InDatabase:
    """Contents as rows, which go with the row of their file."""

    name = "database"

    async def put(self, tx: Connection, file_id: FileId, content: bytes) -> None:
        """Insert it."""
        await tx.execute(sql.put_content, file_id, content)

    async def get(self, tx: Connection, file_id: FileId) -> bytes | None:
        """Return it; None when it is missing."""
        content: bytes | None = await tx.fetchval(sql.content, file_id)
        return content

    async def forget(self, ids: Collection[FileId]) -> None:
        """Do nothing: they are gone."""


class InFolder:
    """Contents as files named by their ids, readable only by their owner."""

    name = "folder"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, tx: Connection, file_id: FileId, content: bytes) -> None:
        """Write it; complete under its name or not at all."""
        await asyncio.to_thread(_write, self._path(file_id), content)

    async def get(self, tx: Connection, file_id: FileId) -> bytes | None:
        """Return it; None when it is missing."""
        with suppress(FileNotFoundError):
            return await asyncio.to_thread(self._path(file_id).read_bytes)
        return None

    async def forget(self, ids: Collection[FileId]) -> None:
        """Delete them."""
        for one in ids:
            await asyncio.to_thread(self._path(one).unlink, missing_ok=True)

    def exists(self, file_id: FileId) -> bool:
        """Whether the content of a file is there."""
        return self._path(file_id).is_file()

    def ids(self) -> Iterator[FileId]:
        """All that are there."""
        for path in self._folder.glob("??/*.jpg"):
            with suppress(ValueError):
                yield FileId(UUID(path.stem))

    def _path(self, file_id: FileId) -> Path:
        return self._folder / file_id.hex[-2:] / f"{file_id}.jpg"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
