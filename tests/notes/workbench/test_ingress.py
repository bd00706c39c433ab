"""The ingress rules and the settings of notes agree."""

from service.notes.settings import NoteSettings
from tests.workbench.ingress.translation import connection_manager, seconds
from workbench.machine.folders import INGRESS_RULES


def test_the_gateway_allows_longer_requests_than_the_import_timeout() -> None:
    setting = NoteSettings.model_fields["import_timeout"]
    limit = seconds(connection_manager(INGRESS_RULES)["request_timeout"])
    assert limit > setting.default
    assert f"The gateway's limit is {limit:g}" in str(setting.description)
