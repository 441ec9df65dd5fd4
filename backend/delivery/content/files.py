"""The files of notifications in the database: each once a service, there for as long as one has or links to it."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, exists, insert, select, tuple_
from sqlalchemy.orm import Session

from backend.db import statements
from backend.db.models.attachments import FileLink, FileUse, StoredFile

_AT_ONCE = 500


def keep(session: Session, service_id: int, files: Mapping[str, bytes]) -> dict[str, int]:
    """Store files, given by their SHA-256, and return their rows; what the service has is not stored again."""
    known = _locked(session, service_id, files)
    while missing := files.keys() - known.keys():
        rows = [{"service_id": service_id, "sha256": digest, "content": files[digest]} for digest in sorted(missing)]
        # What another process has stored meanwhile is found by the next look, if none has deleted it before that.
        session.execute(statements.insert(session, StoredFile).on_conflict_do_nothing(), rows)
        known = _locked(session, service_id, files)
    return known


def use(session: Session, notification_id: int, kept: Collection[int]) -> None:
    """Say that the messages of a notification carry files."""
    if kept:
        session.execute(insert(FileUse), [{"notification_id": notification_id, "file_id": one} for one in set(kept)])


def lock(session: Session, digests: Collection[tuple[int, str]]) -> None:
    """Hold the files that there are of these, by service and SHA-256, in the one order in which they are deleted.

    Whoever stores the files of several notifications in one transaction does so first: two that take what they
    need one by one, each in an order of its own, may wait for each other.
    """
    these = tuple_(StoredFile.service_id, StoredFile.sha256).in_(sorted(digests))
    session.execute(select(StoredFile.id).where(these).order_by(StoredFile.id).with_for_update()).all()


def _locked(session: Session, service_id: int, digests: Collection[str]) -> dict[str, int]:
    """Find files by their SHA-256 and hold them, so that nobody deletes them before they are used."""
    own = (StoredFile.service_id == service_id, StoredFile.sha256.in_(digests))
    found = session.execute(
        select(StoredFile.sha256, StoredFile.id).where(*own).order_by(StoredFile.id).with_for_update()
    )
    return dict(found.tuples().all())


def content(session: Session, service_id: int, digest: str) -> bytes | None:
    """Read a file; None if the service has none of this SHA-256."""
    wanted = select(StoredFile.content).where(StoredFile.service_id == service_id, StoredFile.sha256 == digest)
    found: bytes | None = session.scalar(wanted)
    return found


def purge(session: Session, notification_ids: Sequence[int]) -> None:
    """Delete what notifications that are deleted have of files, and each file that nobody else has."""
    of_these = FileUse.notification_id.in_(notification_ids)
    named = session.scalars(select(FileUse.file_id).where(of_these).distinct()).all()
    if not named:
        return
    session.execute(delete(FileUse).where(of_these))
    delete_unused(session, named)


def delete_unused(session: Session, named: Collection[int]) -> None:
    """Delete those of these files that no notification has and no link leads to."""
    inorder = sorted(named)  # as those who store hold them, so that neither waits for the other
    for start in range(0, len(inorder), _AT_ONCE):
        some = StoredFile.id.in_(inorder[start : start + _AT_ONCE])
        # Locked first and looked at then: by a statement of its own, which sees who has begun to use one meanwhile.
        locked = session.scalars(select(StoredFile.id).where(some).order_by(StoredFile.id).with_for_update()).all()
        unused = ~exists().where(FileUse.file_id == StoredFile.id) & ~exists().where(FileLink.file_id == StoredFile.id)
        session.execute(
            delete(StoredFile).where(StoredFile.id.in_(locked), unused).execution_options(synchronize_session=False)
        )
