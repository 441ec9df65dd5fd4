"""The uploaded files: kept in the database, in pieces, as CSV in UTF-8 with plain line ends, whatever they came in."""

import codecs
import io
import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import timedelta
from typing import IO, BinaryIO
from uuid import UUID

from sqlalchemy import delete, exists, select, update
from sqlalchemy.exc import SQLAlchemyError

from backend.db import database as db
from backend.db.models.spreadsheets import MOVING, Spreadsheet, Stage, UploadPiece
from backend.jobs.workbooks import reading
from backend.lib import clock, inputs, settings
from backend.lib.problems import Problem

MAX_BYTES = 50 * 1024 * 1024
# Of each piece but the last; a process has one of them in memory for each file that it reads or writes.
PIECE_BYTES = 256 * 1024
_CHUNK = 64 * 1024
_SNIFFED = 512
# Pieces that no row names for so long were left by a process that was killed between writing them and saying so.
_STRAY_AFTER = timedelta(days=1)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# How ZIP archives (.xlsx, .ods), and the older binary workbooks (.xls) as well as those with a password, begin.
_WORKBOOK = b"PK\x03\x04"
_OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
logger = logging.getLogger(__name__)
# Checked and not sent for so long, a file with people's addresses is deleted.
KEPT = timedelta(days=8)
_NEEDED = tuple(stage.value for stage in (*MOVING, Stage.CHECKED))


class _Writer:
    """Writes a file piece by piece, each in a transaction of its own: nobody else waits for the whole."""

    def __init__(self, uid: UUID) -> None:
        self._uid = uid
        self._number = 0
        self._rest = bytearray()

    @property
    def size(self) -> int:
        return self._number * PIECE_BYTES + len(self._rest)

    def write(self, content: bytes) -> None:
        self._rest += content
        while len(self._rest) >= PIECE_BYTES:
            self._put(bytes(self._rest[:PIECE_BYTES]))
            del self._rest[:PIECE_BYTES]
            self._number += 1

    def end(self) -> int:
        """Write what is left and return how many bytes there are."""
        size = self.size
        if self._rest or not self._number:
            self._put(bytes(self._rest))
        return size

    def _put(self, content: bytes) -> None:
        # The row that names the file is committed after it, and takes what was written before along to the disk.
        with db.current().transaction(durable=False) as session:
            session.add(UploadPiece(upload_uid=self._uid, number=self._number, content=content))


class _Reader(io.RawIOBase):
    """Reads a file from any place on, a piece at a time."""

    def __init__(self, uid: UUID) -> None:
        self._uid = uid
        self._position = 0
        self._number = 0
        self._piece = self._read_piece(0)
        if self._piece is None:
            raise FileNotFoundError(f"The database holds no upload {uid}.")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("The end of an upload is not known.")
        self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # of all buffers, these two
        number, start = divmod(self._position, PIECE_BYTES)
        if number != self._number:
            self._piece = None  # gone before the next is there
            self._number, self._piece = number, self._read_piece(number)
        content = (self._piece or b"")[start : start + len(buffer)]
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def _read_piece(self, number: int) -> bytes | None:
        wanted = (UploadPiece.upload_uid == self._uid, UploadPiece.number == number)
        with db.current().read() as session:
            return session.scalar(select(UploadPiece.content).where(*wanted))


def opened(uid: UUID) -> BinaryIO:
    """Open the file of a spreadsheet for reading.

    Raises:
        FileNotFoundError: if there is none.
    """
    return io.BufferedReader(_Reader(uid), _CHUNK)


def keep(source: IO[bytes], uid: UUID) -> int:
    """Store an upload, piece by piece, and return how many bytes it has there.

    Raises:
        Problem: ``invalid_value`` if it is empty, too large, or neither a workbook nor text in UTF-8 or UTF-16;
            ``unavailable`` while other workbooks are being read.
    """
    kept = _Writer(uid)
    try:
        _rewrite(source, kept)
        return kept.end()
    except BaseException:
        give_up(uid)
        raise


def copy(source: IO[bytes], uid: UUID) -> None:
    """Store a file that an earlier release has kept outside of the database, byte by byte."""
    kept = _Writer(uid)
    while piece := source.read(_CHUNK):
        kept.write(piece)
    kept.end()


