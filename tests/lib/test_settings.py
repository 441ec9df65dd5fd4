"""Settings: each is checked at the start and refused in one sentence that names it; none shows a secret."""

import traceback
from pathlib import Path

import pytest

from backend.db.database import Database
from backend.lib import settings
from backend.lib.setting_kinds import RateLimit
from backend.lib.settings import SettingError

LONG = "a-secret-key-of-32-characters-ok"


def read(tmp_path: Path, **values: str) -> settings.Settings:
    environ = {"DATA_DIR": str(tmp_path / "data"), "SECRET_KEY": LONG} | values
    return settings.from_environment({f"CARILLON_{name}": value for name, value in environ.items()})


BAD = [
    ("ENV", "staging"),
    ("PORT", "eighty"),
    ("PORT", "-1"),
    ("PORT", "65536"),
    ("BASE_URL", "carillon.example"),
    ("BASE_URL", "ftp://carillon.example"),
    ("BASE_URL", "https://"),
    ("BASE_URL", "https://carillon.example/?a=1"),
    ("BASE_URL", "https://[carillon"),
    ("BASE_URL", "https://carillon.example:99999"),
    ("SECRET_KEY", "too short"),
    ("DATABASE_URL", "mysql://host/name"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "sqlite:///"),
    ("DATABASE_URL", "postgresql://[host/name"),
    ("DATABASE_URL", "postgresql://host:port/name"),
    ("DATABASE_URL", "postgresql://first,second:port/name"),
    ("DATABASE_URL", "postgresql://host/name?no_such_option=1"),
    ("QUEUE_URL", "postgresql://host:99999/name"),
    ("QUEUE_URL", "amqp://host"),
    ("QUEUE_URL", "redis://host:port"),
    ("MAIL_FROM", "Carillon"),
    ("MAIL_FROM", "Carillon <carillon@lab.example>, other@lab.example"),
    ("MAIL_FROM", "carillon@lab,example"),
    ("MAIL_FROM", '"car illon"@lab.example'),
    ("MAIL_FROM", "carillon@[192.0.2.1]"),
    ("MAIL_FROM", "Carillon <carillon@lab.example>\nBcc: all@lab.example"),
    ("RATE_LIMIT", "600"),
    ("SCANNER", "scanner.lab.example:3310"),
    ("SCANNER", "clamd://scanner.lab.example/path"),
    ("SCANNER", "clamd://scanner:99999"),
    ("RATE_LIMIT", "0/minute"),
    ("RATE_LIMIT", "600/fortnight"),
    ("DAILY_LIMIT", "many"),
    ("DAILY_LIMIT", "-5"),
    ("MAX_MESSAGES", "0"),
    ("BATCH_QUIET_SECONDS", "soon"),
    ("BATCH_MAX_WAIT_SECONDS", "-1"),
    ("BATCH_MAX_ITEMS", "0"),
    ("RETRY_BASE_SECONDS", "1e3"),
    ("RETENTION_DAYS", "0"),
    ("EMAIL_ENABLED", "maybe"),
    ("SMS_ENABLED", "2"),
    ("TOKEN_ALGORITHM", "HS256"),
    ("KEEP_ALIVE_SECONDS", "75.0"),
    ("LINKED_FILES_MIB", "1_0"),
    ("METRICS_TOKEN", "short"),
    ("METRICS_ALLOW", "10.0.0.1/8"),
    ("TRUSTED_ISSUERS", "foo"),
    ("TRUSTED_ISSUERS", "https://login.lab.example,ftp://login.lab.example"),
    ("OUTBOUND_ALLOW", "mail.lab.example"),
    ("OUTBOUND_ALLOW", "10.0.0.1:25,https://hooks.lab.example:443"),
    ("OUTBOUND_ALLOW", "10.0.0.1:0x50"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_setting_that_cannot_be_used_is_refused_in_one_sentence_that_names_it(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(SettingError) as caught:
        read(tmp_path, **{name: value})
    sentence = str(caught.value)
    assert sentence.startswith(f"CARILLON_{name} ")
    assert sentence.splitlines() == [sentence]
    assert sentence.endswith((".", ")."))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ENV", "staging", "CARILLON_ENV must be development, production or test, not 'staging'."),
        ("PORT", "1e3", "CARILLON_PORT must be a whole number from 0 to 65535, not '1e3'."),
        ("PORT", "65536", "CARILLON_PORT must be a whole number from 0 to 65535, not '65536'."),
        ("SMS_ENABLED", "2", "CARILLON_SMS_ENABLED must be true or false, not '2'."),
        (
            "RETRY_BASE_SECONDS",
            "soon",
            "CARILLON_RETRY_BASE_SECONDS must be a number of seconds such as 30 or 0.5, not 'soon'.",
        ),
        (
            "RATE_LIMIT",
            "600",
            "CARILLON_RATE_LIMIT must look like 600/minute (second, minute, hour, day), not '600'.",
        ),
        (
            "SECRET_KEY",
            "short",
            "CARILLON_SECRET_KEY must be at least 16 characters long; 32 random bytes serve well.",
        ),
    ],
)
def test_the_sentence_says_what_is_wanted(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingError) as caught:
        read(tmp_path, **{name: value})
    assert str(caught.value) == sentence


def test_the_first_of_several_faults_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^CARILLON_PORT "):
        read(tmp_path, PORT="eighty", BASE_URL="", SMS_ENABLED="2")


def test_a_fault_keeps_the_value_of_a_secret_to_itself(tmp_path: Path) -> None:
    secret = "7".join("hunter")
    with pytest.raises(SettingError) as caught:
        read(tmp_path, SECRET_KEY=secret, OIDC_CLIENT_SECRET=secret, METRICS_TOKEN=secret)
    assert secret not in "".join(traceback.format_exception(caught.value))


def test_nothing_set_gives_a_development_installation_on_sqlite(tmp_path: Path) -> None:
    found = settings.from_environment({"CARILLON_DATA_DIR": str(tmp_path)})
    assert (found.env, found.base_url, found.is_sqlite) == ("development", "http://127.0.0.1:8000", True)
    assert found.database_url == f"sqlite:///{tmp_path}/carillon.db"
    assert found.queue_url == f"sqlite:///{tmp_path}/queue.db"
    assert (found.batch_quiet_seconds, found.batch_max_wait_seconds, found.batch_max_items) == (60, 900, 1000)
    assert (found.retry_base_seconds, found.retention_days) == (30, 30)
    assert (found.email_enabled, found.sms_enabled) == (True, True)


def test_an_empty_setting_is_as_good_as_none(tmp_path: Path) -> None:
    assert read(tmp_path, PORT=" ", RATE_LIMIT="", EMAIL_PROVIDERS=" , ").email_providers == ()


def test_values_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        BASE_URL="https://carillon.example/",
        RATE_LIMIT="600/minute",
        RETRY_BASE_SECONDS="0.5",
        EMAIL_ENABLED="off",
        EMAIL_PROVIDERS="smtp://one:25, smtp://two:25",
        OUTBOUND_ALLOW="127.0.0.1:8025, [::1]:8025",
    )
    assert found.base_url == "https://carillon.example"
    assert found.rate_limit == RateLimit(600, 60)
    assert (found.retry_base_seconds, found.email_enabled) == (0.5, False)
    assert found.email_providers == ("smtp://one:25", "smtp://two:25")
    assert found.outbound_allow == ("127.0.0.1:8025", "[::1]:8025")


