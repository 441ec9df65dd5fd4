"""Dovecot with one mailbox on a free port of this machine, in a folder of its own."""

import os
import pwd
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import trustme
from imapclient import IMAPClient

from tests.interop import programs

HOST = "127.0.0.1"
USER, PASSWORD = "bounces", "s3cret/pass@word"
_START_SECONDS = 10

_CONFIG = """
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
instance_name = {name}
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
listen = {host}
ssl = yes
ssl_cert = <{folder}/chain.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = yes
mail_location = maildir:{folder}/mail
first_valid_uid = 1
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner_group} home={folder}/mail
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class ImapServer:
    """The server as processes of their own; a context manager."""

    def __init__(self) -> None:
        # Not below the folders of pytest, into which nobody else may go: Dovecot gives up the rights that it has.
        self._temporary = tempfile.TemporaryDirectory(prefix="imap-")
        self.folder = folder = Path(self._temporary.name)
        folder.chmod(0o711)
        self.port, self.tls_port = _free_ports()
        self.authority = folder / "ca.pem"
        self._program = programs.path("dovecot")
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, scheme: str = "imaps", password: str = PASSWORD, **options: str) -> str:
        """Return the address of the mailbox, as the setting takes it."""
        port = self.tls_port if scheme == "imaps" else self.port
        query = "&".join(f"{name}={quote(value)}" for name, value in ({"ca": str(self.authority)} | options).items())
        return f"{scheme}://{USER}:{quote(password, safe='')}@{HOST}:{port}/INBOX?{query}"

    def put(self, message: bytes, folder: str = "INBOX") -> None:
        """Let a message have come."""
        with self.opened() as client:
            client.append(folder, message)

    def seen(self, folder: str = "INBOX") -> list[bool]:
        """Tell of each message, in the order of their coming, whether it is marked as seen."""
        with self.opened() as client:
            client.select_folder(folder, readonly=True)
            found = client.get_flags(client.search())
            return [rb"\Seen" in found[uid] for uid in sorted(found)]

    def opened(self) -> IMAPClient:
        """Sign in as another client of the mailbox."""
        context = ssl.create_default_context(cafile=str(self.authority))
        client = IMAPClient(HOST, self.tls_port, ssl_context=context)
        client.login(USER, PASSWORD)
        return client

    def __enter__(self) -> Self:
        self._certificate()
        is_root = os.geteuid() == 0
        own = pwd.getpwuid(os.geteuid())
        owner = pwd.getpwnam("mail") if is_root else own
        mail = self.folder / "mail"
        mail.mkdir()
        if is_root:
            os.chown(mail, owner.pw_uid, owner.pw_gid)
        config = self.folder / "dovecot.conf"
        config.write_text(
            _CONFIG.format(
                folder=self.folder,
                name=f"test-{self.port}",
                internal="dovecot" if is_root else own.pw_name,
                group="dovecot" if is_root else own.pw_gid,
                login="dovenull" if is_root else own.pw_name,
                owner=owner.pw_uid,
                owner_group=owner.pw_gid,
                host=HOST,
                password=PASSWORD,
                port=self.port,
                tls_port=self.tls_port,
            )
        )
        self._process = subprocess.Popen([self._program, "-F", "-c", str(config)], stdin=subprocess.DEVNULL)
        self._await()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        self._temporary.cleanup()

    def _certificate(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.authority))
        issued = authority.issue_cert(HOST, "localhost")
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        for pem in issued.cert_chain_pems:
            pem.write_to_path(str(self.folder / "chain.pem"), append=True)

    def _await(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            try:
                with socket.create_connection((HOST, self.tls_port), 1):
                    return
            except OSError:
                time.sleep(0.05)
        log = self.folder / "log"
        raise RuntimeError(f"Dovecot did not start: {log.read_text() if log.exists() else 'it wrote no log'}")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind((HOST, 0))
        second.bind((HOST, 0))
        return first.getsockname()[1], second.getsockname()[1]
