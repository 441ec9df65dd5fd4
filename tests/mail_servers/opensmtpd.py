"""OpenSMTPD; ``smtp limit max-mails`` is its one limit of how much a client may send.

That of Debian 12 can do no TLS at all, nor therefore AUTH: it was made before OpenSSL 3, with which its process that
keeps the keys does not get on, as its makers say.
"""

import os

from tests.mail_servers import packages
from tests.mail_servers.jail import HOST, NAME, OWN_SENDER, PASSWORD, USER, Jail

_CONFIG = """
pki {name} cert "/etc/server.pem"
pki {name} key "/etc/server.key"
table people file:/etc/people
table owners {{ {user} = "{owned}" }}
table boxes {{ bounces = "59006:59006:/" }}
table names {{ "bounces@mail.example" = bounces }}
{options}
listen on {host} port {port} hostname {name} {listen}
action "onwards" relay host "smtp://{host}:{next_port}"
action "piped" mda "{pipe}" userbase <boxes> virtual <names>
match from any for domain "mail.example" action "piped"
match from any for domain {{ "lab.example", "away.example" }} action "onwards"
"""


class OpenSmtpd(Jail):
    """The options are lines of its configuration, with ``_`` for spaces; ``listen`` stands behind its listener."""

    server = "opensmtpd"
    command = ("/usr/sbin/smtpd", "-d")
    log = "var/log/output"

    def prepare(self) -> None:
        """Write its files."""
        listen = self.options.pop("listen", f"tls pki {NAME}")
        lines = [f"{name.replace('_', ' ')} {value}" for name, value in self.options.items()]
        config = _CONFIG.format(
            name=NAME,
            host=HOST,
            port=self.port,
            next_port=self.next_port,
            pipe=self.pipe.replace('"', '\\"'),
            user=USER,
            owned=OWN_SENDER,
            listen=listen,
            options="\n".join(lines),
        )
        self.write("etc/smtpd.conf", config, 0o600)
        self.write("etc/mailname", f"{NAME}\n")
        self.folder("var/run")
        self.folder("var/lib/opensmtpd/empty")
        self.folder("var/spool/smtpd", mode=0o711)
        self.folder("var/spool/smtpd/purge", "opensmtpq", 0o700, "root")
        encrypts = self.root / "usr/sbin/smtpctl"
        os.chown(encrypts, 0, packages.USERS["opensmtpq"])
        encrypts.chmod(0o2755)
        self.write("etc/people", f"{USER} {self.run('/usr/sbin/smtpctl', 'encrypt', PASSWORD).strip()}\n", 0o600)