@pytest.mark.parametrize("address", ["postgresql://u:p@host/name", "postgres://u:p@host/name"])
def test_the_queue_stands_beside_the_database_unless_it_is_named(tmp_path: Path, address: str) -> None:
    found = read(tmp_path, DATABASE_URL=address)
    assert (found.database_url, found.is_sqlite) == ("postgresql+psycopg://u:p@host/name", False)
    assert found.queue_url == "postgresql://u:p@host/name"
    assert read(tmp_path, DATABASE_URL=address, QUEUE_URL="redis://host/1").queue_url == "redis://host/1"


def test_a_database_may_have_several_hosts_as_its_own_clients_have_it(tmp_path: Path) -> None:
    address = "postgresql://u:p@first:5432,second:5433/name?target_session_attrs=read-write"
    found = read(tmp_path, DATABASE_URL=address)
    assert found.queue_url == address
    database = Database(found.database_url)
    assert not database.is_sqlite
    database.close()
    assert read(tmp_path, DATABASE_URL="postgresql://first,second/name").queue_url == "postgresql://first,second/name"


def test_production_needs_a_secret_key_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="CARILLON_SECRET_KEY must be set in production"):
        read(tmp_path, ENV="production", SECRET_KEY="")
    assert not (tmp_path / "data").exists()
    assert read(tmp_path, ENV="production").secret_key == LONG


def test_elsewhere_a_key_is_made_once_for_the_owners_eyes_alone(tmp_path: Path) -> None:
    made = read(tmp_path, SECRET_KEY="").secret_key
    assert len(made) >= 43
    assert read(tmp_path, SECRET_KEY="").secret_key == made
    (file,) = (tmp_path / "data").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_data_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SettingError, match=r"^CARILLON_DATA_DIR cannot be used: "):
        read(tmp_path, SECRET_KEY="")


def test_the_representation_shows_no_secret(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        SECRET_KEY="hunter2-hunter2-hunter2",
        DATABASE_URL="postgresql://u:hunter2@host/name",
        QUEUE_URL="redis://:hunter2@host/0",
        EMAIL_PROVIDERS="smtp://u:hunter2@host:25",
        SLACK_PROVIDERS="slack://hunter2@slack.com",
        OLD_SECRET_KEYS="hunter2-hunter2-hunter2-old",
        OIDC_ISSUER="https://login.example",
        OIDC_CLIENT_ID="carillon",
        OIDC_CLIENT_SECRET="hunter2",
    )
    assert "hunter2" not in f"{found!r} {found}"


def test_the_complaint_about_a_database_address_shows_no_password(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        read(tmp_path, DATABASE_URL="mysql://u:hunter2@host/name")
    assert "hunter2" not in str(caught.value)


def test_an_address_of_ipv6_makes_a_base_url_in_brackets() -> None:
    found = settings.from_environment({"CARILLON_HOST": "::1", "CARILLON_SECRET_KEY": "x" * 32})
    assert found.base_url == "http://[::1]:8000"
