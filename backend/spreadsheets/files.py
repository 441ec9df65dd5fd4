"""The uploaded files: kept in the data directory as UTF-8 with plain line ends, whatever they came in."""

import codecs
import io
import os
from datetime import timedelta
from pathlib import Path
from typing import IO
from uuid import UUID

from backend.lib import clock, settings
from backend.lib.problems import Problem

MAX_BYTES = 50 * 1024 * 1024
_CHUNK = 64 * 1024
_SNIFFED = 512
_SUFFIX = ".csv"
# A file that no row names for so long was left by a process that was killed between writing it and saying so.
_STRAY_AFTER = timedelta(days=1)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# How ZIP archives (.xlsx, .ods) and the older binary workbooks (.xls) begin.
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def path_of(uid: UUID) -> Path:
    """Return where the file of a spreadsheet is."""
    return _folder() / f"{uid}{_SUFFIX}"


def _folder() -> Path:
    return settings.current().data_dir / "spreadsheets"


def keep(source: IO[bytes], uid: UUID) -> int:
    """Write an upload to its place, piece by piece, and return how many bytes it has there.

    Raises:
        Problem: ``invalid_value`` if it is empty, too large, or no text in UTF-8 or UTF-16.
    """
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = path_of(uid)
    try:
        with target.open("xb") as kept:
            _rewrite(source, kept)
            kept.flush()
            os.fsync(kept.fileno())
            return kept.tell()
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _rewrite(source: IO[bytes], kept: IO[bytes]) -> None:
    first = source.read(_CHUNK)
    if not first.strip():
        raise _refusal("The file is empty.")
    if first.startswith(_WORKBOOKS):
        raise _refusal("This is a workbook. Save it as “CSV UTF-8” in the spreadsheet program, and upload that file.")
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


def drop(uid: UUID) -> None:
    """Delete the file of a spreadsheet, if it is there."""
    path_of(uid).unlink(missing_ok=True)


def strays(known: set[UUID]) -> list[UUID]:
    """List the files that nothing known belongs to any more."""
    found = []
    before = (clock.now() - _STRAY_AFTER).timestamp()
    for path in _folder().glob(f"*{_SUFFIX}"):
        uid = UUID(path.stem)
        if uid not in known and path.stat().st_mtime < before:
            found.append(uid)
    return found
