"""An installation as an API client sees it: its public HTTP API, asked with an access token."""

import ipaddress
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
import msgspec

from backend.as_code.model import Contents, Endpoint, Fault, Recipient, Sample, Template
from backend.lib import backoff

Answer = TypeVar("Answer")
_SECONDS = 60.0
_TRIES = 5
_LONGEST_WAIT, _FARTHEST = timedelta(minutes=1), timedelta(days=1)
_SCOPES = "registry:read registry:write"
_REGISTRY = "/registry/v1"


class FieldFault(msgspec.Struct, frozen=True):
    """One fault that an installation found, with the place in the request."""

    pointer: str
    detail: str


class Refusal(Exception):
    """What an installation did not do, in its own words."""

    def __init__(self, status: int, code: str, detail: str, errors: list[FieldFault]) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.errors = status, code, detail, errors


class Warned(msgspec.Struct, frozen=True):
    """Something that the author of a template should look at."""

    line: int | None
    code: str
    detail: str


class Edit(msgspec.Struct, frozen=True):
    """The version that somebody published by hand since."""

    version: int
    by: str


class Code(msgspec.Struct, frozen=True):
    """The newest version that was published by code, and whether it was edited by hand since."""

    version: int
    commit: str | None = None
    repository: str | None = None
    edited: Edit | None = None


class User(msgspec.Struct, frozen=True):
    """A template that is made with a partial or layout."""

    identifier: str


class Stored(Template, frozen=True, kw_only=True):
    """A template as an installation has it."""

    version: int
    used_by: list[User]
    code: Code | None
    lock: dict[str, Any] | None

    @property
    def template(self) -> Template:
        """Return what a folder has of it."""
        said = {name: getattr(self, name) for name in Template.__struct_fields__}
        return Template(**said | {"locked": self.lock is not None})


class TemplateOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a change makes of a template."""

    identifier: str
    change: str
    version: int | None
    warnings: list[Warned]
    relocked: bool | None


class RecipientOutcome(msgspec.Struct, frozen=True):
    """What a change makes of a recipient."""

    identifier: str
    change: str


class Message(msgspec.Struct, frozen=True):
    """A rendered message."""

    subject: str | None
    html: str | None
    text: str


class RenderedChange(msgspec.Struct, frozen=True):
    """A template that becomes another message because of a partial."""

    identifier: str
    before: Message | None
    after: Message | None


class Outcome(msgspec.Struct, frozen=True):
    """What a change does, or would do."""

    templates: list[TemplateOutcome]
    rendered: list[RenderedChange]
    recipients: list[RecipientOutcome]


class _Preview(msgspec.Struct, frozen=True):
    warnings: list[Warned]


class _StoredRecipient(msgspec.Struct, frozen=True):
    identifier: str
    name: str
    endpoints: list[Endpoint]
    language: str | None = None


class _Named(msgspec.Struct, frozen=True):
    identifier: str


class _TemplatePage(msgspec.Struct, frozen=True):
    templates: list[_Named]
    next_cursor: str | None


class _RecipientPage(msgspec.Struct, frozen=True):
    recipients: list[_StoredRecipient]
    next_cursor: str | None


class Installation:
    """One installation; use it as a context. Neither the secret nor the token is ever told."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self.url = _checked_address(url)
        self.client_id = client_id
        self._secret = client_secret
        self._http = httpx2.Client(base_url=self.url, timeout=_SECONDS, follow_redirects=False)

    def __enter__(self) -> "Installation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def sign_in(self) -> None:
        """Get an access token.

        Raises:
            Fault: if the installation gives none.
        """
        form = {"grant_type": "client_credentials", "scope": _SCOPES}
        answer = self._asked("POST", "/oauth/token", data=form, auth=(self.client_id, self._secret))
        token = _json(answer, dict).get("access_token") if answer.status_code == 200 else None
        if not isinstance(token, str):
            what = _words(answer)
            raise Fault(f"{self.url} does not let the client {self.client_id[:80]} in{what}")
        self._http.headers["Authorization"] = f"Bearer {token}"

    def templates(self) -> dict[str, Stored]:
        """Return all templates, partials and layouts of the client's service."""
        names = [one.identifier for page in self._pages("templates", _TemplatePage) for one in page.templates]
        return {name: self._get(f"{_REGISTRY}/templates/{quote(name, safe='')}", Stored) for name in names}

    def recipients(self) -> dict[str, Recipient]:
        """Return all recipients of the service; of addresses that are secrets, only their ends are told."""
        found = [one for page in self._pages("recipients", _RecipientPage) for one in page.recipients]
        return {
            one.identifier: Recipient(
                identifier=one.identifier,
                name=one.name,
                endpoints=tuple(one.endpoints),
                pulled_from=self.url,
                language=one.language,
            )
            for one in found
        }

    def contents(self) -> Contents:
        """Return everything that a folder can hold."""
        return Contents({name: one.template for name, one in self.templates().items()}, self.recipients())

    def preview(self, identifier: str, sample: Sample) -> list[Warned]:
        """Render a published template with a sample; return what its author should look at."""
        batch = "BATCH" if isinstance(sample.fields, list) else "NORMAL"
        body = {"fields": sample.fields, "priority": batch} | ({"language": sample.language} if sample.language else {})
        path = f"{_REGISTRY}/templates/{quote(identifier, safe='')}/preview"
        return self._read(self._asked("POST", path, json=body), _Preview).warnings

    def change(self, body: Mapping[str, Any], *, dry_run: bool) -> Outcome:
        """Make a change, or ask what it would do.

        Raises:
            Refusal: for what the installation refuses: nothing was changed.
        """
        query = "?dry_run=true" if dry_run else ""
        return self._read(self._asked("POST", f"{_REGISTRY}/changes{query}", json=body), Outcome)

    def _pages(self, name: str, page: type[Answer]) -> Iterator[Answer]:
        cursor = ""
        while True:
            found = self._get(f"{_REGISTRY}/{name}?limit=100{cursor}", page)
            yield found
            following = getattr(found, "next_cursor", None)
            if not following:
                return
            cursor = f"&cursor={quote(following, safe='')}"

    def _get(self, path: str, model: type[Answer]) -> Answer:
        return self._read(self._asked("GET", path), model)

    def _read(self, answer: httpx2.Response, model: type[Answer]) -> Answer:
        if answer.status_code == 200:
            return _json(answer, model)
        problem = _problem(answer)
        if problem is None:
            raise Fault(f"{self.url} does not answer as an installation of this release does{_words(answer)}")
        raise problem

    def _asked(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Ask; what comes too fast, or while the installation is busy, is asked again when it says."""
        for left in range(_TRIES, 0, -1):
            try:
                answer = self._http.request(method, path, **more)
            except UnicodeEncodeError:
                raise Fault("A file holds halves of characters (surrogates), which are no text.") from None
            except httpx2.HTTPError as error:
                raise Fault(f"{self.url} cannot be reached ({type(error).__name__}).") from None
            pause = backoff.retry_after(answer.headers.get("retry-after"), _FARTHEST)
            if answer.status_code not in {429, 503} or left == 1 or pause is None or pause > _LONGEST_WAIT:
                break
            time.sleep(pause.total_seconds())
        return answer


def _checked_address(url: str) -> str:
    """Return the address of an installation; a secret goes over plain http to this machine alone."""
    try:
        parts = urlsplit(url.strip().rstrip("/"))
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host = ""
    if not host or parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.query or parts.fragment:
        raise Fault("--to must be the address of an installation, such as https://notify.example.org.")
    if parts.scheme == "http" and not _is_here(host):
        raise Fault(f"--to must begin with https://: over http everybody on the way to {host} could read the secret.")
    return parts.geturl()


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _json(answer: httpx2.Response, model: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(answer.content, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Fault(f"{answer.request.url} does not answer as an installation of this release does.") from None


def _problem(answer: httpx2.Response) -> Refusal | None:
    class Problem(msgspec.Struct):
        detail: str
        code: str
        errors: list[FieldFault] = []

    try:
        found = msgspec.json.decode(answer.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Refusal(answer.status_code, found.code, found.detail, found.errors)


def _words(answer: httpx2.Response) -> str:
    """Return what an answer says, as the end of a sentence."""
    problem = _problem(answer)
    if problem is not None:
        return f": {problem.detail}"
    try:
        said = msgspec.json.decode(answer.content, type=dict[str, Any]).get("error_description")
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = None
    return f" (status {answer.status_code}): {said}" if isinstance(said, str) else f" (status {answer.status_code})."
