"""A look at one thing, and what came of it."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from enum import StrEnum

import msgspec

from backend.lib import outages

# Of each look; the ledger of an installation with millions of messages takes a few seconds.
PATIENCE_SECONDS = 20.0


class Level(StrEnum):
    """What came of a look, by the word that stands before its sentence."""

    OK = "ok"
    WARNING = "warn"
    FAULT = "FAULT"
    SKIPPED = "-"  # another fault is in the way


class Fault(Exception):
    """Something is wrong, in a sentence."""


class Warned(Exception):
    """Something works and should not be left as it is, in a sentence."""


class Finding(msgspec.Struct, frozen=True):
    """What came of the look at one thing."""

    name: str
    level: Level
    message: str


class Check(msgspec.Struct, frozen=True):
    """A look at one thing; ``of_database`` tells that without a usable database there is nothing to look at."""

    name: str
    look: Callable[[], str]
    of_database: bool = False

    def within(self, seconds: float) -> str:
        """Look, but not for longer than so many seconds.

        Raises:
            Fault: nothing answers.
            Exception: whatever the look raises.
        """
        answer: Future[str] = Future()

        def look() -> None:
            try:
                answer.set_result(self.look())
            except BaseException as error:  # whoever waits for the answer raises it
                answer.set_exception(error)

        # A daemon, so that one that hangs does not keep the command from ending.
        threading.Thread(target=look, name=self.name, daemon=True).start()
        try:
            return answer.result(seconds)
        except FutureTimeoutError:
            raise Fault(f"does not answer within {seconds:.0f} s") from None


def sentence(error: Exception) -> str:
    """Say what a look has raised, whatever a driver wrote of it, in one line."""
    first = (str(getattr(error, "orig", None) or error).splitlines() or [""])[0] or type(error).__name__
    if not outages.is_outage(error):
        return first
    return (
        f"cannot be used: {outages.reason(error)} ({first}). Mend that where it runs, or name another in the settings"
    )


def examine(checks: Iterable[Check]) -> Iterator[Finding]:
    """Look at one thing after the other; what follows from a fault that was found already is no other."""
    said: dict[str, str] = {}  # by each fault's sentence where it was found
    roots: dict[str, str] = {}
    for check in checks:
        skipped = check.of_database and "database" in roots
        found = _skipped(check, roots["database"]) if skipped else _found(check)
        if found.level is Level.FAULT and (root := said.setdefault(found.message, check.name)) != check.name:
            found = _skipped(check, root)
        if found.level is Level.FAULT:
            roots[check.name] = check.name
        yield found


def _skipped(check: Check, root: str) -> Finding:
    return Finding(check.name, Level.SKIPPED, f"not looked at: mend the fault of the {root} first")


def _found(check: Check) -> Finding:
    try:
        return Finding(check.name, Level.OK, check.within(PATIENCE_SECONDS))
    except Warned as warning:
        return Finding(check.name, Level.WARNING, str(warning))
    except Exception as error:  # whatever a driver raises is what is wrong, and the other looks follow
        return Finding(check.name, Level.FAULT, sentence(error))
