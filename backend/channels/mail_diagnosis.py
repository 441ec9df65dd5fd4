"""What a mail server's refusal says of the address: whether it is bad, good, or nobody can tell.

A status code (RFC 3463) alone does not say it. Servers refuse for good, with ``5.1.1`` or ``5.0.0``, what they merely
do not want today, and say ``5.4.1`` or ``5.7.1`` of mailboxes that do not exist. So what the text says counts first,
from what is most certainly not the address's fault to what most certainly is; then the code; and what neither tells
stays in doubt. The registry of codes is IANA's "SMTP Enhanced Status Codes"; texts are those that the servers named
beside them write.
"""

import enum
import re

import msgspec


class Fault(enum.StrEnum):
    """Whose fault a refusal is."""

    MAILBOX = "there is no such mailbox"
    DOMAIN = "there is no such domain, or it takes no mail"
    FULL = "the mailbox is full"
    DISABLED = "the mailbox is switched off"
    SENDER = "the sender is not accepted"
    SET_UP = "our set-up is not accepted"
    AUTHENTICATION = "our mail does not pass SPF, DKIM or DMARC"
    RELAY = "we may not send there by this server"
    POLICY = "a policy forbids it"
    CONTENT = "the content is not accepted"
    BLOCKLIST = "a blocklist names us"
    RATE = "too much was sent at a time"
    SIZE = "the message is too large"
    ROUTE = "the way to the mailbox is broken"
    SYSTEM = "the server has a fault of its own"
    UNKNOWN = "the server does not say why"


# Nothing that is sent there will arrive, whoever sends it and whatever it is.
BAD_ADDRESS = frozenset({Fault.MAILBOX, Fault.DOMAIN, Fault.DISABLED})


class _Rule(msgspec.Struct, frozen=True):
    """A text that tells whose fault it is."""

    pattern: re.Pattern[str]
    fault: Fault


def _rule(fault: Fault, *patterns: str) -> _Rule:
    return _Rule(re.compile("|".join(patterns), re.IGNORECASE), fault)


