"""Looking at an installation: is it well."""

import json
import sys

import click
import msgspec

from backend.doctor import checks, examination
from backend.doctor.examination import Finding, Level

# What monitoring understands: well, a fault, a warning only.
_STATUS = {Level.FAULT: 1, Level.WARNING: 2}
_WORDS = {0: "well", 1: "fault", 2: "warning"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, as_json: bool) -> None:
    """Say whether the installation is well: exit 0 if it is, 1 if anything is at fault, 2 if there are warnings only.

    A line for each of settings, keys, database, storage, queue, providers, mail servers, routes (what holds a provider
    back), workers, overdue messages, messages of unknown outcome, what is held back in a restored database, the ledger,
    the mailbox that bounces come to, the records SPF, DKIM, DMARC and MTA-STS of the domains that mail is sent from,
    and what waits for people.
    """
    findings = []
    for found in examination.examine(checks.CHECKS):
        findings.append(found)
        if not as_json:
            click.echo(f"{found.level:<6} {found.name:<11} {found.message}")
    status = _status(findings)
    if as_json:
        click.echo(json.dumps({"status": _WORDS[status], "checks": msgspec.to_builtins(findings)}, ensure_ascii=False))
    sys.exit(status)


def _status(findings: list[Finding]) -> int:
    levels = {found.level for found in findings}
    return next((status for level, status in _STATUS.items() if level in levels), 0)
