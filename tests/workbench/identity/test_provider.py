"""The provider as a part of the workbench: its files, its restarts, and what the gateway thinks of its tokens."""

import asyncio
import stat
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.waiting import eventually
from tests.workbench.identity.person import Person
from tests.workbench.reload.live import Output
from workbench.console import Console
from workbench.errors import PartFailed
from workbench.identity import keys
from workbench.identity.data import Files
from workbench.identity.registered import User, read
from workbench.ingress.rule_files import IngressRuleError
from workbench.machine import ports
from workbench.machine.folders import IDENTITY_PROVIDER
from workbench.manifests import Manifests
from workbench.parts.identity import Identity
from workbench.project import NAME
from workbench.stack import Stack

ADA = User.model_validate({"userID": "ada", "username": "ada", "email": "ada@example.com"})


async def test_key_and_sign_ins_survive_a_restart(person: Person, stack: Stack) -> None:
    tokens = await person.sign_in()
    files = Files.of(stack.options.data)
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    before = (await person.browser.get("/auth/keys")).json()
    identity = stack.identity
    assert identity
    assert identity.part

    await identity.part.kill()
    assert (await person.browser.get("/auth/keys")).status_code == 503
    assert await person.may_use(tokens["access_token"]) == 200  # the gateway knows the key
    await identity.start()

    assert (await person.browser.get("/auth/keys")).json() == before
    assert await person.may_use(tokens["access_token"]) == 200
    again = (await person.refresh(tokens["refresh_token"])).json()
    assert await person.may_use(again["access_token"]) == 200


async def test_an_expired_token_of_the_provider_is_refused(person: Person, stack: Stack) -> None:
    key = keys.read_key(Files.of(stack.options.data).key)
    claims = keys.claims(f"{person.url}/auth", ADA, NAME, timedelta(hours=1), frozenset())
    assert await person.may_use(keys.sign(key, claims)) == 200
    assert await person.may_use(keys.sign(key, {**claims, "exp": int(time.time()) - 120})) == 401
    assert await person.may_use(keys.sign(key, {**claims, "aud": ["other"]})) == 401


async def test_what_a_page_loads_is_not_behind_the_sign_in(person: Person) -> None:
    """The provider gets what is below /auth/, and nothing else."""
    assert (await person.browser.get("/auth/nothing")).status_code == 404
    assert (await person.browser.get("/auth")).status_code == 401  # of the gateway
    assert (await person.browser.get("/openapi.json")).status_code == 200


@pytest.mark.parametrize("text", ["", "{}", '{"kty": "RSA"}', "[]"])
async def test_a_damaged_key_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    files = Files.of(tmp_path)
    files.folder.mkdir()
    files.key.write_text(text)
    output = Output()
    [port] = ports.free(1)
    identity = Identity(port, "http://localhost:1", IDENTITY_PROVIDER, tmp_path, tmp_path / "new", Console(output))
    with pytest.raises(PartFailed, match=r"signing-key.json is not a .*: remove it"):
        await identity.start()


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("idTokens: 1h", "idTokens: 1d", r"dex.yaml: expiry.idTokens: '1d' is not a time"),
        ("idTokens: 1h", "other: 1h", r"dex.yaml: expiry.idTokens: is missing"),
        ("userID: ada", "userID: Ada/..", r"dex.yaml: staticPasswords\[0\].userID: "),
    ],
)
def test_a_wrong_configuration_is_an_error_with_file_and_field(
    tmp_path: Path, old: str, new: str, error: str
) -> None:
    text = (IDENTITY_PROVIDER / "dex.yaml").read_text()
    assert old in text
    (tmp_path / "dex.yaml").write_text(text.replace(old, new))
    with pytest.raises(IngressRuleError, match=error):
        read(tmp_path, "http://localhost:1")


def test_how_long_a_token_is_valid_is_one_setting(tmp_path: Path) -> None:
    text = (IDENTITY_PROVIDER / "dex.yaml").read_text()
    (tmp_path / "dex.yaml").write_text(text.replace("idTokens: 1h", "idTokens: 90s"))
    assert read(tmp_path, "http://localhost:1").expiry.tokens == timedelta(seconds=90)


def test_the_address_of_the_ingress_is_that_of_the_workbench() -> None:
    registered = read(IDENTITY_PROVIDER, "http://localhost:1")
    assert registered.issuer == "http://localhost:1/auth"
    assert {uri.startswith("http://localhost:1/") for uri in registered.clients[0].redirect_uris} == {True}
    assert registered.clients[0].id == NAME


async def test_without_it_routes_answer_503_and_the_rest_goes_on(person: Person, stack: Stack) -> None:
    assert stack.identity
    await stack.identity.stop()
    assert (await person.browser.get("/auth/keys")).status_code == 503
    assert (await person.browser.get("/openapi.json")).status_code == 200
    await stack.identity.start()

    async def back() -> bool:
        return (await person.browser.get("/auth/keys")).status_code == 200

    await eventually(back, "the provider answers again")


async def test_a_save_of_its_configuration_needs_a_person(stack: Stack) -> None:
    output = Output()
    taking = asyncio.create_task(Manifests(stack, Console(output)).keep_taking())
    assert stack.options.provider
    file = stack.options.provider / "dex.yaml"
    text = file.read_text()
    file.write_text(f"{text}# more\n")
    await output.until(r"identity │ reload: \S+/dex.yaml: .* reads it when it starts: stop, and start `make dev`", 0)
    file.write_text(text)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert not any("envoy" in line for line in output.lines)