# In order: the first that fits tells. What speaks of us comes before what speaks of the mailbox, for servers wrap
# the one in the words of the other ("Recipient address rejected: blocked using …", Postfix).
_TEXTS = (
    # Rspamd and SpamAssassin of an address in the content, on lists that have nothing to do with the one of servers.
    _rule(
        Fault.CONTENT,
        r"\buribl\b|\bsurbl\b|\burls?\b[^.;]{0,40}(?:listed|block|reputation)",
        r"\b(?:body contains|links?) (?:\w+ ){0,4}(?:black|block)?listed (?:on|in|by|at)\b",
    ),
    # One reader's own list of senders: Exchange, Gmail, Dovecot with Sieve.
    _rule(
        Fault.POLICY,
        r"(?:recipient|user)(?:'s)? (?:has |have )?(?:personal|blocked|blacklisted|block list)|by (?:the )?recipient\b|"
        r"personal (?:block|black)",
        r"\b(?:user|recipient|mailbox|group)\b[^.;]{0,40}\b(?:does not|doesn't|only) accepts? (?:mail|messages) from",
    ),
    # Postfix with a DNS blocklist, Exchange Online Protection, Proofpoint, Cisco IronPort, Barracuda, Spamhaus.
    _rule(
        Fault.BLOCKLIST,
        r"block(?:ed|ing)? (?:using|list)|\bblocklist|blacklist|\bdnsbl\b|\brbl\b|spamhaus|spamcop|barracuda\w*\.org",
        r"(?:sender|client|your|sending) (?:ip|mta|host|server)[^.;]{0,40}(?:reputation|blocked|listed|"
        r"banned|denied)",
        r"poor reputation|bad reputation|low reputation|reputation of|banned send(?:ing ip|er)|s3140",
        r"not accepted from this ip|listed (?:in|on|at|by) ",
    ),
    # Exchange's rules for one recipient, a group for instance, in words of authentication.
    _rule(Fault.POLICY, r"resolver\.rst\.(?:auth|notauth|senderno)"),
    # Google 5.7.26, Yahoo, Microsoft 365 5.7.509 and 5.7.23, Postfix with OpenDMARC or policyd-spf.
    _rule(Fault.AUTHENTICATION, r"\bspf\b|\bdkim\b|\bdmarc\b|unauthenticated|sender is not authenticated"),
    # Postfix, Exim, sendmail, qmail, Exchange 5.7.54, hMailServer.
    _rule(
        Fault.RELAY,
        r"relay(?:ing)? (?:access )?(?:denied|not permitted|not allowed|prohibited)|unable to relay|"
        r"not a relay|no relay|rcpthosts|authenticat(?:e|ion) (?:is )?required|not authenticated",
    ),
    # Postfix (reject_unknown_reverse_client_hostname, reject_invalid_helo_hostname), Exim, Courier.
    _rule(
        Fault.SET_UP,
        r"helo|reverse (?:dns|host|mapping|lookup)|\bptr\b|\brdns\b|starttls|must (?:issue|use) (?:a )?tls",
    ),
    # Exchange and Microsoft 365 (SendAsDenied, 5.1.8, 5.7.708), Postfix with reject_sender_login_mismatch, SES.
    _rule(
        Fault.SENDER,
        r"sendas|send as|not (?:allowed|authori[sz]ed|permitted) to send (?:as|from|mail from|on behalf)",
        r"(?:sender|from|return[- ]path|mail from)(?: address)?:? [^.;]{0,80}(?:reject|denied|refused|"
        r"not (?:verified|owned|allowed|accepted|exist)|invalid|verif|unknown|blocked)",
        r"not owned by|bad outbound sender|email address is not verified|domain of sender|verify (?:the )?sender",
        r"sender (?:verify|verification|callout)|callout verification",
    ),
    # What is too much in one message, not in how many: Rspamd, Exim (acl_smtp_mime), Courier, Postfix with milters.
    _rule(Fault.ROUTE, r"too many (?:hops|received)"),
    _rule(
        Fault.CONTENT,
        r"too (?:many|much) (?:spam\b(?! (?:from|messages?|mails?|complaints?))|(?:hyper)?links\b|ur[il]s\b|images\b|"
        r"attach|(?:mime|body) ?parts|header|nested|(?:long|blank) lines)",
    ),
    # Google 4.2.1 and 5.2.1, Yahoo, Microsoft 365 5.2.121, OpenSMTPD, Exim with ratelimit, SES, Postfix anvil.
    _rule(
        Fault.RATE,
        r"too (?:many|much|fast|often|quickly)\b|rate[- ]?limit|\brate\b[^.;]{0,30}exceed|throttl|slow down",
        r"(?:message|recipient|receiving|receive|sending|hourly|daily)\w* (?:limit|quota|rate)|greylist|"
        r"graylist|resources temporarily",
        r"receiving (?:mail|messages) at a rate|unusual rate|deferred due to",
    ),
    # Every server has words of its own for a full mailbox: Dovecot, Cyrus, Exchange, Google, hMailServer, qmail.
    _rule(
        Fault.FULL,
        r"over ?quota|quota (?:is )?(?:exceeded|full)|exceed\w* (?:\w+ ){0,3}(?:quota|storage|mailbox)|"
        r"out of storage",
        r"(?:mailbox|inbox|storage|account|folder|disk|maildir) (?:\w+ ){0,2}(?:is )?(?:over ?)?(?:full|exceeded)",
        r"mailfolder is full|not enough (?:disk )?(?:space|storage)|insufficient (?:system )?storage|no space left",
    ),
    _rule(
        Fault.SIZE,
        r"(?:message|mail|size|content)[^.;]{0,40}(?:too (?:big|large)|exceeds? [^.;]{0,30}(?:size|limit|maximum))",
        r"(?:fixed )?maximum (?:message )?size|size limit|too large to",
    ),
    # Rspamd, SpamAssassin, Proofpoint, IronPort, Google 5.7.1, SES content, virus scanners.
    _rule(
        Fault.CONTENT,
        r"\bspam\b|unsolicited|junk|\bvirus\b|malware|phish|content (?:is )?(?:rejected|not accepted|filter)|gtube",
        r"suspicious|harmful|prohibited (?:file|attachment|content)|attachment|message (?:was )?(?:rejected|"
        r"refused|blocked) (?:because|as|for)",
        r"high(?:ly)? probab|considered (?:un|spam)|\bcontained? (?:a |an )?(?:forbidden|blocked|url)",
    ),
    # Microsoft 365 5.4.1: directory based edge blocking; Exchange wraps it in words of access.
    _rule(Fault.MAILBOX, r"recipient address rejected: access denied"),
    _rule(
        Fault.DISABLED,
        r"(?:mailbox|account|user|recipient|address)\w*[^.;]{0,40}(?:is |has been |was )?(?:disabled|"
        r"inactive|suspended|deactivated|closed|discontinued|no longer (?:active|valid|available|in use|"
        r"accept))",
        r"(?:disabled|inactive|suspended|deactivated|closed) (?:mailbox|account|user|recipient)|"
        r"no longer (?:works|with|employed)",
    ),
    # Sendmail, Postfix, Exim, OpenSMTPD, qmail, Exchange, Google, Yahoo, iCloud, hMailServer, Kerio, Zimbra.
    _rule(
        Fault.MAILBOX,
        r"(?:user|recipient|mailbox|account|address|alias|addressee|local[- ]part)\w*[^.;]{0,60}(?:unknown|"
        r"not (?:found|known|exist|listed|available here|here)|(?:does|do|did) ?n[o']t exist|"
        r"(?:is )?invalid|no such|undefined|unrecogni[sz]ed|not recogni[sz]ed|unrouteable|not local|not our)",
        r"(?:unknown|no such|invalid|bad destination|nonexist\w*|non-exist\w*|unrouteable|unroutable|"
        r"undeliverable) (?:local )?(?:user|recipient|mailbox|account|address|person|alias)",
        r"no (?:such )?(?:mailbox|user|account|person|recipient)\b|can(?:no|')t find (?:a |the )?(?:user|"
        r"mailbox|recipient)|isn't (?:in|listed|a )",
        r"doesn't have an? [^;]{0,40}account|could ?n[o']t be found|wasn't found|not a (?:valid|"
        r"known) (?:user|mailbox|recipient|address)|dosn't exist|not in (?:our |the )?directory|"
        r"user doesn't exist|\bunknown in\b|email account that you tried to reach",
    ),
    _rule(
        Fault.DOMAIN,
        r"(?:domain|host)\w*[^.;]{0,60}(?:not found|does ?n[o']t exist|unknown|no (?:mail|mx)|nxdomain|"
        r"not resolve|accepts? no mail|does not accept mail)",
        r"null ?mx|no such (?:domain|host)|name service error|host or domain name not found|"
        r"bad destination (?:system|host)",
    ),
    _rule(
        Fault.ROUTE,
        r"mail (?:loop|for [^ ]{1,80} loops)|routing loop|connection (?:timed out|refused|"
        r"reset)|no route|unreachable|not responding",
        r"retry (?:timeout|time) exceeded|message expired|delivery (?:time|period) expired|"
        r"could not be delivered (?:for|within)|unrouted",
    ),
    # It is said of much else as well; what tells more comes before.
    _rule(Fault.RATE, r"try again later"),
    _rule(
        Fault.POLICY,
        r"polic(?:y|ies)|administrative|prohibit|not (?:permitted|allowed|authori[sz]ed)|access denied|"
        r"restrict\w*|rejected by (?:the )?(?:recipient|admin|security|rule)|refused by|forbidden|moderat",
        r"only accepts? (?:mail|messages) from|not accept\w* (?:mail|messages) from|5\.7\.\d",
    ),
)

