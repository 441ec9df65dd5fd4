"""What an SMTP server's reply means for a delivery (RFC 5321, RFC 3463, RFC 4954)."""

import enum
import re

import msgspec

from backend.channels.base import Outcome, ProviderError
from backend.channels.mail_diagnosis import BAD_ADDRESS, diagnose
from backend.channels.quoting import quoted

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)", re.ASCII)


class Step(enum.StrEnum):
    """The steps of an SMTP session; the value says what failed, for readers."""

    GREETING = "the greeting"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "signing in"
    MAIL = "the sender"
    RCPT = "the recipient"
    DATA = "DATA"
    BODY = "sending the content"
    CONTENT = "the answer to the content"


# Before MAIL nothing concerns one message: what fails there fails for every message on this way.
SESSION_STEPS = frozenset({Step.GREETING, Step.HELLO, Step.STARTTLS, Step.AUTH})

# Codes whose meaning does not depend on the step: outcome, and whether the whole way is down.
_BY_CODE = {
    421: (Outcome.RETRY, True),  # service closes the connection
    454: (Outcome.THROTTLED, False),  # Amazon SES: sending rate or quota exceeded
    530: (Outcome.CONFIG, True),  # authentication or STARTTLS required
    534: (Outcome.CONFIG, True),  # the authentication mechanism is too weak
    535: (Outcome.CONFIG, True),  # the credentials are wrong
    538: (Outcome.CONFIG, True),  # encryption needed for this mechanism
}
# Enhanced codes about the From address, which is our set-up's and the same for every message.
_SENDER_NOT_OURS = frozenset({"5.1.7", "5.1.8", "5.7.1", "5.7.60"})
# The steps at which a refusal may be of the recipient; some servers look at the address after the content alone.
_OF_THE_RECIPIENT = frozenset({Step.RCPT, Step.CONTENT})


# Texts of limits that a new session does not have: of OpenSMTPD, Exim, Postfix, Exchange and large providers.
_LIMIT_OF_SESSION = re.compile(
    r"(?:too many|maximum|max|limit)\b[^.;]{0,60}"
    r"\b(?:message|mail|transaction|recipient|command|session|connection)s?\b"
    r"|\b(?:message|mail|transaction|session)s? (?:limit|per (?:session|connection))",
    re.IGNORECASE,
)


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
    """Tell whether a refusal may be of the session, so that a new one may hear another answer.

    RFC 5321 has no code for it: ``452 4.5.3`` (RFC 3463) is what servers say after so many messages or recipients in
    one session; and what is refused for a moment before or after the recipient was named may be for what came before.
    """
    if answer.code == 421:
        return True
    if not 400 <= answer.code < 500 or answer.code == 454:  # the account's rate, which a new session has too
        return False
    limit = answer.enhanced == "4.5.3" or _LIMIT_OF_SESSION.search(answer.text) is not None
    return limit or step in {Step.MAIL, Step.DATA, Step.CONTENT}


def error(answer: Reply, step: Step) -> ProviderError:
    """Return the error that a negative or unexpected reply at a step means."""
    outcome, down = _outcome(answer, step)
    code = answer.enhanced or (str(answer.code) if answer.code > 0 else None)
    return ProviderError(
        outcome,
        answer.detail,
        code=code,
        route_down=down or step in SESSION_STEPS,
        bad_address=outcome is Outcome.PERMANENT
        and step in _OF_THE_RECIPIENT
        and diagnose(answer.enhanced, answer.text) in BAD_ADDRESS,
    )


def _outcome(answer: Reply, step: Step) -> tuple[Outcome, bool]:
    if answer.code == 454 and step in SESSION_STEPS:
        # RFC 3207 and RFC 4954: TLS or authentication is not available for a moment.
        return Outcome.RETRY, True
    if answer.code in _BY_CODE:
        return _BY_CODE[answer.code]
    if 400 <= answer.code < 500:
        return Outcome.RETRY, False
    if 500 <= answer.code < 600:
        ours = step in SESSION_STEPS or (step is Step.MAIL and answer.enhanced in _SENDER_NOT_OURS)
        return (Outcome.CONFIG, True) if ours else (Outcome.PERMANENT, False)
    # Not a reply that this step may have: nobody knows what the server thinks now.
    return (Outcome.AMBIGUOUS if step is Step.CONTENT else Outcome.RETRY), True
