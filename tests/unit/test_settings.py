"""Settings as data: reading, writing, ranges, and which way a change loosens."""

from decimal import Decimal

import pytest

from core.settings import Kind, Loosens, Setting, defaults

LIMIT = Setting(
    name="max_fraction", kind=Kind.FRACTION, default=Decimal("0.05"), help="", loosens=Loosens.UP, low=Decimal(0), high=Decimal("0.5")
)
COUNT = Setting(name="steps", kind=Kind.INTEGER, default=5, help="", loosens=Loosens.DOWN, low=Decimal(1), high=Decimal(60))
FLAG = Setting(name="on", kind=Kind.FLAG, default=True, help="", loosens=Loosens.ANY)
TARGET = Setting(name="profit_target", kind=Kind.FRACTION, default=Decimal("0.5"), help="", loosens=Loosens.EXIT)


@pytest.mark.parametrize(("text", "value"), [("0.05", Decimal("0.05")), ("5%", Decimal("0.05")), (" 0.1 ", Decimal("0.1"))])
def test_setting_when_typed_as_fraction_or_percent_then_reads_the_fraction(text: str, value: Decimal) -> None:
    assert LIMIT.read(text) == value


@pytest.mark.parametrize("text", ["0.6", "-0.1", "60%", "much", "", "1e-1", "٠.٥", "nan"])
def test_setting_when_out_of_range_or_no_number_then_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="max_fraction"):
        LIMIT.read(text)


def test_setting_when_whole_number_wanted_then_refuses_a_fraction() -> None:
    with pytest.raises(ValueError, match="whole number"):
        COUNT.read("2.5")
    assert COUNT.read("7") == 7


def test_setting_when_loosened_by_direction_then_is_looser_only_that_way() -> None:
    assert LIMIT.is_looser(Decimal("0.05"), Decimal("0.06"))
    assert not LIMIT.is_looser(Decimal("0.05"), Decimal("0.04"))
    assert COUNT.is_looser(5, 4)
    assert not COUNT.is_looser(5, 6)
    assert FLAG.is_looser(True, False)
    assert FLAG.is_looser(False, True)
    assert not TARGET.is_looser(Decimal("0.5"), Decimal("0.9"))
    assert not LIMIT.is_looser(Decimal("0.05"), Decimal("0.05"))


@pytest.mark.parametrize(("setting", "text"), [(LIMIT, "0.05"), (COUNT, "7"), (FLAG, "no")])
def test_setting_when_written_then_reads_back_the_same(setting: Setting, text: str) -> None:
    assert setting.write(setting.read(text)) == text


def test_parameters_when_asked_for_another_type_then_refuse() -> None:
    values = defaults((LIMIT, COUNT, FLAG))
    assert values.number("max_fraction") == Decimal("0.05")
    assert values.whole("steps") == 5
    assert values.flag("on") is True
    with pytest.raises(TypeError, match="on is not a number"):
        values.number("on")
