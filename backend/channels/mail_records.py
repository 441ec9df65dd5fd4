"""The records by which receivers know a sender's domain: what should be published, and what is.

SPF is RFC 7208, DKIM RFC 6376, DMARC RFC 7489, MTA-STS RFC 8461.
"""

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address

import msgspec

from backend.lib import dkim_keys
from backend.lib.dkim_keys import DkimKey
from backend.lib.dns_records import Lookups, UnansweredError

# What a record must name where mail leaves by a server that its operator's customers share, by the end of its name.
_SHARED = {
    "office365.com": "include:spf.protection.outlook.com",
    "outlook.com": "include:spf.protection.outlook.com",
    "gmail.com": "include:_spf.google.com",
    "amazonaws.com": "include:amazonses.com",
    "sendgrid.net": "include:sendgrid.net",
}
_SPF_LOOKUPS = 10  # RFC 7208, section 4.6.4
_SPF_ASKS = re.compile(r"[+?~-]?(?:(?:include|exists):|(?:a|mx|ptr)(?:[:/]|$))|redirect=", re.IGNORECASE)
_SPF_ALL = re.compile(r"([+?~-]?)all", re.IGNORECASE)
_POLICIES = {"none": "delivered", "quarantine": "put aside", "reject": "refused"}  # and what becomes of mail then


class Record(enum.StrEnum):
    """The kinds of records, by the names that everybody uses."""

    SPF = "SPF"
    DKIM = "DKIM"
    DMARC = "DMARC"
    MTA_STS = "MTA-STS"


class RecordState(enum.StrEnum):
    """What is to be said of a record."""

    GOOD = "good"
    MISSING = "missing"
    WRONG = "wrong"
    OPTIONAL = "optional"  # not there, and nothing is wrong without it
    UNKNOWN = "unknown"  # the DNS did not say


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a domain: ``name`` is where it belongs, ``publish`` what, empty where that is another's to say.

    ``found`` are the texts that are there, ``advice`` is a sentence or two.
    """

    record: Record
    name: str
    state: RecordState
    advice: str
    publish: str = ""
    found: tuple[str, ...] = ()

    @property
    def is_fault(self) -> bool:
        """Whether mail suffers from it: a record is wrong, or one is missing that signatures refer to."""
        return self.state is RecordState.WRONG or (self.state is RecordState.MISSING and self.record is Record.DKIM)


RecordCheck = Callable[[Lookups], list[Finding]]


def checks(domain: str, keys: Sequence[DkimKey], servers: Sequence[str]) -> list[RecordCheck]:
    """Return what is to be looked at for a domain, which may be done side by side; none of it raises.

    ``servers`` are the hosts to which its mail is given.
    """
    signing = dkim_keys.of_domain(keys, domain)
    return [
        lambda dns: [_spf(domain, servers, dns)],
        *(_dkim_check(key) for key in signing),
        *([] if signing else [lambda _dns: [_unsigned(domain)]]),
        lambda dns: [_dmarc(domain, dns)],
        lambda dns: _mta_sts(domain, dns),
    ]


def _spf(domain: str, servers: Sequence[str], dns: Lookups) -> Finding:
    named = list(dict.fromkeys(_mechanism(server) for server in servers)) or ["a:SERVER"]
    publish = f"v=spf1 {' '.join(named)} ~all"
    unsure = "Its operator says what a server’s record must name, where others send by it too."

    def check(found: list[str]) -> tuple[RecordState, str]:
        if not found:
            return RecordState.MISSING, f"Publish which servers send for this domain. {unsure}"
        if len(found) > 1:
            return RecordState.WRONG, "There are several, so receivers heed none (RFC 7208, section 4.5): leave one."
        terms = found[0].split()[1:]
        if sum(1 for term in terms if _SPF_ASKS.match(term)) > _SPF_LOOKUPS:
            return (
                RecordState.WRONG,
                f"It asks for more than {_SPF_LOOKUPS} other records, so receivers heed none of it.",
            )
        ends = [match[1] for term in terms if (match := _SPF_ALL.fullmatch(term))]
        if ends and ends[0] in {"", "+"}:
            return RecordState.WRONG, "It lets everybody send for this domain: end it with ~all or -all."
        return RecordState.GOOD, _coverage(named, terms)

    return _checked(Record.SPF, domain, publish, _starting(dns, domain, r"v=spf1(?:\s|$)"), check)


def _coverage(named: Sequence[str], terms: Sequence[str]) -> str:
    """Say whether a record names the servers; what it includes is not followed."""
    if "a:SERVER" in named:
        return "It is well written. See that it covers the server by which your mail leaves."
    missing = [one for one in named if one not in terms]
    if missing:
        return f"It does not name {' '.join(missing)} itself: see that it covers your server."
    return "It names the server to which mail is given."


def _mechanism(server: str) -> str:
    """Return the term by which a record names a server; ``SERVER`` stands for what cannot be known here."""
    for end, term in _SHARED.items():
        if server == end or server.endswith(f".{end}"):
            return term
    try:
        address = ip_address(server)
    except ValueError:
        return f"a:{server}" if "." in server else "a:SERVER"
    # Mail leaves by one of this network, under an address that is not seen from here.
    return f"ip{address.version}:{server}" if address.is_global else "a:SERVER"


def _dkim_check(key: DkimKey) -> RecordCheck:
    return lambda dns: [_dkim(key, dns)]


def _dkim(key: DkimKey, dns: Lookups) -> Finding:
    def check(found: list[str]) -> tuple[RecordState, str]:
        if not found:
            return RecordState.MISSING, "Mails are signed with this key, and nobody can verify that: publish it."
        if len(found) > 1:
            return RecordState.WRONG, "There are several records at this name, and receivers may take any: leave one."
        tags, wanted = _tags(found[0]), _tags(key.record)
        if not tags.get("p"):
            return RecordState.WRONG, "The record says that this key is withdrawn: publish it, or sign with another."
        if (tags.get("k", "rsa"), tags["p"]) != (wanted["k"], wanted["p"]):
            return (
                RecordState.WRONG,
                "It is another key’s, so no signature verifies: publish this one, or set the other.",
            )
        if "y" in tags.get("t", "").split(":"):
            return RecordState.GOOD, "It is the key that signs, marked as a test (t=y): take the mark away."
        return RecordState.GOOD, "It is the key that signs."

    return _checked(Record.DKIM, key.record_name, key.record, lambda: dns.texts(key.record_name), check)


def _unsigned(domain: str) -> Finding:
    return Finding(
        record=Record.DKIM,
        name=f"SELECTOR._domainkey.{domain}",
        state=RecordState.OPTIONAL,
        advice="No key signs here. If the server or provider that takes your mail signs it, that one says what to "
        f"publish; if none does, `carillon dkim new --domain {domain} --selector NAME` makes a key.",
    )


def _dmarc(domain: str, dns: Lookups) -> Finding:
    publish = f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}"

    def check(found: list[str]) -> tuple[RecordState, str]:
        if not found:
            return RecordState.MISSING, "Publish it; large providers refuse many mails of a domain without it."
        if len(found) > 1:
            return RecordState.WRONG, "There are several, so receivers heed none (RFC 7489, section 6.6.3): leave one."
        policy = _tags(found[0]).get("p", "").lower()
        if policy not in _POLICIES:
            return (
                RecordState.WRONG,
                "Its policy p is none of none, quarantine and reject, so receivers may not heed it.",
            )
        if policy == "none":
            return RecordState.GOOD, "It asks for reports alone. When SPF and DKIM are well, go on to quarantine."
        return RecordState.GOOD, f"Mail that neither SPF nor DKIM vouches for is to be {_POLICIES[policy]}."

    return _checked(Record.DMARC, f"_dmarc.{domain}", publish, lambda: _nearest_dmarc(domain, dns), check)


def _nearest_dmarc(domain: str, dns: Lookups) -> list[str]:
    """Return the records of a domain, or of the nearest above it, which then hold for it too; no top level's."""
    while "." in domain:
        if found := _starting(dns, f"_dmarc.{domain}", r"v\s*=\s*DMARC1\s*(?:;|$)")():
            return found
        domain = domain.partition(".")[2]
    return []


