"""The list of settings: it is what the program reads, and what the handbook tells."""

import re
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from backend.commands.settings import settings as settings_command
from backend.lib import settings
from backend.lib.setting_sources import FILE, PREFIX
from backend.lib.settings_catalogue import FIELDS, SECRETS, listed, unknown, without

ROOT = Path(__file__).parents[2]
NAMES = {f"CARILLON_{name}" for name in FIELDS}


class Recorder(dict[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, **values: str) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_it_lists_what_the_program_reads(tmp_path: Path) -> None:
    environ = Recorder(CARILLON_DATA_DIR=str(tmp_path))
    settings.from_environment(environ)
    files = {f"CARILLON_{name}{FILE}" for name in SECRETS}
    assert {name for name in environ.asked if name.startswith("CARILLON_")} == NAMES | files


def test_the_handbook_tells_each_of_them_and_is_up_to_date() -> None:
    page = (ROOT / "backend/docs/operations/settings.md").read_text(encoding="utf-8")
    said = CliRunner().invoke(settings_command, ["--markdown"])
    assert page == said.output, "carillon settings --markdown > backend/docs/operations/settings.md"
    told = re.findall(r"^\| `(CARILLON_\w+)` \| [^|]+ \| [^|]{10,} \|$", page, re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == NAMES


def test_defaults_are_what_the_program_takes(tmp_path: Path) -> None:
    plain = settings.from_environment({"CARILLON_DATA_DIR": str(tmp_path)})
    said = {f"CARILLON_{name}": without(field) for name, field in FIELDS.items()}
    given = {name: value for name, value in said.items() if re.fullmatch(r"[\w./]+|Carillon .*", value)}
    assert len(given) > 15
    stated = settings.from_environment(given | {"CARILLON_DATA_DIR": str(tmp_path)})
    assert stated == plain


def test_secrets_are_masked() -> None:
    values = {
        "CARILLON_SECRET_KEY": "hush-hush-hush-hush",
        "CARILLON_METRICS_TOKEN": "hush-hush-hush-hush",
        "CARILLON_EMAIL_PROVIDERS": "smtp://me:hush@mail.lab.example:587?tls=starttls, sendgrid://hush@api.sendgrid.com",
        "CARILLON_DATABASE_URL": "postgresql://me:hush@db.lab.example/carillon",
        "CARILLON_SLACK_PROVIDERS": "hush",
        "CARILLON_RETENTION_DAYS": "90",
    }
    found = {one.name: one for one in listed(values)}
    assert "hush" not in str(found)
    assert found["CARILLON_EMAIL_PROVIDERS"].value == "smtp://…@mail.lab.example:587/…,sendgrid://…@api.sendgrid.com"
    assert (found["CARILLON_RETENTION_DAYS"].value, found["CARILLON_RETENTION_DAYS"].source) == ("90", "environment")
    assert (found["CARILLON_PORT"].value, found["CARILLON_PORT"].source) == ("8000", "default")


def test_what_is_misspelt_has_a_suggestion() -> None:
    given = (
        "CARILLON_EMAIL_PROVIDER",
        "CARILLON_SECRETKEY",
        "CARILLON_SECRETKEY_FILE",
        "CARILLON_SECRET_KEY_FILE",
        "CARILLON_RETENTION_DAYS_FILE",
        "CARILLON_PORT",
        "CARILLON_CLIENT_ID",
        "CARILLON_XYZ",
        "PATH",
    )
    found = unknown(dict.fromkeys(given, "x"))
    assert {one.name: one.meant for one in found} == {
        "CARILLON_EMAIL_PROVIDER": "CARILLON_EMAIL_PROVIDERS",
        "CARILLON_SECRETKEY": "CARILLON_SECRET_KEY",
        "CARILLON_SECRETKEY_FILE": "CARILLON_SECRET_KEY_FILE",
        "CARILLON_RETENTION_DAYS_FILE": "CARILLON_RETENTION_DAYS",
        "CARILLON_XYZ": None,
    }
    assert PREFIX == "CARILLON_"
