"""What an SMTP refusal is about and what follows from it: one table for retries, holding back and failing over.

A reply's code says little (RFC 5321 has one word, ``550``, for a mailbox that is gone, a sender that is not ours and
a relay that is closed), and the step at which it is said says less than it seems to: Postfix says what it thinks of
client, name and sender at the recipient (``smtpd_delay_reject``), and others say all of it after the content. So
whose fault it is comes first, by enhanced status and text (``mail_diagnosis``); then class, step and code.

Scope and outcome decide all the rest, in ``backend.delivery``:

=========  =========================================================================================================
PERMANENT  it fails for good; an address that will never take anything is suppressed
RETRY      it uses up one of its tries; SERVER: the next provider is tried, and the circuit opens
THROTTLED  no try is used up, it is lost by age alone; a wider scope than the recipient lowers the rate of that scope
CONFIG     no try is used up, nothing fails; the scope is held back and named to operators, the next provider is tried
=========  =========================================================================================================

A refusal whose scope is the SESSION ends it, and a new one hears the same message first.
"""

import re
from collections.abc import Set as AbstractSet

import msgspec

from backend.channels.base import Outcome, Scope
from backend.channels.mail_diagnosis import Fault, diagnose
from backend.channels.smtp_steps import SESSION_STEPS, Step

_TRANSACTION = frozenset({Step.MAIL, Step.DATA, Step.CONTENT})
_ENVELOPE_START = frozenset({Step.MAIL})
_RECIPIENT = frozenset({Step.RCPT})
# Some servers look at the address, or ask the next server about it, after the content alone.
_OF_THE_RECIPIENT = frozenset({Step.RCPT, Step.CONTENT})
_NO_MAILBOX = frozenset({Fault.MAILBOX, Fault.DOMAIN, Fault.DISABLED})
_UNSAID = frozenset({Fault.POLICY, Fault.ROUTE, Fault.SYSTEM, Fault.UNKNOWN})


