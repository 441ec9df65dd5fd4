"""What each setting is for, in the order in which an operator meets them, and the handbook's page of that."""

from backend.lib.settings_catalogue import PREFIX, SETTINGS

_NOTHING = "nothing"
_HEAD = """\
# Settings

Settings are environment variables; all may be left out, but for those that production asks for. This page is written by
`carillon settings --markdown`. `carillon settings` lists each with its value here and now, secrets masked, and where
that is from (`--json` for programs). A setting that cannot be used stops the start with one sentence that names it; a
variable that is misspelt is told of with the name that is meant.

Lists are written with commas. Addresses of databases and providers hold their credentials, percent-encoded.
"""
# Chapter: the settings by their names without the prefix.
MEANINGS: dict[str, dict[str, str]] = {
    "First": {
        "ENV": "`production` insists on a secret key, secure cookies, and migrating as a step of its own; `test` is "
        "for tests.",
        "SECRET_KEY": "32 random bytes or more. It protects every stored secret and signs the access tokens. The same "
        "on every machine. Production asks for it.",
        "OLD_SECRET_KEYS": "The keys before it, while they are being changed over: see "
        "[secrets](secrets.md#the-secret-key).",
        "BASE_URL": "The address by which clients and browsers know it, such as `https://notify.example.org`.",
        "HOST": "The address that the web process listens on.",
        "PORT": "The port that it listens on.",
        "DATA_DIR": "Where it keeps its files: the SQLite database, letters, DKIM keys, figures.",
        "DATABASE_URL": "`postgresql://user:password@host/name`, several hosts included, as libpq has it.",
        "QUEUE_URL": "`redis://host/0` for Huey on Redis, or PostgreSQL itself where the database's address leads "
        "through a pooler.",
        "KEEP_ALIVE_SECONDS": "How long an idle connection is kept open: longer than the proxy in front keeps its own.",
        "ENVIRONMENT_NAME": "What the installation is called on every page and in templates (`environment.name`): "
        "`UAT`. There `environment.production` is true where this is `production`, or, without a name, where "
        "`CARILLON_ENV` is.",
        "ENVIRONMENT_COLOUR": "The colour that goes with the name: `red`, `amber`, `green`, `blue`, `indigo` or "
        "`grey`.",
    },
    "Who sends": {
        "MAIL_FROM": "The sender of e-mails, such as `Laboratory <noreply@example.org>`.",
        "SENDER_DOMAINS": "More domains that services may send from, with all below them, beside that of "
        "`CARILLON_MAIL_FROM`.",
        "EMAIL_PROVIDERS": "`smtp://user:password@mail.example.org:587?tls=starttls`; several in order of preference: "
        "see [channels](../channels.md#providers). Without one, e-mails go to the outbox.",
        "SMS_PROVIDERS": "Who takes text messages, in the same way.",
        "SLACK_PROVIDERS": "Who takes Slack messages, in the same way.",
        "FRESHSERVICE_PROVIDERS": "Who takes tickets, in the same way.",
        "DKIM": "Keys that sign mails given to `smtp://`, as `domain:selector:file`: see [DKIM](../channels.md#dkim).",
        "BOUNCES": "The mailbox to which bounces come, such as `imaps://user:password@mail.example.org/INBOX`: see "
        "[receipts](../channels.md#receipts).",
        "EMAIL_ENABLED": "`false` takes no new e-mails: they are answered `503`. What was accepted goes out.",
        "SMS_ENABLED": "The same for text messages.",
        "OUTBOUND_ALLOW": "Hosts inside your network that webhooks may lead to, such as `chat.lab.example:443`.",
    },
    "How much": {
        "RATE_LIMIT": "Requests of one API client.",
        "DAILY_LIMIT": "Messages of a service in a day (UTC); a service may have its own.",
        "MAX_MESSAGES": "How many messages, one for each address of its recipients in each channel, one notification "
        "may become (at most 100,000); more are refused with `too_many_messages`.",
        "LINKED_FILES_MIB": "How much one notification may have behind links (at most 44). Requests may be a third "
        "larger than that and 1 MiB, or 16 MiB, whichever is more, and a virus scanner has to take as much.",
    },
    "How long": {
        "RETRY_BASE_SECONDS": "The first pause after a temporary failure. It doubles, for at most 10 tries or 24 "
        "hours. What is throttled uses up no try and has 24 hours; what is set up wrongly waits until it is mended.",
        "BATCH_QUIET_SECONDS": "A batch is sent when nothing has joined it for so long,",
        "BATCH_MAX_WAIT_SECONDS": "at the latest so long after it was opened,",
        "BATCH_MAX_ITEMS": "or as soon as it holds so many.",
        "RETENTION_DAYS": "How long finished notifications are kept.",
        "BACKUP_DAYS": "How old the last `carillon backup` may be before the doctor and an alert tell of it; 0 where "
        "something else makes the backups.",
        "REPEATS_DAYS": "How long the same content is known as a repeat after that; 0 is for ever.",
        "LINK_DAYS": "The longest that a link to a file may last: 78 weeks, if nothing else is said.",
    },
    "Who comes in": {
        "OIDC_ISSUER": "The OpenID provider through which people sign in. Its redirect address is "
        "`BASE_URL/portal/sign-in/oidc/callback`.",
        "OIDC_CLIENT_ID": "Our id there.",
        "OIDC_CLIENT_SECRET": "Our secret there.",
        "OIDC_GROUPS_CLAIM": "The claim of the ID token in which the provider names a person's groups. The map from "
        "groups to services and roles is in the portal, under Platform admin.",
        "TRUSTED_ISSUERS": "Issuers whose JWT access tokens are taken too: `https://` addresses, or the path of a TOML "
        "file: see [tokens of other issuers](tokens.md).",
        "TOKEN_ALGORITHM": "What our own access tokens are signed with: `EdDSA`, `ES256` or `RS256`. Both keys are "
        "published while it changes.",
        "ALPHA_SENDER_DOMAINS": "Domains that clients of the GOV.UK Notify alpha may send e-mail from, and whose "
        "people they may register.",
    },
    "What is looked at": {
        "METRICS_TOKEN": "The bearer token with which `/metrics` may be read.",
        "METRICS_ALLOW": "Addresses and networks that may read `/metrics` without it, such as `10.0.0.7,10.1.0.0/16`.",
        "SCANNER": "ClamAV's daemon, `clamd://host:3310`: every attachment goes to it before it is taken. What it "
        "finds is refused; while it does not answer, notifications with attachments are answered `503`. Its "
        "`StreamMaxLength` has to be 10 MiB or more.",
        "LINK_RULES": "The path of a TOML file with rules for links in templates: `[[hosts]]` with `host`, `reason` "
        "and `allow = true` for hosts that are forbidden or allowed, `[unsubscribe]` with `words` and `reason` where "
        "e-mails must offer it. What breaks one is a warning of preview, publishing and explain.",
    },
}


def markdown() -> str:
    """Write the handbook's page of all settings."""
    defaults = {setting.name: setting.default for setting in SETTINGS}
    text = _HEAD
    for chapter, meanings in MEANINGS.items():
        rows = [f"| `{PREFIX}{name}` | {_default(defaults[name])} | {said} |" for name, said in meanings.items()]
        text += "\n".join([f"\n## {chapter}\n", "| setting | without it | meaning |", "| --- | --- | --- |", *rows, ""])
    return text


def _default(value: str) -> str:
    """Write a value as code, and what is said of one as words."""
    if not value:
        return _NOTHING
    return value if " in the " in value or value.startswith("beside") else f"`{value}`"
