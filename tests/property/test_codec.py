"""Whatever is stored reads back equal, and whatever is changed afterwards shows."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.accounts import AccountId, Env
from core.domain.encoding import from_plain, read_back, to_plain
from core.domain.events import VERSIONS, Draft, NoteWritten, OrderEnded
from core.domain.instruments import MOST_MULTIPLIER, Delivery, Equity, Exercise, Future, Instrument, Option, Right, Settlement
from core.domain.mandates import Mandate
from core.domain.orders import Effect, Envelope, Exits, Intent, Leg, Limit, Side
from core.errors import Corrupt
from core.store.codec import COLUMNS, GENESIS, Row, decode, encode, row_hash
from core.store.log import verify

AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, allow_infinity=False, places=4) | st.sampled_from(
    [Decimal("0"), Decimal("-0.00"), Decimal("1E+5"), Decimal("0.10"), Decimal("1e-9")]
)
TIMES = st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC))
COUNTS = st.integers(min_value=1, max_value=10**9)
TEXTS = st.text(max_size=30)
WORDS = st.text(min_size=1, max_size=30).map(lambda text: text.replace(":", ";"))
ACCOUNTS = st.builds(AccountId, broker=WORDS, id=WORDS, env=st.sampled_from(Env))
MULTIPLIERS = st.integers(1, MOST_MULTIPLIER)
OPTIONS = st.builds(
    Option, root=st.sampled_from(["SPX", "SPXW", "SPY", "XYZ"]), underlying=TEXTS, expiry=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    right=st.sampled_from(Right), strike=st.integers(1, 10**8 - 1).map(lambda milli: Decimal(milli) / 1000), multiplier=MULTIPLIERS,
    exercise=st.sampled_from(Exercise), settlement=st.sampled_from(Settlement), delivery=st.sampled_from(Delivery),
    last_trade_at=TIMES,
)
INSTRUMENTS: st.SearchStrategy[Instrument] = OPTIONS | st.builds(Equity, symbol=TEXTS)
LEG = st.builds(Leg, instrument=INSTRUMENTS, side=st.sampled_from(Side), effect=st.sampled_from(Effect), ratio=COUNTS)
LEGS = st.lists(LEG, min_size=1, max_size=3, unique_by=lambda leg: leg.instrument.key).map(tuple)
PAIRS = st.tuples(AMOUNTS, AMOUNTS)
LIMITS = PAIRS.map(lambda pair: Limit(start=max(pair), worst=min(pair)))
EXITS = PAIRS.map(lambda pair: Exits(start=max(pair), worst=min(pair), target=max(pair)))
PLANS = LIMITS | EXITS
CONCESSIONS = st.sampled_from([Decimal("0"), Decimal("0.05"), Decimal("0.10")])
OF_TYPE: dict[type, st.SearchStrategy[Any]] = {
    Decimal: AMOUNTS, datetime: TIMES, str: TEXTS, int: st.integers(), AccountId: ACCOUNTS, Option: OPTIONS, Limit: LIMITS, Leg: LEG,
    float: st.floats(allow_nan=False, allow_infinity=False),
    Intent: st.builds(Intent, account=ACCOUNTS, legs=LEGS, quantity=COUNTS, plan=PLANS, strategy=TEXTS, trade_id=st.none() | TEXTS),
    Envelope: st.builds(Envelope, account=ACCOUNTS, legs=LEGS, quantity=COUNTS, plan=PLANS, expires_at=TIMES),
    Future: st.builds(Future, root=TEXTS, expiry=st.dates(), multiplier=MULTIPLIERS),
    OrderEnded: st.builds(OrderEnded, outcome=st.sampled_from(("cancelled", "rejected", "denied", "expired"))),
}
OF_TYPE[Mandate] = st.builds(
    Mandate, account=ACCOUNTS, rules=st.just(("profit_target",)), strategies=st.lists(TEXTS, min_size=1, max_size=2).map(tuple),
    symbols=st.none() | st.just(("SPX",)), max_quantity=COUNTS, max_orders_per_day=COUNTS, concession_points=CONCESSIONS,
    concession_fraction=CONCESSIONS, terms=st.dictionaries(TEXTS, TEXTS, max_size=2),
)
for _type, _strategy in OF_TYPE.items():
    st.register_type_strategy(_type, _strategy)

BODIES = st.sampled_from(sorted(VERSIONS, key=lambda kind: kind.__name__)).flatmap(st.from_type)
DRAFTS = st.builds(
    Draft, body=BODIES, stream=TEXTS, at=TIMES, actor=TEXTS, causation=TEXTS, correlation=TEXTS, dedupe=st.none() | TEXTS
)


@settings(max_examples=300)
@given(draft=DRAFTS, seq=COUNTS, recorded_at=TIMES)
def test_decode_when_given_what_encode_made_then_equal(draft: Draft, seq: int, recorded_at: datetime) -> None:
    row = encode(draft, seq=seq, prev_hash=GENESIS, recorded_at=recorded_at)

    event = decode(row)

    assert event.body == draft.body
    assert type(event.body) is type(draft.body)
    assert (event.seq, event.recorded_at, event.hash) == (seq, recorded_at, row_hash(GENESIS, row))
    assert {name: getattr(event, name) for name in ("stream", "at", "actor", "causation", "correlation", "dedupe")} == {
        field.name: getattr(draft, field.name) for field in fields(draft) if field.name != "body"
    }


@settings(max_examples=300)
@given(body=BODIES)
def test_read_back_when_given_any_body_then_bytes_and_value_are_those_of_the_long_way(body: Any) -> None:
    text, back = read_back(body)

    assert text == json.dumps(to_plain(body), sort_keys=True, separators=(",", ":"))
    assert repr(back) == repr(from_plain(type(body), json.loads(text)))


VALUES = st.none() | st.integers(-(2**63), 2**63 - 1) | TEXTS | st.floats(allow_nan=False) | st.binary(max_size=8)


@given(column=st.sampled_from(COLUMNS), value=VALUES)
def test_verify_when_any_column_was_changed_to_anything_then_corrupt(column: str, value: Any) -> None:
    rows = _chain(("a", "b", "c"))
    same = type(getattr(rows[1], column)) is type(value) and getattr(rows[1], column) == value
    rows[1] = rows[1]._replace(**{column: value})

    try:
        list(verify(rows))
    except Corrupt:
        assert not same
    else:
        assert same


def _chain(texts: tuple[str, ...]) -> list[Row]:
    rows: list[Row] = []
    at = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    for seq, text in enumerate(texts, start=1):
        draft = Draft(body=NoteWritten(text=text), stream="desk", at=at, actor="desk")
        rows.append(encode(draft, seq=seq, prev_hash=rows[-1].hash if rows else GENESIS, recorded_at=at))
    return rows
