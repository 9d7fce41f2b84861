"""VIX's bands and term structure, at their edges, and what both leave of the usual."""

from decimal import Decimal

import pytest

from core.errors import Unavailable
from core.market.vix import Standing, Term, band_of, naked_words, positions_of, size_of, standing_of, term_of


@pytest.mark.parametrize(
    ("level", "size", "positions"),
    [
        (11.99, "0.75", 8), (12.0, "1", 8), (19.99, "1", 8), (20.0, "0.75", 6), (25.0, "0.50", 4), (30.0, "0.25", 3), (39.99, "0.25", 3),
        (40.0, "0", 0), (82.69, "0", 0),
    ],
)
def test_band_when_vix_is_at_a_level_then_size_and_positions_are_its_bands(level: float, size: str, positions: int) -> None:
    band = band_of(level)

    assert band.size == Decimal(size)
    assert positions_of(band, 8) == positions


@pytest.mark.parametrize("level", [float("nan"), -1.0])
def test_band_when_the_level_is_none_then_unavailable(level: float) -> None:
    with pytest.raises(Unavailable, match="VIX"):
        band_of(level)


@pytest.mark.parametrize(
    ("vix", "vix3m", "term"),
    [
        (18.9, 20.0, Term.NORMAL), (19.0, 20.0, Term.FLAT), (20.0, 20.0, Term.FLAT), (20.1, 20.0, Term.INVERTED),
        (25.0, 20.0, Term.INVERTED),
        (25.1, 20.0, Term.DEEP), (30.0, None, Term.UNKNOWN),
    ],
)
def test_term_when_vix_stands_against_vix3m_then_shape_by_the_ratio_and_the_points(vix: float, vix3m: float | None, term: Term) -> None:
    assert term_of(vix, vix3m) is term


def test_size_when_level_and_curve_both_cut_then_the_smaller_factor_counts_once() -> None:
    assert size_of(band_of(22.0), term_of(22.0, 21.5)) == Decimal("0.5")
    assert size_of(band_of(35.0), term_of(35.0, 34.0)) == Decimal("0.25")
    assert size_of(band_of(15.0), term_of(15.0, None)) == Decimal("0.5")
    assert positions_of(band_of(22.0), 8) == 6


def test_standing_when_closes_are_few_then_share_below_and_their_number() -> None:
    assert standing_of(20.0, (10.0, 15.0, 20.0, 30.0)) == Standing(percentile=0.5, rank=0.5, sessions=4)
    assert standing_of(20.0, (20.0,)) == Standing(percentile=0.0, rank=None, sessions=1)
    assert standing_of(20.0, ()) is None


@pytest.mark.parametrize(("level", "words"), [(19.0, "as usual"), (24.9, "at a lower delta"), (25.0, "grant"), (35.0, "no new ones")])
def test_naked_when_vix_rises_then_first_a_grant_then_none(level: float, words: str) -> None:
    assert words in naked_words(level)
