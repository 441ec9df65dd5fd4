"""Workbooks that people upload, read in a child process: one that is made to eat its reader costs that child alone."""

from backend.lib.child import ChildFailed, Children, NoneFree
from backend.lib.problems import Problem

CPU_SECONDS = 60
# The first octet of the child's answer: the rows follow, or why there are none.
READ, REFUSED = b"+", b"-"
MAX_BYTES = 20 * 1024 * 1024
_CHILDREN = Children("backend.jobs.workbooks.child", most=1)
_SECONDS = CPU_SECONDS * 1.5
_START_SECONDS = 20.0
_PATIENCE_SECONDS = 60.0
_RETRY_SECONDS = 60


def as_csv(workbook: bytes) -> bytes:
    """Return the rows of a workbook's first sheet as CSV in UTF-8, with each cell as people see it.

    Raises:
        Problem: ``invalid_value`` with one sentence if it cannot be used, ``unavailable`` while others are read.
    """
    try:
        found = _CHILDREN.ask_all([b"", workbook], _SECONDS, start_seconds=_START_SECONDS, patience=_PATIENCE_SECONDS)[
            1
        ]
    except ChildFailed as failure:
        if failure.unheard:
            raise _busy() from None
        reason = "takes too long, or too much memory, to be read"
        raise Problem("invalid_value", f"The workbook {reason}. Save the sheet as CSV, and upload that.") from None
    except (NoneFree, OSError):
        raise _busy() from None
    if not found.startswith(READ):
        raise Problem("invalid_value", found[1:].decode())
    return found[1:]


def _busy() -> Problem:
    detail = f"Other workbooks are being read at this moment. Try again in {_RETRY_SECONDS} seconds."
    return Problem("unavailable", detail, headers={"Retry-After": str(_RETRY_SECONDS)})
