"""The settings: a frozen object from SERVICE_* variables, and errors that name the variable."""

import re
import sys
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from service.app import SETTINGS_GROUPS
from service.domain import Domain, settings_groups
from service.settings import Group, Settings, SettingsError, load, table
from tests.probe import things
from tests.service.commands import run_command

ROOT = Path(__file__).parents[2]


def test_an_empty_environment_gives_the_defaults() -> None:
    assert load({}) == Settings.model_validate({})


def test_each_variable_sets_its_field_and_others_are_ignored() -> None:
    settings = load({"SERVICE_POOL_SIZE": "3", "SERVICE_ACQUIRE_TIMEOUT": "0.5", "POOL_SIZE": "7", "PATH": "/bin"})

    assert settings == Settings.model_validate({"pool_size": 3, "acquire_timeout": 0.5})


def test_an_unknown_variable_is_named_with_what_to_do() -> None:
    with pytest.raises(SettingsError, match=r"^SERVICE_POOLSIZE is not a setting: .*service\.settings` lists them$"):
        load({"SERVICE_POOLSIZE": "3"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("api_bind", "8000"),
        ("link_tilt", "javascript:alert(1)"),
        ("ops_bind", "localhost:http"),
        ("pool_size", "0"),
        ("pool_size", "ten"),
        ("bulk_size", "1001"),
        ("acquire_timeout", "0"),
        ("statement_timeout", "-1"),
        ("request_timeout", "nan"),
        ("drain_delay", "inf"),
        ("shutdown_grace", "3601"),
        ("max_requests", "1.5"),
        ("max_body", "1023"),
        ("check_failures", ""),
        ("listen", "later"),
        ("log_level", "INFO"),
        ("log_format", "xml"),
    ],
)
def test_a_wrong_value_is_named(field: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^SERVICE_{field.upper()}: .+"):
        load({f"SERVICE_{field.upper()}": value})


class BoatSettings(Group):
    boats: int = Field(3, ge=1, description="Maximum boats")


class OtherSettings(Group):
    boats: int = 5


def test_a_domain_has_settings_of_its_own() -> None:
    groups = settings_groups([Domain(build=things.DOMAIN.build, settings=BoatSettings), things.DOMAIN])

    assert load({"SERVICE_BOATS": "7"}, groups).of(BoatSettings).boats == 7
    assert load({}, groups).of(BoatSettings).boats == 3
    assert "| `SERVICE_BOATS` | `3` | Maximum boats |" in table(groups)
    with pytest.raises(SettingsError, match=r"^SERVICE_BOATS: .+"):
        load({"SERVICE_BOATS": "0"}, groups)


@pytest.mark.parametrize("group", [OtherSettings, type("MoreSettings", (Group,), {"__annotations__": {"name": str}})])
def test_no_two_domains_have_a_setting_of_the_same_name(group: type[Group]) -> None:
    domains = [Domain(build=things.DOMAIN.build, settings=each) for each in (BoatSettings, group)]

    with pytest.raises(
        ValueError, match=r"^SERVICE_(BOATS|NAME) is a setting of \w+ and of \w+: rename one of them$"
    ):
        settings_groups(domains)


def test_all_wrong_variables_are_named_together() -> None:
    with pytest.raises(SettingsError) as error:
        load({"SERVICE_POOL_SIZE": "0", "SERVICE_COLOUR": "red", "SERVICE_LOG_LEVEL": "loud"})

    named = re.findall(r"SERVICE_\w+(?=:| is)", str(error.value))
    assert sorted(named) == ["SERVICE_COLOUR", "SERVICE_LOG_LEVEL", "SERVICE_POOL_SIZE"]


def test_settings_cannot_be_changed() -> None:
    settings = load({})

    with pytest.raises(ValidationError):
        settings.pool_size = 3

    assert settings == load({})


def test_no_representation_contains_a_password() -> None:
    settings = load({"SERVICE_DATABASE_PASSWORD": "hunter2", "SERVICE_DATABASE_OWNER_PASSWORD": "hunter2"})

    assert settings.database_password is not None
    assert settings.database_password.get_secret_value() == "hunter2"
    assert not [shown for shown in (repr(settings), str(settings), settings.model_dump_json()) if "hunter2" in shown]


async def test_wrong_settings_end_the_service_with_status_2_and_one_line() -> None:
    wrong = {"SERVICE_POOL_SIZE": "0", "SERVICE_COLOUR": "red", "SERVICE_DATABASE_PASSWORD": "hunter2"}

    done = await run_command(sys.executable, "-m", "service", **wrong)

    assert done.status == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "SERVICE_POOL_SIZE" in line
    assert "SERVICE_COLOUR" in line
    assert "hunter2" not in line


async def test_an_argument_is_an_error() -> None:
    done = await run_command(sys.executable, "-m", "service", "--port", "8000")

    assert (done.status, done.stdout) == (2, "")
    assert done.stderr == "service: takes no arguments (--port 8000); set SERVICE_* variables instead\n"


def documented() -> str:
    """The table in docs/configuration.md."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    [found] = re.findall(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", page, re.DOTALL)
    return str(found)


def test_the_documentation_has_all_settings() -> None:
    """`python -m service.settings` prints the table."""
    assert documented().startswith(table())
    assert set(table(SETTINGS_GROUPS).splitlines()) <= set(documented().splitlines())


async def test_the_command_prints_the_table() -> None:
    done = await run_command(sys.executable, "-m", "service.settings")

    assert (done.status, done.stdout) == (0, table(SETTINGS_GROUPS) + "\n")
