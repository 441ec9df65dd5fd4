"""Databases, queues and disks that are away, full or read-only: what is raised then, and how that is said.

Such a fault is no defect of ours. Whoever meets it says it in one line, leaves things as they were, and goes on when
it is over.
"""

import errno
import sqlite3

import psycopg
from advanced_alchemy.exceptions import AdvancedAlchemyError
from redis.exceptions import RedisError
from sqlalchemy import exc

# What drivers raise. PostgreSQL's InternalError is here for a server that has become read-only.
OUTAGES = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.InternalError,
    exc.TimeoutError,
    sqlite3.OperationalError,
    psycopg.OperationalError,
    psycopg.InternalError,
    RedisError,
)
_FULL, _READ_ONLY = "its disk is full", "it is read-only"
_OF_FILES = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EFBIG: _FULL, errno.EROFS: _READ_ONLY}
# By the beginnings of SQLite's names of its results (sqlite.org/rescode.html) and of PostgreSQL's SQLSTATE (its
# documentation, appendix A).
_WORDS = {
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_IOERR": "its disk cannot be read or written",
    "SQLITE_CANTOPEN": "its file cannot be opened",
    "SQLITE_BUSY": "it is busy",
    "53100": _FULL,
    "25006": _READ_ONLY,
    "53300": "it has too many connections",
    "57P": "it is being stopped or started",
}
# A database that lacks what this version wants: nobody can use it before it is brought up to date.
_LACKING = "its tables are not those of this version"
_OF_STATES_LACKING = ("42P01", "42703")  # undefined_table, undefined_column
_OF_TEXTS_LACKING = ("no such table:", "no such column:")  # SQLite has but one code for them and others


def is_outage(error: object) -> bool:
    """Tell whether an exception says that a database, the queue or a disk cannot be used at the moment."""
    found = _inner(error)
    of_a_file = isinstance(found, OSError) and found.errno in _OF_FILES
    return of_a_file or isinstance(found, OUTAGES) or _lacks_something(found)


def _lacks_something(error: object) -> bool:
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.OperationalError):
        return str(cause).startswith(_OF_TEXTS_LACKING)
    return isinstance(cause, psycopg.ProgrammingError) and cause.sqlstate in _OF_STATES_LACKING


def _inner(error: object) -> object:
    """Look into the error of a repository, which names what the database raised as its cause."""
    while isinstance(error, AdvancedAlchemyError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def reason(error: object) -> str:
    """Say in a few words, without addresses or values, why a database, queue or disk cannot be used."""
    found = _inner(error)
    cause = getattr(found, "orig", None) or found
    if isinstance(cause, OSError) and cause.errno in _OF_FILES:
        return _OF_FILES[cause.errno]
    if _lacks_something(cause):
        return _LACKING
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None) or ""
    known = next((words for beginning, words in _WORDS.items() if code.startswith(beginning)), None)
    if known is not None:
        return known
    if isinstance(cause, exc.TimeoutError):
        return "it has no free connection"
    return f"it reports {type(cause).__name__}" if code else "it cannot be reached"
