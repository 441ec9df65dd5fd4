"""Bounces that lie in a mailbox, read over IMAP (RFC 9051): so many at a time, and each once."""

import logging
from collections.abc import Callable

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import IMAPClientError, LoginError

from backend.db import database as db
from backend.delivery.providers import mailboxes
from backend.delivery.providers.mailboxes import Progress
from backend.lib import outages
from backend.lib.imap_folder import Mailbox
from backend.lib.problems import Problem
from backend.receipts import bounce_reading, bounces

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 30


class MailboxFault(Exception):
    """A mailbox cannot be read; the text is a sentence without secrets."""


def read(mailbox: Mailbox, progress: Progress, token: str, stopping: Callable[[], bool]) -> bool:
    """Read what has come since, oldest first, as much as a round may; tell whether there is more.

    What brought news is marked as seen, or moved; everything else is left as it is, for people to look at. How far it
    has come is written after each message, so a process that dies meanwhile reads that one again, which changes
    nothing: a bounce counts once.

    Raises:
        MailboxFault: the server cannot be reached or does not do as asked.
        LostError: the mailbox is another process's by now.
        Problem: ``unavailable`` while no process is free to read mails.
    """
    try:
        with _opened(mailbox) as client:
            validity = int(client.select_folder(mailbox.folder)[b"UIDVALIDITY"])
            # Numbers of another validity say nothing of these messages (section 2.3.1.1).
            last = progress.last_uid if validity == progress.uid_validity else 0
            # A range that begins behind the newest message means the newest.
            waiting = sorted(uid for uid in client.search(["UID", f"{last + 1}:*", "UNDELETED"]) if uid > last)
            for uid in waiting[: mailbox.most]:
                if stopping():
                    return False
                if _has_news(client, mailbox, uid):
                    _put_away(client, mailbox, uid)
                with db.current().transaction() as session:
                    mailboxes.advance(session, mailbox.key, token, validity, uid)
            return len(waiting) > mailbox.most
    except LoginError:
        # The server's words may repeat what it was told.
        raise MailboxFault(f"{mailbox.host} refuses the user or the password of the mailbox.") from None
    except (IMAPClientError, OSError) as fault:
        raise MailboxFault(f"{mailbox.label} cannot be read: {_first_line(fault)}.") from None


def _opened(mailbox: Mailbox) -> IMAPClient:
    timeout = SocketTimeout(_CONNECT_SECONDS, _ANSWER_SECONDS)
    context = mailbox.context()
    try:
        client = IMAPClient(mailbox.host, mailbox.port, ssl=mailbox.tls == "tls", ssl_context=context, timeout=timeout)
    except OSError as fault:
        raise MailboxFault(f"{mailbox.host}:{mailbox.port} cannot be reached: {_first_line(fault)}.") from None
    try:
        if mailbox.tls == "starttls":
            client.starttls(context)
        client.login(mailbox.user, mailbox.password)
    except BaseException:
        client.shutdown()
        raise
    return client


def _has_news(client: IMAPClient, mailbox: Mailbox, uid: int) -> bool:
    """Take one message; one that cannot be read is told in the log, and holds up none behind it."""
    found = client.fetch([uid], [f"BODY.PEEK[]<0.{bounces.MAX_BYTES}>"]).get(uid, {})
    message = next((value for key, value in found.items() if key.startswith(b"BODY[]")), b"")
    try:
        return bounce_reading.take(message) > 0
    except Problem as problem:
        if problem.code == "unavailable":
            raise
        logger.warning("Message %d of %s is left unread: %s", uid, mailbox.label, problem.detail)
    except Exception as error:
        if outages.is_outage(error):
            raise
        logger.exception("Message %d of %s is left unread", uid, mailbox.label)
    return False


def _put_away(client: IMAPClient, mailbox: Mailbox, uid: int) -> None:
    client.add_flags([uid], [rb"\Seen"], silent=True)
    if not mailbox.move_to:
        return
    if not client.folder_exists(mailbox.move_to):
        client.create_folder(mailbox.move_to)
    if client.has_capability("MOVE"):
        client.move([uid], mailbox.move_to)
        return
    client.copy([uid], mailbox.move_to)
    client.delete_messages([uid], silent=True)
    if client.has_capability("UIDPLUS"):  # without it others' deleted messages would go too
        client.uid_expunge([uid])


def _first_line(fault: Exception) -> str:
    return (str(fault).splitlines() or [""])[0].rstrip(".")[:200] or type(fault).__name__
