"""How an order is to be carried out, as parameters of `open` and `close`: targets, stops and parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.command import Kind, Parameter
from core.domain.plans import Slicing, Wish
from core.errors import UserError

TARGET = Parameter(name="target", kind=Kind.FRACTION, help="close at this part of the premium won, 50%", positional=False)
STOP = Parameter(name="stop", kind=Kind.FRACTION, help="close at a loss of this multiple of the premium, 2x", positional=False)
TRAIL_SHARE = Parameter(name="trail_share", kind=Kind.FRACTION, help="a stop that trails by this part of the premium", positional=False)
FOLLOW_VOL = Parameter(name="follow_vol", kind=Kind.FLAG, help="let the stop widen and narrow with implied volatility", positional=False)
PARTS: tuple[Parameter, ...] = (
    Parameter(name="work", kind=Kind.CHOICE, choices=("twap", "vwap", "iceberg"), help="send it in parts", positional=False),
    Parameter(name="parts", kind=Kind.QUANTITY, help="how many parts (twap, vwap)", positional=False),
    Parameter(name="minutes", kind=Kind.INTEGER, help="over how long (twap, vwap)", positional=False),
    Parameter(name="show", kind=Kind.QUANTITY, help="units shown at a time (iceberg)", positional=False),
)
OPENING: tuple[Parameter, ...] = (TARGET, STOP, TRAIL_SHARE, FOLLOW_VOL, *PARTS)
CLOSING: tuple[Parameter, ...] = (
    TARGET,
    Parameter(name="target_price", kind=Kind.MONEY, help="or at this price per share", positional=False),
    STOP,
    Parameter(name="stop_price", kind=Kind.MONEY, help="or when closing costs (or brings) this per share", positional=False),
    Parameter(name="stop_limit", kind=Kind.MONEY, help="the stop never goes beyond this price", positional=False),
    Parameter(name="trail", kind=Kind.MONEY, help="a stop that stays this far behind the best price", positional=False),
    TRAIL_SHARE,
    FOLLOW_VOL,
    *PARTS,
)
_EXITS = ("target", "target_price", "stop", "stop_price", "stop_limit", "trail", "trail_share", "follow_vol")
_PARTS = ("parts", "minutes", "show")


def wish_of(args: Mapping[str, Any]) -> Wish | None:
    """What was said of the way to carry an order out; None where nothing was. Raises UserError for what does not go together."""
    style = args.get("work")
    if style is None and any(args.get(name) is not None for name in _PARTS):
        raise UserError("parts, minutes and show belong to an order in parts.", "Add work=twap, work=vwap or work=iceberg.")
    if style == "iceberg" and (args.get("parts") or args.get("minutes")):
        raise UserError("An iceberg is not timed.", "Give show= only, or work=twap.")
    if style in ("twap", "vwap") and args.get("show"):
        raise UserError(f"{style} has no show=.", "Give parts= and minutes=, or work=iceberg.")
    wish = Wish(
        target_share=args.get("target"), target_price=args.get("target_price"), stop_multiple=args.get("stop"),
        stop_price=args.get("stop_price"), stop_limit=args.get("stop_limit"), trail=args.get("trail"),
        trail_share=args.get("trail_share"), with_volatility=bool(args.get("follow_vol")),
        slicing=None if style is None else Slicing(style), parts=args.get("parts"), minutes=args.get("minutes"), show=args.get("show"),
    )
    if wish == Wish():
        return None
    if not wish.exits and (wish.stop_limit is not None or wish.with_volatility):
        raise UserError("stop_limit and follow_vol belong to a stop.", "Add stop=2x or stop_price=3.60.")
    return wish


def names_exits(args: Mapping[str, Any]) -> bool:
    """Whether a target or a stop is asked for."""
    return any(args.get(name) is not None for name in _EXITS)