def _texts(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


# How the texts of limits tell what is counted.
_OF_DOMAIN = _texts(r"\b(?:for|to|from|of) (?:this |the |your )?(?:recipient |destination )?domain", "destination")
_OF_RECIPIENT = _texts(
    "gr[ea]y-?list",
    r"\b(?:user|recipient|mailbox|account|contact)\b[^.;]{0,40}\b(?:is receiving|receiv\w+ (?:mail|limit|quota))",
    r"recipient's|message receive limit|\bmailbox (?:\w+ ){0,2}limit",
)
_OF_SENDER = _texts(r"\bsender\b[^.;]{0,40}(?:limit|quota|rate|too many)", "(?:per|from) (?:this )?sender")
# A new session has none of what was counted in the old one: of OpenSMTPD, Exim, Postfix, Exchange and large providers.
_OF_SESSION = _texts(
    r"(?:too many|maximum|max|limit)\b[^.;]{0,60}"
    r"\b(?:message|mail|transaction|recipient|command|session|connection)s?\b",
    r"\b(?:message|mail|transaction|session)s? (?:limit|per (?:session|connection))",
)
_OF_TIME = _texts(r"\brate\b|ratelimit|too (?:fast|often|quickly|much)", "per (?:second|minute|hour|day)|quota|throttl")
# Greylisting in words of its own: no word of a limit, nor of the server.
_OF_GREYLIST = _texts(
    r"\A(?![\s\S]*(?:too |slow down|limit|\brate\b|throttl|exceed|\bserver\b|\bsystem\b))[\s\S]*try again later"
)


class Classified(msgspec.Struct, frozen=True):
    """What a refusal is about, what to do next, and whether its text says that the address takes nothing at all."""

    scope: Scope
    outcome: Outcome
    bad_address: bool = False


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table; what it leaves open fits anything.

    ``replies`` are the first digit of the code, the code, or the code with the enhanced status behind it.
    """

    scope: Scope
    outcome: Outcome
    source: str
    replies: tuple[str, ...] = ("4", "5")
    steps: AbstractSet[Step] | None = None
    faults: AbstractSet[Fault] | None = None
    text: re.Pattern[str] | None = None


# In order: the first that fits decides. "RFC" is that of SMTP (5321) where no number stands with it.
TABLE = (
    # Before a transaction nothing concerns one message: what fails fails for all. A limit is one all the same.
    _Row(
        replies=("4",),
        steps=SESSION_STEPS,
        faults={Fault.RATE},
        scope=Scope.ACCOUNT,
        outcome=Outcome.THROTTLED,
        source="Postfix anvil: 421 4.7.0 Error: too many connections from [192.0.2.7]; Exim smtp_accept_max_per_host",
    ),
    _Row(replies=("4",), steps=SESSION_STEPS, scope=Scope.SERVER, outcome=Outcome.RETRY, source="RFC, 3.8; 3207; 4954"),
    _Row(replies=("5",), steps=SESSION_STEPS, scope=Scope.ACCOUNT, outcome=Outcome.CONFIG, source="RFC, 3.1: 554"),
    _Row(
        replies=("530", "534", "535", "538"),
        scope=Scope.ACCOUNT,
        outcome=Outcome.CONFIG,
        source="RFC 4954, 6; RFC 3207, 4: authentication or STARTTLS is required, or was refused",
    ),
    # Set-up, in whatever class it is said and at whatever step.
    _Row(
        faults={Fault.SET_UP},
        scope=Scope.ACCOUNT,
        outcome=Outcome.CONFIG,
        source="Postfix: 504 5.5.2 <localhost>: Helo command rejected; 450 4.7.25 cannot find your reverse hostname",
    ),
    _Row(
        faults={Fault.SENDER, Fault.AUTHENTICATION},
        scope=Scope.SENDER,
        outcome=Outcome.CONFIG,
        source="Postfix: 553 5.7.1 Sender address rejected: not owned by user; Microsoft 365: 5.2.252 SendAsDenied, "
        "5.7.509; Google: 550-5.7.26 and 421-4.7.26 unauthenticated",
    ),
    _Row(
        faults={Fault.RELAY},
        steps=_OF_THE_RECIPIENT,
        scope=Scope.DOMAIN,
        outcome=Outcome.CONFIG,
        source="Postfix: 554 5.7.1 and 454 4.7.1 Relay access denied; Exim: relay not permitted; qmail: rcpthosts",
    ),
    _Row(faults={Fault.RELAY}, scope=Scope.ACCOUNT, outcome=Outcome.CONFIG, source="Exchange: 550 5.7.54 at MAIL"),
    _Row(
        replies=("5",),
        faults={Fault.BLOCKLIST},
        steps=_OF_THE_RECIPIENT,
        scope=Scope.DOMAIN,
        outcome=Outcome.CONFIG,
        source="Postfix: 554 5.7.1 Client host blocked using …, its own words or those of the server behind it",
    ),
    _Row(
        replies=("5",),
        faults={Fault.BLOCKLIST},
        scope=Scope.ACCOUNT,
        outcome=Outcome.CONFIG,
        source="Microsoft 365: 550 5.7.511 Access denied, banned sender; IronPort: 554 poor reputation",
    ),
    # Limits, in whatever class and words; what is counted is said in the text alone.
    _Row(
        faults={Fault.RATE},
        text=_OF_RECIPIENT,
        scope=Scope.RECIPIENT,
        outcome=Outcome.THROTTLED,
        source="Google: 450 4.2.1 is receiving mail too quickly; Microsoft 365: 5.2.121; Postgrey: 450 4.2.0",
    ),
    _Row(
        faults={Fault.RATE},
        text=_OF_DOMAIN,
        scope=Scope.DOMAIN,
        outcome=Outcome.THROTTLED,
        source="policyd: 450 4.7.1 too many messages for this destination domain",
    ),
    _Row(
        faults={Fault.RATE},
        text=_OF_SENDER,
        scope=Scope.SENDER,
        outcome=Outcome.THROTTLED,
        source="policyd: 450 4.7.1 sender rate limit exceeded; Google: 550 5.4.5 daily sending limit of this sender",
    ),
    _Row(
        replies=("454", "5"),
        faults={Fault.RATE},
        scope=Scope.ACCOUNT,
        outcome=Outcome.THROTTLED,
        source="Amazon SES: 454 Throttling failure: Maximum sending rate exceeded; Google: 550 5.4.5",
    ),
    _Row(
        faults={Fault.RATE},
        text=_OF_TIME,
        scope=Scope.ACCOUNT,
        outcome=Outcome.THROTTLED,
        source="Postfix anvil: 450 4.7.1 Error: too much mail from [192.0.2.7]; Exim: 451 rate exceeded",
    ),
    _Row(
        faults={Fault.RATE},
        text=_OF_SESSION,
        scope=Scope.SESSION,
        outcome=Outcome.THROTTLED,
        source="OpenSMTPD: 452 4.5.3 Too many messages sent; Exim smtp_accept_max_per_connection; RFC 3463: X.5.3",
    ),
    _Row(
        replies=("4 4.5.3",),
        scope=Scope.SESSION,
        outcome=Outcome.THROTTLED,
        source="RFC 3463: X.5.3, too many recipients",
    ),
    _Row(
        replies=("4",),
        steps=_RECIPIENT,
        faults={Fault.RATE},
        text=_OF_GREYLIST,
        scope=Scope.RECIPIENT,
        outcome=Outcome.THROTTLED,
        source="milter-greylist and sendmail's milters: 451 4.7.1 Please try again later; RFC 6647, 2",
    ),
    _Row(
        replies=("4 4.7.1",),
        steps=_OF_THE_RECIPIENT,
        faults={Fault.RATE},
        text=_OF_GREYLIST,
        scope=Scope.RECIPIENT,
        outcome=Outcome.THROTTLED,
        source="the same after the content: RFC 6647, 2",
    ),
    _Row(
        faults={Fault.RATE},
        scope=Scope.ACCOUNT,
        outcome=Outcome.THROTTLED,
        source="Exchange: 451 4.7.0 Temporary server error, try again later",
    ),
    _Row(
        replies=("4 4.3.1",),
        scope=Scope.SERVER,
        outcome=Outcome.THROTTLED,
        source="Postfix: 452 4.3.1 Insufficient system storage; Exchange: 452 4.3.1 Insufficient system resources",
    ),
    _Row(
        replies=("4",),
        faults={Fault.BLOCKLIST},
        scope=Scope.ACCOUNT,
        outcome=Outcome.THROTTLED,
        source="Yahoo: 421 4.7.0 [TSS04] temporarily deferred; Outlook.com: 451 4.7.650 due to IP reputation",
    ),
    _Row(
        replies=("454",),
        scope=Scope.ACCOUNT,
        outcome=Outcome.THROTTLED,
        source="Amazon SES: 454 Throttling failure, quota",
    ),
    _Row(replies=("421",), scope=Scope.SERVER, outcome=Outcome.RETRY, source="RFC, 3.8: it closes the channel"),
    _Row(
        replies=("4 4.7",),
        steps=_RECIPIENT,
        scope=Scope.RECIPIENT,
        outcome=Outcome.THROTTLED,
        source="postgrey and others with words of their own: 450 4.7.1 and 451 4.7.1 at the recipient; RFC 6647",
    ),
    _Row(
        replies=("4 4.7",),
        steps=_TRANSACTION,
        scope=Scope.SESSION,
        outcome=Outcome.THROTTLED,
        source="RFC 3463: X.7, a policy, for now",
    ),
    # For now, without a limit.
    _Row(
        replies=("4",),
        steps=_TRANSACTION,
        scope=Scope.SESSION,
        outcome=Outcome.RETRY,
        source="RFC, 4.2.1: what is refused before or after the recipient was named may be for what came before",
    ),
    _Row(
        replies=("4",),
        scope=Scope.RECIPIENT,
        outcome=Outcome.RETRY,
        source="RFC, 4.2.3: 450 mailbox busy, 451, 452",
    ),
    # For good.
    _Row(
        faults={Fault.SIZE, Fault.CONTENT},
        scope=Scope.MESSAGE,
        outcome=Outcome.PERMANENT,
        source="RFC 1870, 6: 552 5.3.4; Rspamd: 554 5.7.1 Spam message rejected; RFC 6531: 553 5.6.7",
    ),
    _Row(
        steps=_ENVELOPE_START,
        scope=Scope.SENDER,
        outcome=Outcome.CONFIG,
        source="RFC, 3.3: MAIL names the sender and nobody else; Exchange: 550 5.7.60; Sendmail: 553 5.1.8",
    ),
    _Row(
        faults=_NO_MAILBOX | {Fault.FULL},
        steps=_OF_THE_RECIPIENT,
        scope=Scope.RECIPIENT,
        outcome=Outcome.PERMANENT,
        source="RFC 3463: X.1.1, X.1.2, X.2.1, X.2.2",
    ),
    _Row(
        faults=_UNSAID,
        steps=_RECIPIENT,
        scope=Scope.RECIPIENT,
        outcome=Outcome.PERMANENT,
        source="RFC, 3.3: 550 at the recipient",
    ),
    _Row(scope=Scope.MESSAGE, outcome=Outcome.PERMANENT, source="RFC, 4.2.1: 554 transaction failed"),
)


def classify(code: int, enhanced: str | None, text: str, step: Step) -> Classified:
    """Say what a refusal (``code`` from 400 to 599) is about, with the enhanced status, if it has one, and its text."""
    fault = diagnose(enhanced, text)
    said = (str(code), f"{str(code)[0]} {enhanced or ''}")
    row = next(row for row in TABLE if _fits(row, said, text, step, fault))
    bad = row.outcome is Outcome.PERMANENT and step in _OF_THE_RECIPIENT and fault in _NO_MAILBOX
    return Classified(row.scope, row.outcome, bad)


def _fits(row: _Row, said: tuple[str, str], text: str, step: Step, fault: Fault) -> bool:
    return (
        (row.steps is None or step in row.steps)
        and (row.faults is None or fault in row.faults)
        and any(one.startswith(row.replies) for one in said)
        and (row.text is None or row.text.search(text) is not None)
    )
