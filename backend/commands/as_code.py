"""The commands about templates as code: ``pull``, ``plan`` and ``push``, over the public HTTP API alone."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from backend.as_code import git, mapping, planning, reading, report, writing
from backend.as_code.git import Revision
from backend.as_code.installation import Installation, Outcome, Refusal, Stored
from backend.as_code.layout import Files
from backend.as_code.mapping import Mapped
from backend.as_code.model import Contents, Fault, printable
from backend.as_code.planning import Change
from backend.as_code.reading import Folder
from backend.lib import setting_sources
from backend.lib.setting_sources import UnusableSource

_CHANGES = 2
_PIPE = "-"


class _WrongUse(click.UsageError):
    exit_code = 1


class _Command(click.Command):
    """A command whose wrong use is a fault as any other: the status 2 says that a plan has changes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _WrongUse(error.format_message(), ctx) from None


def _where(command: Callable[..., None]) -> Callable[..., None]:
    folder = "The folder; - for one document through a pipe."
    for option in (
        click.option("--folder", required=True, metavar="DIR", help=folder),
        click.option(
            "--to", required=True, metavar="URL", help="The installation, such as https://notify.example.org."
        ),
    ):
        command = option(command)
    return command


def _what(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--map", "map_file", metavar="FILE", help="A TOML file that says who the recipients are there."),
        click.option("--delete", is_flag=True, help="Delete what was published by code and is gone from the folder."),
        click.option("--check", is_flag=True, help="For CI: render every sample, print the warnings, change nothing."),
        click.option("--strict", is_flag=True, help="With --check: a warning is a fault."),
    ):
        command = option(command)
    return command


@click.command(cls=_Command)
@_where
def pull(to: str, folder: str) -> None:
    """Write the templates and recipients of an installation to a folder.

    What differs is written over: commit first. What only the folder has stays. The API client is that of
    CARILLON_CLIENT_ID and CARILLON_CLIENT_SECRET, with the scopes registry:read and registry:write.

    \b
    TEMPLATE_ID/template.toml    name, kind, repeat_after, sender, reply_to, locked, [batch], [[samples]]
    TEMPLATE_ID/source.mjml      or source.html, source.txt, source.md
    TEMPLATE_ID/subject.txt
    TEMPLATE_ID/samples/*.json   the first is what the template is published with
    partials/PARTIAL_ID/         the same, for partials and layouts
    recipients/RECIPIENT.toml    name, [[endpoints]] with type and address
    """
    with _faults(), _installation(to) as there:
        contents = _answered(there.contents)
        if folder == _PIPE:
            click.echo(msgspec.json.encode(contents))
            return
        root = Path(folder)
        root.mkdir(parents=True, exist_ok=True)
        present = reading.read(root, environ=None)
        if present.faults:
            raise Fault("Nothing was written, for this would be written over:", *present.faults)
        written = list(writing.write(root, contents, present))
        for path in written:
            _say(f"wrote {path}" if (root / path).exists() else f"removed {path}")
        _say(f"{len(written)} files written or removed." if written else "Nothing to do.")


@click.command(cls=_Command)
@_where
@_what
def plan(to: str, folder: str, map_file: str | None, **flags: bool) -> None:
    """Show what a push would change, as a diff; nothing is changed.

    Exit status: 0 for nothing to do, 2 for changes, 1 for a fault; with --check 0 when everything renders.
    """
    with _faults(), _installation(to) as there:
        if _told(_Look(there, folder, map_file, delete=flags["delete"]), flags):
            sys.exit(_CHANGES)


@click.command(cls=_Command)
@_where
@_what
@click.option("-m", "--message", metavar="TEXT", help="The note of the versions; the words of the last commit if none.")
def push(to: str, folder: str, map_file: str | None, message: str | None, **flags: bool) -> None:
    """Bring an installation to what a folder says: all of it, or nothing.

    A recipient that was pulled from another installation stays who it is at this one; one that is not there yet needs
    a table in the file of --map: [NAME] with endpoints, as = "OTHER_NAME", or skip = true.

    Exit status: 0 for done or nothing to do, 1 for a fault.
    """
    with _faults(), _installation(to) as there:
        looked = _Look(there, folder, map_file, delete=flags["delete"])
        if _told(looked, flags):
            looked.push(message)


