"""Which database a desk uses: as it was told, or as the configuration says, or files; and never a wrong one in silence."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.__main__ import main
from bot.doctor import examine
from core.app import Options, where
from core.config import ConfigError, configured_database, load_config
from core.errors import UserError
from tests import postgres_server


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


@pytest.fixture
def database() -> Iterator[str]:
    with contextlib.contextmanager(postgres_server.new_schema)() as address:
        yield postgres_server.url(address)


def test_config_when_it_names_a_database_then_used_also_where_the_rest_is_wrong(config: Path, tmp_path: Path) -> None:
    config.write_text("database: postgresql://desk@db/desk\n")
    assert load_config(config).database == "postgresql://desk@db/desk"

    config.write_text("database: postgresql://desk@db/desk\nwatch_list: 7\n")

    with pytest.raises(ConfigError):
        load_config(config)
    assert str(where(Options(home=tmp_path, config_path=config))) == "postgresql://db/desk"
    assert str(where(Options(home=tmp_path, config_path=config, database="postgresql://other/desk"))) == "postgresql://other/desk"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgresql://u:s3cret@db/desk", "no password"),
        ("postgresql://db/desk?password=s3cret", "no password"),
        ("mysql://db", "such as"),
        ("7", "such as"),
    ],
)
def test_config_when_the_database_cannot_be_used_then_no_other_is_taken_instead(config: Path, text: str, told: str) -> None:
    config.write_text(f"database: {text}\n")

    with pytest.raises(ConfigError, match=told) as raised:
        load_config(config)
    with pytest.raises(ConfigError, match=told):
        configured_database(config)

    assert "s3cret" not in str(raised.value)


def test_home_when_its_log_was_on_a_server_then_no_file_is_begun_without_the_address(tmp_path: Path) -> None:
    assert where(Options(home=tmp_path)).address is None
    (tmp_path / "postgres-0123456789ab.lock").touch()

    with pytest.raises(UserError, match="--database"):
        where(Options(home=tmp_path))

    (tmp_path / "desk.db").touch()
    assert where(Options(home=tmp_path)).address is None


def test_desk_when_started_on_a_server_then_kept_there_backed_up_moved_and_audited(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESK_DATABASE", database)
    home = ["--home", str(tmp_path / "home")]

    def done(*arguments: str) -> str:
        assert main([*arguments, *home]) == 0
        return capsys.readouterr().out

    done("do", "note", "kept")
    assert "every event and hash checked" in done("doctor", "--audit")
    assert "read back" in done("backup", "backup")
    done("do", "note", "lost")
    assert main(["restore", "backup", *home]) == 1
    assert "--force" in capsys.readouterr().err
    assert "RECOVERY" in done("restore", "backup", "--force")
    assert json.loads((tmp_path / "backup" / "backup.json").read_text())["contents"]["head"]["seq"] > 0
    assert "ACTIVE" in done("do", "status")
    monkeypatch.delenv("DESK_DATABASE")
    assert main(["do", "status", *home]) == 1
    assert "moved to" in done("move", "--from", database, "--to", str(tmp_path / "files"))
    home = ["--home", str(tmp_path / "files")]
    assert "ACTIVE" in done("do", "status")
    assert not list((tmp_path / "home").glob("*.db"))


async def test_doctor_when_the_server_is_away_or_empty_then_says_so(tmp_path: Path, database: str) -> None:
    async def looked(address: str) -> list[str]:
        checks = await examine(tmp_path / "home", None, socket=tmp_path / "none", audit=False, database=address)
        return [check.line for check in checks if check.name == "database"]

    assert "nothing yet" in (await looked(database))[0]
    (away,) = await looked("postgresql://u:s3cret@127.0.0.1:9/desk")
    assert away.startswith("[x]") and "cannot be reached" in away and "s3cret" not in away
