"""Each form of the old name has its own new form."""

import pytest

from adoption.adopt.rename import Renaming


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("keel", "tide-table"),
        ("keel.keel.svc:80, k3d-keel", "tide-table.tide-table.svc:80, k3d-tide-table"),
        ("keel_seconds_total", "tide_table_seconds_total"),
        ("KEEL_PORT", "TIDE_TABLE_PORT"),
        ("The Keel authors", "The Tide Tables authors"),
        ("class KeelError", "class TideTableError"),
        ("https://git.example.com/keel/blob/main/", "https://git.example.org/t/blob/main/"),
        ("https://git.example.com/keel", "https://git.example.org/t"),
        ("https://git.example.com/keel-docs", "https://git.example.com/tide-table-docs"),
        ("https://example.com/keel", "https://example.com/tide-table"),
        ("kee l", "kee l"),
    ],
)
def test_a_form_of_the_name(before: str, after: str) -> None:
    assert Renaming("keel", "tide-table", "Tide Tables", "https://git.example.org/t")(before) == after


def test_the_address_of_the_repository_keeps_its_host_if_no_other_is_known() -> None:
    assert Renaming("keel", "tide", "Tide", "")("https://git.example.com/keel/x") == "https://git.example.com/tide/x"
