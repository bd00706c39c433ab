"""The settings of the registered domains are documented."""

from service.app import SETTINGS_GROUPS
from service.settings import table
from tests.service.test_settings import documented


def test_the_documentation_has_the_table_as_the_code_has_it() -> None:
    assert documented() == table(SETTINGS_GROUPS), "`python -m service.settings` prints it"
