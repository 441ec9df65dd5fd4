"""Providers that a test scripts, and hands that send by them through the real claims, records and states."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from backend.channels.base import Channel, Connection, Message, Outcome, ProviderError, Receipt, Scope

Answer = ProviderError | None


@dataclass
class Scripted:
    """Answers with what ``answers`` holds, the last one for ever; ``taken`` are the messages it accepted."""

    name: str
    channel: Channel = Channel.EMAIL
    answers: list[Answer] = field(default_factory=lambda: [None])
    taken: list[Message] = field(default_factory=list)
    tries: int = 0
    before: Callable[[Message], None] | None = None

    def open(self) -> Connection:
        return self

    def describe(self) -> str:
        return f"{self.name}, scripted"

    def close(self) -> None:
        """Nothing is open."""

    def send(self, message: Message) -> Receipt:
        self.tries += 1
        if self.before is not None:
            self.before(message)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer
        self.taken.append(message)
        return Receipt(f"{self.name}-{len(self.taken)}", "taken")

    @property
    def addresses(self) -> list[str]:
        return [message.address for message in self.taken]


@dataclass
class ManyAtOnce(Scripted):
    """Has two messages under way at once; the answers to them come one after the other."""

    burst: int = 2

    def send_all(self, messages: Sequence[Message]) -> Iterator[Receipt | ProviderError | None]:
        for message in messages:
            try:
                yield self.send(message)
            except ProviderError as fault:
                yield fault
            yield None


@dataclass
class PacedOne(Scripted):
    """Takes one message a second for each address."""

    def interval(self, address: str) -> float | None:  # noqa: ARG002 - all have the same
        return 1.0


@dataclass
class RepeatableOne(Scripted):
    """May be given a message again."""

    repeatable: Literal[True] = True


@dataclass
class LookupOne(Scripted):
    """Can be asked what became of a message: ``known`` holds the answers by delivery."""

    known: dict[str, Receipt] = field(default_factory=dict)
    asked: int = 0
    mute: bool = False

    def find(self, message: Message) -> Receipt | None:
        self.asked += 1
        if self.mute:
            raise ProviderError(Outcome.RETRY, "busy")
        return self.known.get(message.delivery_id)


def down(detail: str = "cannot connect") -> ProviderError:
    """The provider's fault: nothing can be sent there now."""
    return ProviderError(Outcome.RETRY, detail, scope=Scope.SERVER)


def lost() -> ProviderError:
    """Nobody knows."""
    return ProviderError(Outcome.AMBIGUOUS, "the connection was lost at the answer")


def misconfigured() -> ProviderError:
    """Our own fault, for all messages."""
    return ProviderError(Outcome.CONFIG, "535 wrong password", scope=Scope.ACCOUNT)


def throttled(seconds: float | None = None) -> ProviderError:
    """Too much was sent."""
    return ProviderError(Outcome.THROTTLED, "429 slow down", retry_after=seconds, scope=Scope.ACCOUNT)


def refused() -> ProviderError:
    """The message's fault."""
    return ProviderError(Outcome.PERMANENT, "550 no such user")
