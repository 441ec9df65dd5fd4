"""Where a process may die: before or after any commit, and around any message that it gives a provider."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from backend.channels.base import Channel, Message, Receipt
from backend.db.database import Database


class Killed(BaseException):
    """The process ends here: no handler of ours runs."""


class Phone:
    """A provider that keeps what it was given, and dies before or after a message when it is told to.

    That of e-mails may be given one again, by its identity; that of text messages must not.
    """

    def __init__(self, channel: Channel) -> None:
        self.channel, self.name = channel, f"{channel}-{id(self)}"
        self.taken: Counter[str] = Counter()
        self.dies: str | None = None
        if channel is Channel.EMAIL:
            self.repeatable = True

    def open(self) -> "Phone":
        return self

    def describe(self) -> str:
        return self.name

    def close(self) -> None:
        """Stay open."""

    def send(self, message: Message) -> Receipt:
        dies, self.dies = self.dies, None
        if dies == "before":
            raise Killed
        self.taken[message.delivery_id] += 1
        if dies == "after":
            raise Killed
        return Receipt(None, "taken")


@contextmanager
def dying_at(patch: pytest.MonkeyPatch, commit: int, *, after: bool) -> Iterator[None]:
    """Let the process die before, or after, so many commits; transactions of every kind count."""
    numbers = count(1)

    def mortal(real: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def transaction(*given: Any, **options: Any) -> Iterator[Any]:
            number = next(numbers)
            with real(*given, **options) as session:
                yield session
                if number == commit and not after:
                    raise Killed
            if number == commit:
                raise Killed

        return transaction

    with patch.context() as inner:
        for name in ("transaction", "committing"):
            inner.setattr(Database, name, mortal(getattr(Database, name)))
        yield
