"""Forms: how handlers take one, what is wrong with it, said beside its fields, and those that hold secrets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

import msgspec
from litestar.enums import RequestEncodingType
from litestar.params import Body

from backend.lib.problems import Problem

_Form = TypeVar("_Form")
# What a page's form sends, as the struct or mapping that a handler names: ``data: Sent[NameForm]``.
Sent = Annotated[_Form, Body(media_type=RequestEncodingType.URL_ENCODED)]
# The same of a form with files.
Uploaded = Annotated[_Form, Body(media_type=RequestEncodingType.MULTI_PART)]
# Faults that a person mends in the form; every other problem is for an error page.
_MENDABLE = range(400, 500)


class Fault(str):
    """One field's sentence; ``first`` marks the field that gets the focus."""

    __slots__ = ("first",)
    first: bool

    def __new__(cls, sentence: str, *, first: bool = False) -> "Fault":
        """Make a fault from its sentence."""
        made = super().__new__(cls, sentence)
        made.first = first
        return made


class Faults(dict[str, Fault]):
    """Faults by field, in the form's order; the first of a field stays. The empty mapping is a form without fault.

    Pages are answered with status 422 while there are any; give the fields' values back to the page, so that nobody
    types them again.
    """

    def add(self, field: str, sentence: str) -> None:
        """Say what is wrong with a field, unless something was said already."""
        self.setdefault(field, Fault(sentence, first=not self))

    @contextmanager
    def on(self, field: str) -> Iterator[None]:
        """Turn a problem that is raised inside into this field's fault: its sentence, and the code goes on after it."""
        try:
            yield
        except Problem as problem:
            if problem.entry.status not in _MENDABLE:
                raise
            self.add(field, problem.detail)

    @property
    def status(self) -> int:
        """Return the page's HTTP status."""
        return 422 if self else 200


class SecretForm(msgspec.Struct):
    """A form with secrets in it, which its representation leaves out."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
