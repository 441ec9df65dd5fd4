"""Secrets from files and from systemd's credentials: each setting is in one place, and a fault is a sentence."""

from pathlib import Path

import pytest

from backend.lib import settings
from backend.lib.settings import SettingError
from backend.lib.settings_catalogue import SECRETS, listed

KEY = "q8X0vR3kT6mZ1yB7nC4dF9gH2jL5pW8s"


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {"CARILLON_DATA_DIR": str(folder / "data")} | more


def test_a_secret_is_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    read = settings.from_environment(environment(tmp_path, CARILLON_SECRET_KEY_FILE=str(file)))
    assert read.secret_key == KEY


def test_a_secret_is_read_from_a_credential(tmp_path: Path) -> None:
    (tmp_path / "CARILLON_EMAIL_PROVIDERS").write_text("smtp://a:b@one.example:25, smtp://two.example:25")
    read = settings.from_environment(environment(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path)))
    assert read.email_providers == ("smtp://a:b@one.example:25", "smtp://two.example:25")


def test_every_secret_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hush")
    given = {f"CARILLON_{name}_FILE": str(file) for name in SECRETS}
    found = {one.name: one for one in listed(given)}
    assert {found[f"CARILLON_{name}"].source for name in SECRETS} == {"file"}
    assert "hush" not in str(found)
    assert found["CARILLON_PORT"].source == "default"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: {file}: no such file or directory."),
        (b"", "is empty: {file}."),
        (b"\xff\xfe", "is no text: {file}."),
        (b"a" * 70_000, "is too large: {file}."),
        (b"one\ntwo\n", "has more than one line: {file}. Where several are wanted, write commas between."),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    given = environment(tmp_path, CARILLON_SECRET_KEY_FILE=str(file))
    sentence = f"CARILLON_SECRET_KEY_FILE {said.format(file=file)}"
    with pytest.raises(SettingError) as fault:
        settings.from_environment(given)
    assert str(fault.value) == sentence
    assert {one.name: one.value for one in listed(given)}["CARILLON_SECRET_KEY"] == f"unusable: {sentence}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SECRET_KEY", "SECRET_KEY_FILE"}, "CARILLON_SECRET_KEY and CARILLON_SECRET_KEY_FILE are both there"),
        ({"SECRET_KEY", "credential"}, "CARILLON_SECRET_KEY and the credential CARILLON_SECRET_KEY are both there"),
        ({"SECRET_KEY_FILE", "credential"}, "CARILLON_SECRET_KEY_FILE and the credential CARILLON_SECRET_KEY are both"),
    ],
)
def test_a_secret_in_two_places_is_refused(tmp_path: Path, given: set[str], said: str) -> None:
    (tmp_path / "CARILLON_SECRET_KEY").write_text(KEY)
    values = {
        "SECRET_KEY": {"CARILLON_SECRET_KEY": KEY},
        "SECRET_KEY_FILE": {"CARILLON_SECRET_KEY_FILE": str(tmp_path / "CARILLON_SECRET_KEY")},
        "credential": {"CREDENTIALS_DIRECTORY": str(tmp_path)},
    }
    environ = environment(tmp_path)
    for name in given:
        environ |= values[name]
    with pytest.raises(SettingError, match=said) as fault:
        settings.from_environment(environ)
    assert KEY not in str(fault.value)