# OpenSMTPD says this, without an enhanced code, of a mailbox that is not there and of a domain to which it does
# not relay.
_SAYS_NOT_WHICH = re.compile(r"\A(?:550 )?invalid recipient: <", re.IGNORECASE)

# RFC 3463 and IANA's registry. What is not here, such as ``5.0.0``, ``5.1.0`` and ``5.5.0``, tells nothing.
_CODES = {
    "1.1": Fault.MAILBOX,
    "1.2": Fault.DOMAIN,
    "1.3": Fault.MAILBOX,
    "1.6": Fault.MAILBOX,  # has moved
    "1.9": Fault.ROUTE,
    "1.10": Fault.MAILBOX,  # Exchange: not found; RFC 7505: a null MX
    "2.1": Fault.DISABLED,
    "2.2": Fault.FULL,
    "2.3": Fault.SIZE,
    "3.1": Fault.FULL,
    "3.4": Fault.SIZE,
    "4.1": Fault.ROUTE,
    "4.4": Fault.ROUTE,
    "4.6": Fault.ROUTE,
    "4.7": Fault.ROUTE,
}
# Codes that no server uses for anything else: of our sender, of a domain that takes no mail from it, of the size, and
# of whom a single recipient of Exchange takes mail from.
_CERTAIN = {"1.7": Fault.SENDER, "1.8": Fault.SENDER, "7.26": Fault.AUTHENTICATION, "3.4": Fault.SIZE}
_CERTAIN |= dict.fromkeys(("7.124", "7.129", "7.133", "7.134", "7.135", "7.136"), Fault.POLICY)
_BY_SUBJECT = {"3": Fault.SYSTEM, "4": Fault.ROUTE, "6": Fault.CONTENT, "7": Fault.POLICY}


def diagnose(status: str | None, text: str) -> Fault:
    """Say whose fault a refusal is, by its enhanced status (``5.1.1``), if there is one, and the server's text."""
    _, _, detail = (status or "").partition(".")
    if detail in _CERTAIN:
        return _CERTAIN[detail]
    folded = " ".join(text.split())
    if detail in {"", "0.0"} and _SAYS_NOT_WHICH.match(folded):
        return Fault.UNKNOWN
    for rule in _TEXTS:
        if rule.pattern.search(folded):
            return rule.fault
    return _CODES.get(detail) or _BY_SUBJECT.get(detail.partition(".")[0]) or Fault.UNKNOWN
