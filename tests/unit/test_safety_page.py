"""The page on safety names tests that exist, and gives a reason for every row without one."""

from __future__ import annotations

from tests import catalogue


def test_safety_page_when_read_then_its_catalogue_is_what_the_tests_say() -> None:
    assert catalogue.PAGE.read_text(encoding="utf-8") == catalogue.page(), "run `python -m tests.catalogue`"


def test_catalogue_when_a_row_has_no_test_then_the_page_says_why() -> None:
    named = catalogue.tests()
    silent = [row.id for row in catalogue.rows() if row.id not in named and not row.open_because]
    assert not silent


def test_catalogue_when_a_test_names_a_row_then_the_row_exists() -> None:
    known = {row.id for row in catalogue.rows()}
    unknown = {name: found[0] for name, found in catalogue.tests().items() if name not in known}
    assert not unknown
