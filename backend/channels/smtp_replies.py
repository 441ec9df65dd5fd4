"""An SMTP server's reply, and the error that it means for a delivery (RFC 5321, RFC 2034)."""

import re

import msgspec

from backend.channels.base import Outcome, ProviderError, Scope
from backend.channels.quoting import quoted
from backend.channels.refusals import Classified, classify
from backend.channels.smtp_steps import Step

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)", re.ASCII)


class Reply(msgspec.Struct, frozen=True):
    """One reply; ``code`` is -1 where the server answered something that is not SMTP."""

    code: int
    text: str

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code, if it agrees in class with the reply's code."""
        match = _ENHANCED.match(self.text)
        return match[0] if match and match[1] == str(self.code)[0] else None

    @property
    def detail(self) -> str:
        """The reply as readers want it, such as ``550 5.1.1 no such user``."""
        return f"{self.code} {self.text}".strip() if self.code > 0 else "the server's answer is not SMTP"


def reply(code: int, raw: bytes, secrets: tuple[str, ...] = ()) -> Reply:
    """Make a reply from the octets of a server: one line, printable, bounded, with our credentials left out."""
    lines = raw.decode("utf-8", "replace").split("\n")
    first = _ENHANCED.match(lines[0])
    if first:
        # A reply of several lines repeats its enhanced code on each of them (RFC 2034 section 4).
        lines[1:] = [line.removeprefix(first[0]) for line in lines[1:]]
    return Reply(code, quoted(" ".join(lines), secrets))


def ends_session(answer: Reply, step: Step) -> bool:
    """Tell whether a refusal may be of the session, so that a new one may hear another answer."""
    return answer.code == 421 or (_is_refusal(answer) and _classified(answer, step).scope is Scope.SESSION)


def error(answer: Reply, step: Step) -> ProviderError:
    """Return the error that a negative or unexpected reply at a step means."""
    code = answer.enhanced or (str(answer.code) if answer.code > 0 else None)
    if not _is_refusal(answer):
        # Not a reply that this step may have: nobody knows what the server thinks now.
        outcome = Outcome.AMBIGUOUS if step is Step.CONTENT else Outcome.RETRY
        return ProviderError(outcome, answer.detail, code=code, scope=Scope.SERVER)
    classified = _classified(answer, step)
    return ProviderError(
        classified.outcome, answer.detail, code=code, scope=classified.scope, bad_address=classified.bad_address
    )


def _is_refusal(answer: Reply) -> bool:
    return 400 <= answer.code < 600


def _classified(answer: Reply, step: Step) -> Classified:
    return classify(answer.code, answer.enhanced, answer.text, step)
