"""What has been granted, as the provider keeps it: for how long, and in which file."""

import stat
from pathlib import Path

import pytest

from workbench.identity import grants
from workbench.identity.grants import CODE_LIFETIME, Grants


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def granted(kept: Grants, code: str) -> grants.Grant | None:
    return kept.use_code(code, "page", "http://page/", "challenge")


def new_code(kept: Grants) -> str:
    return kept.new_code("page", "ada", "openid offline_access", None, "http://page/", "challenge")


def refresh_token(kept: Grants) -> str:
    grant = granted(kept, new_code(kept))
    assert grant
    return kept.new_refresh_token(grant)


def test_a_code_is_valid_for_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    kept = Grants(tmp_path / "grants.json", clock)
    early, late = new_code(kept), new_code(kept)
    clock.now += CODE_LIFETIME - 0.1
    assert granted(kept, early)
    clock.now += 0.1
    assert granted(kept, late) is None
    assert CODE_LIFETIME == 60


def test_a_code_belongs_to_its_client(tmp_path: Path) -> None:
    kept = Grants(tmp_path / "grants.json")
    assert kept.use_code(new_code(kept), "other", "http://page/", "challenge") is None


def test_the_file_is_private_has_no_token_and_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "grants.json"
    token = refresh_token(Grants(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token.partition(".")[2] not in file.read_text()
    again = Grants(file)
    assert again.find(token, "other") is None
    grant = again.find(token, "page")
    assert grant
    assert (grant.user, grant.client) == ("ada", "page")
    again.revoke(grant.id)
    assert Grants(file).find(token, "page") is None


def test_old_sign_ins_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "MOST", 2)
    kept = Grants(tmp_path / "grants.json")
    tokens = [refresh_token(kept) for _ in range(3)]
    assert [kept.find(token, "page") is not None for token in tokens] == [False, True, True]


@pytest.mark.parametrize("text", ["", "{}]", '[{"hash": "a"}]', '[{"grant": {"id": "a"}, "hash": "b"}]', "[1]"])
def test_a_damaged_file_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "grants.json").write_text(text)
    with pytest.raises(ValueError, match="is damaged"):
        Grants(tmp_path / "grants.json")
