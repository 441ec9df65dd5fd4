"""Exim, Debian's light daemon."""

from tests.mail_servers.jail import HOST, NAME, OWN_SENDER, PASSWORD, USER, Jail

_CONFIG = """
primary_hostname = {name}
local_interfaces = {host}
daemon_smtp_ports = {port}
spool_directory = /var/spool/exim4
log_file_path = /var/log/exim4/%slog
pid_file_path = /run/exim.pid
domainlist local_domains = mail.example
domainlist relay_to_domains = lab.example : away.example
acl_smtp_connect = at_connect
acl_smtp_mail = at_mail
acl_smtp_rcpt = at_rcpt
acl_smtp_data = at_data
tls_advertise_hosts = *
tls_certificate = /etc/server.pem
tls_privatekey = /etc/server.key
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}{{}}}}
host_lookup =
rfc1413_query_timeout = 0s
keep_environment =
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = true
{options}

begin acl
at_connect:
{at_connect}
  accept
at_mail:
{at_mail}
  accept
at_rcpt:
{at_rcpt}
  accept domains = +local_domains : +relay_to_domains
  deny message = relay not permitted
at_data:
{at_data}
  accept

begin routers
onwards:
  driver = manualroute
  domains = +relay_to_domains
  transport = remote
  route_list = * {host}
  self = send
returned:
  driver = accept
  domains = +local_domains
  local_parts = bounces
  local_part_suffix = +*
  transport = piped

begin transports
remote:
  driver = smtp
  port = {next_port}
  allow_localhost
  hosts_avoid_tls = *
piped:
  driver = pipe
  command = {pipe}
  use_shell
  user = bounces
  group = bounces
  return_fail_output
  environment = PATH=/bin:/usr/bin

begin retry
* * F,1h,1s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{password}}}}}}}}}
  server_set_id = $auth1
"""

# Who signs in may use the senders of that account alone.
OWNED = f"""  require message = this sender may not be used by who signed in
    authenticated = *
    condition = ${{if eq{{$sender_address}}{{{OWN_SENDER}}}}}"""


class Exim(Jail):
    """The options are its main options; ``at_mail`` and the like are statements of its ACLs."""

    server = "exim"
    command = ("/usr/sbin/exim4", "-bdf", "-q2s")
    log = "var/log/exim4/mainlog"

    def prepare(self) -> None:
        """Write its files."""
        acls = {f"at_{name}": self.options.pop(f"at_{name}", "") for name in ("connect", "mail", "rcpt", "data")}
        config = _CONFIG.format(
            name=NAME,
            host=HOST,
            port=self.port,
            next_port=self.next_port,
            pipe=self.pipe.replace("\\", "\\\\").replace("$", "\\$"),
            user=USER,
            password=PASSWORD,
            options="\n".join(f"{name} = {value}" for name, value in self.options.items()),
            **acls,
        )
        self.write("etc/exim4/exim4.conf", config)
        self.write("etc/server.key", (self.root / "etc/server.key").read_text(), 0o644)
        self.folder("var/spool/exim4", "Debian-exim", 0o750)
        self.folder("var/log/exim4", "Debian-exim", 0o750)
