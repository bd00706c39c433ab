"""What only Envoy can judge is reported with the rule that it came from, and not in Envoy's words alone."""

import tempfile
from pathlib import Path

import pytest

from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.translation import CONNECTIONS, GATEWAY, REQUEST_AUTHENTICATION, VIRTUAL_SERVICE
from workbench.console import Console
from workbench.errors import StepFailed
from workbench.ingress.bootstrap import Upstream
from workbench.machine import ports
from workbench.parts.envoy import Envoy

# fmt: off
REFUSED = [
    # The file and the change; then the field in the error, and words of Envoy.
    (VIRTUAL_SERVICE, 'retry-after: "60"', 'retry-after: "60"\n            x-try: "%RETRY%"',
     "spec.http[0].headers.response.set.x-try", "Not supported field in StreamInfo: RETRY"),
    (VIRTUAL_SERVICE, "- destination", '- headers: { request: { add: { x-try: "%RETRY%" } } }\n          destination',
     "spec.http[1].route[0].headers.request.add.x-try", "Not supported field in StreamInfo: RETRY"),
    (CONNECTIONS, "inline_string: refused", "inline_strings: refused",
     "spec.configPatches[0]", "inline_strings"),
    (GATEWAY, 'hosts: ["*"]', "hosts: [a.example, A.example]",
     "spec.servers[0].hosts", "a.example"),
    (REQUEST_AUTHENTICATION, '"x": ', '"no-x": ',
     "spec", "[x] field is missing for an EC key"),
]
# fmt: on


async def start(rules: Path) -> None:
    port, api, ops = ports.free(3)
    with tempfile.TemporaryDirectory(prefix="ingress-") as run:
        envoy = Envoy(port, [Upstream(api, ops)], rules, Path(run), Console())
        try:
            await envoy.start()
        finally:
            await envoy.stop()


@pytest.mark.parametrize(("file", "old", "new", "field", "words"), REFUSED)
async def test_the_rule_is_named(
    edited_rules: EditRules, file: str, old: str, new: str, field: str, words: str
) -> None:
    rules = edited_rules((file, old, new))
    with pytest.raises(StepFailed) as caught:
        await start(rules)
    message = str(caught.value)
    assert message.startswith(f"the ingress rules are wrong: {rules / file}: {field}: Envoy refuses it: ")
    assert words in message.partition("Envoy refuses it")[2]
    assert "\n" not in message
    assert len(message) < 600
