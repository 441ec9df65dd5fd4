"""The archive of a backup: a ZIP file, which any program opens, of JSON lines, which any program reads."""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from backend.backups import columns, manifest
from backend.backups.columns import Row
from backend.backups.manifest import Damaged, Manifest, StoredFile, StoredTable

_PIECE = 1024 * 1024
_QUICK = 1  # of zlib's levels: rows shrink to a fifth with it, and hardly further with the slowest


class Writer:
    """Writes an archive, whose manifest comes last."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def table(self, name: str, described: tuple[manifest.Column, ...], rows: Iterable[list[Row]]) -> StoredTable:
        """Write a table, given in pieces of many rows."""
        encoder, digest, count = msgspec.json.Encoder(), hashlib.sha256(), 0
        stored = StoredTable(name, described, 0, "")
        with self._file.open(stored.member, "w", force_zip64=True) as member:
            for some in rows:
                lines = encoder.encode_lines(some)
                digest.update(lines)
                member.write(lines)
                count += len(some)
        return StoredTable(name, described, count, digest.hexdigest())

    def file(self, path: str, source: Path) -> StoredFile:
        """Write a file of the data directory."""
        digest, size = hashlib.sha256(), 0
        with source.open("rb") as content, self._file.open(f"files/{path}", "w", force_zip64=True) as member:
            while piece := content.read(_PIECE):
                digest.update(piece)
                member.write(piece)
                size += len(piece)
        return StoredFile(path, size, digest.hexdigest())

    def octets(self, name: str, content: bytes) -> str:
        """Write a small member, and return its SHA-256."""
        self._file.writestr(name, content)
        return hashlib.sha256(content).hexdigest()


@contextmanager
def write(path: Path) -> Iterator[Writer]:
    """Write an archive for its owner alone; it has its name when it is whole and on the disk.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_QUICK) as archive:
                yield Writer(archive)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class Reader:
    """Reads an archive and checks what it reads."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self.manifest: Manifest = manifest.read(self.octets(manifest.NAME))

    def rows(self, table: StoredTable) -> Iterator[list[Row]]:
        """Read the rows of a table in pieces; at its end it is known whether they were all, and unchanged.

        Raises:
            Damaged: they are not what the manifest says.
        """
        decoder = msgspec.json.Decoder(columns.row_type(table.columns))
        digest, count = hashlib.sha256(), 0
        with self._open(table.member) as member:
            while lines := member.readlines(_PIECE):
                piece = b"".join(lines)
                digest.update(piece)
                some = _decoded(decoder, piece, table)
                count += len(some)
                yield some
        if count != table.rows:
            raise Damaged(f"Its table {table.name} has {count} rows instead of {table.rows}.")
        _compare(digest.hexdigest(), table.sha256, f"table {table.name}")

    def file(self, stored: StoredFile) -> Iterator[bytes]:
        """Read a file in pieces.

        Raises:
            Damaged: it is not what the manifest says.
        """
        digest = hashlib.sha256()
        with self._open(stored.member) as member:
            while piece := member.read(_PIECE):
                digest.update(piece)
                yield piece
        _compare(digest.hexdigest(), stored.sha256, f"file {stored.path}")

    def keys(self, name: str) -> bytes:
        """Read the sealed keys.

        Raises:
            Damaged: they are not what the manifest says.
        """
        content = self.octets(name)
        _compare(hashlib.sha256(content).hexdigest(), self.manifest.keys or "", "list of keys")
        return content

    def octets(self, name: str) -> bytes:
        """Read a small member."""
        with self._open(name) as member:
            return member.read()

    def _open(self, name: str) -> IO[bytes]:
        try:
            return self._file.open(name)
        except KeyError as error:
            raise Damaged(f"It has no {name}.") from error


def _decoded(decoder: Any, piece: bytes, table: StoredTable) -> list[Row]:
    try:
        found: list[Row] = decoder.decode_lines(piece)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"A row of its table {table.name} cannot be read: {error}.") from error
    return found


def _compare(found: str, wanted: str, what: str) -> None:
    if found != wanted:
        raise Damaged(f"Its {what} is not as it was written: the checksum differs.")


@contextmanager
def read(path: Path) -> Iterator[Reader]:
    """Open an archive.

    Raises:
        Damaged: it is none, or not whole; raised also while it is read.
        OSError: it cannot be opened.
    """
    try:
        with zipfile.ZipFile(path) as file:
            yield Reader(file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Damaged(f"It is no whole archive: {error or 'it ends too soon'}.") from error