def _rewrite(source: IO[bytes], kept: _Writer) -> None:
    first = source.read(_CHUNK)
    if not first.strip():
        raise _refusal("The file is empty.")
    if first.startswith(_OLD_WORKBOOK):
        raise _refusal("This workbook is of the old kind (.xls), or has a password. Save it as .xlsx without one.")
    if first.startswith(_WORKBOOK):
        kept.write(_of_workbook(first, source))
        return
    decoder = codecs.getincrementaldecoder(_encoding(first))()
    lines = io.IncrementalNewlineDecoder(decoder, translate=True)
    size, piece = 0, first
    while True:
        size += len(piece)
        if size > MAX_BYTES:
            raise _refusal(f"The file has more than {MAX_BYTES // 1024**2} MiB. Divide it into several.")
        try:
            text = lines.decode(piece, final=not piece)
        except UnicodeDecodeError:
            raise _refusal("The file is not text in UTF-8 or UTF-16. Save it as “CSV UTF-8”.") from None
        if "\0" in text:
            raise _refusal("The file is not text: it holds NUL characters. Save it as “CSV UTF-8”.")
        kept.write(text.encode())
        if not piece:
            return
        piece = source.read(_CHUNK)


def _of_workbook(first: bytes, source: IO[bytes]) -> bytes:
    whole = first + source.read(reading.MAX_BYTES + 1 - len(first))
    if len(whole) > reading.MAX_BYTES:
        most = reading.MAX_BYTES // 1024**2
        raise _refusal(f"The workbook has more than {most} MiB. Divide it into several, or save the sheet as CSV.")
    text = reading.as_csv(whole)
    if not text.strip():
        raise _refusal("The first sheet of the workbook is empty.")
    return text


def _encoding(first: bytes) -> str:
    """Tell UTF-8 from UTF-16 by the byte order mark, or by where the zero bytes of the first letters are."""
    for mark, name in _MARKS:
        if first.startswith(mark):
            return name
    begin = first[:_SNIFFED]
    even, odd = begin[0::2].count(0), begin[1::2].count(0)
    if max(even, odd) * 4 > len(begin):
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-8"


def _refusal(detail: str) -> Problem:
    return Problem("invalid_value", detail)


def is_there(uid: UUID) -> bool:
    """Tell whether the database has a file."""
    with db.current().read() as session:
        return session.scalar(select(UploadPiece.id).where(UploadPiece.upload_uid == uid).limit(1)) is not None


def drop(uid: UUID) -> None:
    """Delete the file of a spreadsheet, if it is there."""
    with db.current().transaction() as session:
        session.execute(delete(UploadPiece).where(UploadPiece.upload_uid == uid))


def give_up(uid: UUID) -> None:
    """Delete what is there of a file that could not be kept; where that fails too, it is found as a stray."""
    with suppress(SQLAlchemyError):
        drop(uid)


def strays(needed: Collection[str]) -> list[UUID]:
    """List the files that no spreadsheet at one of the ``needed`` stages belongs to any more."""
    owner = exists().where(Spreadsheet.uid == UploadPiece.upload_uid, Spreadsheet.stage.in_(needed))
    old = UploadPiece.created_at < clock.now() - _STRAY_AFTER
    with db.current().read() as session:
        return list(session.scalars(select(UploadPiece.upload_uid).where(UploadPiece.number == 0, old, ~owner)))


# What is left lying: spreadsheets that nobody sent, and files that belong to none.


def tidy() -> None:
    """Give up spreadsheets that nobody sent, and delete files that are needed no more."""
    with db.current().transaction() as session:
        old = (Spreadsheet.stage == Stage.CHECKED.value, Spreadsheet.changed_at < clock.now() - KEPT)
        given_up = update(Spreadsheet).where(*old).values(stage=Stage.EXPIRED.value)
        expired = session.scalars(given_up.returning(Spreadsheet.uid)).all()
    for uid in (*expired, *strays(_NEEDED)):
        drop(uid)


def adopt() -> None:
    """Take into the database what an earlier release has kept in this machine's data directory, and delete it there."""
    folder = settings.current().data_dir / "spreadsheets"
    for path in folder.glob("*.csv"):
        uid = inputs.uid(path.stem)
        with db.current().read() as session:
            wanted = (Spreadsheet.uid == uid, Spreadsheet.stage.in_(_NEEDED))
            needed = session.scalar(select(Spreadsheet.id).where(*wanted)) is not None
        if uid is not None and needed and not is_there(uid):
            with path.open("rb") as source:
                copy(source, uid)
            logger.info("The spreadsheet %s is in the database now, where every worker reads it", uid)
        path.unlink(missing_ok=True)
