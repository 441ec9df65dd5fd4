"""Postfix with its whole set of daemons; Dovecot tells it who signs in, as Debian's documentation has it."""

import subprocess
import tempfile
from pathlib import Path

from tests.interop import programs
from tests.mail_servers.jail import HOST, NAME, OWN_SENDER, PASSWORD, USER, Jail, free_port, wait_until

_MAIN = """
compatibility_level = 3.6
queue_directory = /var/spool/postfix
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
data_directory = /var/lib/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = /var/log/mail.log
myhostname = {name}
mydestination = mail.example
mynetworks =
inet_interfaces = {host}
inet_protocols = ipv4
disable_dns_lookups = yes
smtp_host_lookup = native
alias_maps = texthash:/etc/aliases
local_recipient_maps = $alias_maps
recipient_delimiter = +
relay_domains = lab.example, away.example
transport_maps = texthash:/etc/postfix/transport
smtpd_client_event_limit_exceptions =
smtpd_tls_cert_file = /etc/server.pem
smtpd_tls_key_file = /etc/server.key
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:{host}:{auth}
smtpd_sasl_auth_enable = {signs_in}
smtpd_sender_login_maps = texthash:/etc/postfix/senders
smtpd_relay_restrictions = reject_unauth_destination
"""

_MASTER = """
{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

_DOVECOT = """
protocols =
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
instance_name = {name}
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
passdb {{
  driver = passwd-file
  args = {folder}/people
}}
userdb {{
  driver = static
  args = uid=8 gid=8 home=/
}}
service auth {{
  inet_listener {{
    address = {host}
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "saved", "trace")


class Postfix(Jail):
    """The options are parameters of ``main.cf``; ``signs_in="yes"`` makes it offer AUTH."""

    server = "postfix"
    command = ("/usr/lib/postfix/sbin/master", "-d", "-c", "/etc/postfix")
    log = "var/log/mail.log"

    def __init__(self, next_port: int, pipe: str = "cat >/dev/null", *, signs_in: str = "no", **options: str) -> None:
        super().__init__(next_port, pipe, **options)
        self._signs_in = signs_in
        self._dovecot: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="auth-")

    def prepare(self) -> None:
        """Write its files, and start Dovecot where somebody is to sign in."""
        auth = free_port()
        given = "".join(f"{name} = {value}\n" for name, value in self.options.items())
        main = _MAIN.format(name=NAME, host=HOST, auth=auth, signs_in=self._signs_in)
        self.write("etc/postfix/main.cf", main + given)
        self.write("etc/postfix/master.cf", _MASTER.format(port=f"{HOST}:{self.port}"))
        way = f"smtp:[{HOST}]:{self.next_port}"
        self.write("etc/postfix/transport", f"lab.example {way}\naway.example {way}\n")
        self.write("etc/postfix/senders", f"{OWN_SENDER} {USER}\nother@us.example john\n")
        self.write("etc/aliases", f'bounces "|{self.pipe}"\npostmaster /dev/null\n')
        self.folder("var/spool/postfix")
        self.folder("var/spool/postfix/pid")
        self.folder("var/lib/postfix", "postfix")
        for name in (*_QUEUES, "private"):
            self.folder(f"var/spool/postfix/{name}", "postfix", 0o700)
        self.folder("var/spool/postfix/maildrop", "postfix", 0o1730, "postdrop")
        self.folder("var/spool/postfix/public", "postfix", 0o2710, "postdrop")
        if self._signs_in == "yes":
            self._start_dovecot(auth)

    def stop(self) -> None:
        """End Dovecot too."""
        if self._dovecot is not None:
            self._dovecot.terminate()
            self._dovecot.wait(10)
        self._folder.cleanup()
        super().stop()

    def _start_dovecot(self, port: int) -> None:
        folder = Path(self._folder.name)
        folder.chmod(0o711)
        config = folder / "dovecot.conf"
        config.write_text(_DOVECOT.format(folder=folder, name=f"auth-{port}", host=HOST, port=port))
        (folder / "people").write_text(f"{USER}:{{PLAIN}}{PASSWORD}::::::\n")
        self._dovecot = subprocess.Popen([programs.path("dovecot"), "-F", "-c", str(config)], stdin=subprocess.DEVNULL)
        log = folder / "log"
        wait_until(lambda: log.exists() and "starting up" in log.read_text())