def _mta_sts(domain: str, dns: Lookups) -> list[Finding]:
    """Look at what guards mail that comes in, which bounces are: nothing where none comes in."""
    name = f"_mta-sts.{domain}"

    def check(found: list[str]) -> tuple[RecordState, str]:
        policy = f"The policy belongs at https://mta-sts.{domain}/.well-known/mta-sts.txt, which is not looked at here."
        about = "It guards what comes in, such as bounces, and nothing that goes out."
        if not found:
            return RecordState.OPTIONAL, f"Bounces may come without verified TLS. {about} {policy}"
        if len(found) > 1 or not re.fullmatch(r"[A-Za-z0-9]{1,32}", _tags(found[0]).get("id", "")):
            return (
                RecordState.WRONG,
                "There must be one, with an id of letters and digits: receivers heed none of these.",
            )
        return RecordState.GOOD, f"{about} {policy}"

    try:
        if not dns.takes_mail(domain):
            return []
    except UnansweredError:
        return []  # that the DNS does not answer is said of the other records
    return [_checked(Record.MTA_STS, name, "v=STSv1; id=1", _starting(dns, name, r"v=STSv1\s*;"), check)]


def _starting(dns: Lookups, name: str, pattern: str) -> Callable[[], list[str]]:
    return lambda: [text for text in dns.texts(name) if re.match(pattern, text, re.IGNORECASE)]


def _checked(
    record: Record,
    name: str,
    publish: str,
    lookup: Callable[[], list[str]],
    check: Callable[[list[str]], tuple[RecordState, str]],
) -> Finding:
    try:
        found = lookup()
    except UnansweredError as fault:
        return Finding(record=record, name=name, state=RecordState.UNKNOWN, advice=str(fault), publish=publish)
    state, advice = check(found)
    return Finding(
        record=record,
        name=name,
        state=state,
        advice=advice,
        publish=publish,
        found=tuple(one[:1000] for one in found[:5]),
    )


def _tags(text: str) -> Mapping[str, str]:
    """Take a list of tags apart (RFC 6376, section 3.2); white space counts for nothing in what is read of it here."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}