class _Look:
    """A folder beside an installation: what is in both, and what the installation says of the change."""

    def __init__(self, there: Installation, folder: str, map_file: str | None, *, delete: bool) -> None:
        self._there = there
        local, self._files = _local(folder)
        self._revision = git.revision(Path(folder)) if folder != _PIPE else Revision()
        self._stored: dict[str, Stored] = _answered(there.templates)
        entries = mapping.read(Path(map_file)) if map_file else {}
        recipients = _answered(there.recipients)
        self._mapped: Mapped = mapping.mapped(local, entries, there.url, recipients)
        self._change: Change = planning.change(self._mapped.contents, self._stored, delete=delete)
        self._outcome = self._ask(self._revision, None, dry_run=True)

    @property
    def is_nothing(self) -> bool:
        return planning.is_nothing(self._change, self._outcome)

    def tell(self) -> None:
        """Print the plan."""
        for line in report.plan(self._change, self._outcome, self._stored, self._mapped.kept, self._files):
            _say(line)
        _say(f"{self._there.url}: {report.totals(self._outcome)}.")

    def push(self, message: str | None) -> None:
        """Make the change."""
        done = self._ask(self._revision, message or self._revision.message, dry_run=False)
        versions = ", ".join(f"{one.identifier} {one.version}" for one in done.templates if one.version)
        _say(f"Done. {f'Versions: {versions}.' if versions else ''}".rstrip())

    def check(self, *, strict: bool) -> None:
        """Print the warnings of everything; what is published already is rendered by the preview of the API."""
        told = [
            line
            for one in self._outcome.templates
            for line in report.warnings(one.identifier, one.warnings, self._files)
        ]
        changed = {one.identifier for one in self._change.templates}
        faults: list[str] = []
        samples = 0
        for template in self._mapped.contents.templates.values():
            samples += len(template.samples)
            for sample in (
                template.samples if template.identifier not in changed and template.kind == "template" else ()
            ):
                try:
                    found = self._there.preview(template.identifier, sample)
                except Refusal as refusal:
                    faults.append(f"{template.identifier}: {refusal.detail} (Sample {sample.name}.)")
                    continue
                told += report.warnings(template.identifier, found, self._files)
        for line in dict.fromkeys(told):
            _say(line)
        if faults or (strict and told):
            raise Fault(*(faults or ["There are warnings, which --strict takes for faults."]))
        _say(f"{len(self._mapped.contents.templates)} templates with {samples} samples render.")

    def _ask(self, revision: Revision, message: str | None, *, dry_run: bool) -> Outcome:
        try:
            return self._there.change(self._change.body(revision, message), dry_run=dry_run)
        except Refusal as refusal:
            raise Fault(*report.faults(refusal, self._change, self._files)) from None


def _told(looked: _Look, flags: Mapping[str, bool]) -> bool:
    """Check the folder, if that is all that is asked for; else show what there is to do, and tell if there is any."""
    if flags["check"]:
        looked.check(strict=flags["strict"])
        return False
    looked.tell()
    return not looked.is_nothing


def _local(folder: str) -> tuple[Contents, Files]:
    if folder == _PIPE:
        try:
            return msgspec.json.decode(sys.stdin.buffer.read(), type=Contents), Files({}, {})
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Fault("What comes through the pipe is not what a pull writes.") from None
    found: Folder = reading.read(Path(folder))
    if found.faults:
        raise Fault(*found.faults)
    return found.contents, found.files


@contextmanager
def _installation(url: str) -> Iterator[Installation]:
    try:
        client_id, secret = (
            setting_sources.given(os.environ, name, is_secret=name == "CLIENT_SECRET").text
            for name in ("CLIENT_ID", "CLIENT_SECRET")
        )
    except UnusableSource as fault:
        raise Fault(str(fault)) from fault
    if not client_id or not secret:
        raise Fault("Set CARILLON_CLIENT_ID and CARILLON_CLIENT_SECRET to those of an API client of the service.")
    with Installation(url, client_id, secret) as there:
        there.sign_in()
        yield there


def _answered(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except Refusal as refusal:
        raise Fault(refusal.detail) from None


@contextmanager
def _faults() -> Iterator[None]:
    """Say what is wrong, a line for each, and end with the status 1."""
    try:
        yield
    except Fault as fault:
        for sentence in fault.sentences:
            click.echo(f"carillon: {printable(sentence)}", err=True)
        sys.exit(1)


def _say(line: str) -> None:
    click.echo(printable(line))
