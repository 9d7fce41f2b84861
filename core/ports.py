"""The ports: everything of the outside world the desk touches, as small async interfaces. Capabilities are data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from core.domain.accounts import AccountId
from core.domain.events import CashMoved, CorporateAction, Draft, Event, MarginCalled, Settled
from core.domain.instruments import Instrument, Option
from core.domain.orders import Envelope, Fill, Leg, Permitted, TimeInForce
from core.market.quote import Quote

if TYPE_CHECKING:
    from core.market.chain import Chain

# --- store ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A saved fold: thrown away when its code version differs, never migrated.

    What grows with the history comes in parts, so that a snapshot costs what changed since the one before.
    """

    name: str
    seq: int
    hash: str  # of the event at `seq`
    code_version: str
    state: bytes
    parts: Mapping[str, bytes] = field(default_factory=dict)
    after: int | None = None  # `parts` are what changed since the snapshot at this event; None: they are all there is


class Store(Protocol):
    """The append-only event log. One owner writes; every append is durable before it returns."""

    async def append(self, drafts: Sequence[Draft], *, expected_seq: int | None = None, token: int | None = None) -> tuple[Event, ...]:
        """Store all drafts or none, synced to disk.

        `expected_seq`: raise Conflict unless it is the last sequence number. `token`: the fencing token; raise LeaseLost where it is no
        longer the valid one. A draft whose `dedupe` key is already stored is left out of the result.
        """

    async def read(self, *, after: int = 0, limit: int | None = None) -> tuple[Event, ...]:
        """Events with seq > `after` in order; raise Corrupt where the hash chain does not hold."""

    async def last_seq(self) -> int:
        """Sequence number of the last event, 0 for an empty log."""

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the newest snapshot of its name, all of it or nothing.

        Parts of one that has `after` join those stored; raise Conflict where the stored one is not the one at `after`.
        """

    async def load_snapshot(self, name: str, *, code_version: str) -> Snapshot | None:
        """The newest snapshot of that name and code version whose hash still matches the log, else None."""

    async def acquire_lease(self, owner: str) -> int:
        """Become the owner: a fencing token greater than every earlier one; raise LeaseHeld where a live owner exists."""

    async def lease_token(self) -> int:
        """The token now valid."""

    async def release_lease(self, token: int) -> None:
        """Give the lease up, if the token still holds it."""

    async def close(self) -> None:
        """Release files and threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Insert a row, or replace the row with the same primary key."""

    table: str
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove the rows whose columns equal `where`."""

    table: str
    where: Mapping[str, Any]


class Archive(Protocol):
    """Ordinary migrated tables: inbox, outbox, conversations, quote history, the paper exchange's ledger."""

    async def write(self, operations: Sequence[Put | Delete]) -> None:
        """Apply all operations in one durable transaction."""

    async def select(
        self,
        table: str,
        *,
        where: Mapping[str, Any] | None = None,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> tuple[dict[str, Any], ...]:
        """Rows of a table whose columns equal `where`."""


# --- broker --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerCapabilities:
    """What a broker can do, as data."""

    name: str
    env: str  # paper | live
    max_legs: int
    combos: bool
    what_if: bool
    deduplicates: bool  # re-sending the same client id is harmless
    gtc: bool
    physical_settlement: bool = False
    expiry_cutoff_minutes: int = 0  # before the close of an expiry day the broker takes no more instructions, or acts by itself
    requests_per_minute: int | None = None  # the most it takes, a beat of poll and updates counted as one; None: it states no limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A broker's (or our own margin engine's) answer before an order: money in account currency."""

    margin_before: Decimal
    margin_after: Decimal
    buying_power_before: Decimal
    buying_power_after: Decimal
    commission: Decimal
    source: str  # who computed it
    refusal: str | None = None  # the broker's words where it would refuse


class BrokerStatus(StrEnum):
    """A broker's own state of an order."""

    WORKING = "working"
    HELD = "held"  # taken, and not working at the exchange: before the open, inactive, kept back
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def live(self) -> bool:
        """The order may still fill."""
        return self in (BrokerStatus.WORKING, BrokerStatus.HELD)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOrder:
    """An order as the broker's books show it, ours or entered elsewhere."""

    client_id: str | None
    broker_ref: str
    status: BrokerStatus
    limit: Decimal
    quantity: int  # units
    filled: int  # units
    description: str = ""
    legs: tuple[Leg, ...] | None = None  # None where the broker does not say; whether a leg opens or closes is judged by what is held
    tif: TimeInForce | None = None
    reason: str = ""  # the broker's words, of a held or ended order


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPosition:
    """A holding as the broker's books show it."""

    instrument: Instrument
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSnapshot:
    """Everything a reconciliation needs. `complete` is False where any part timed out or may be cut: then nothing may be concluded
    from an absence. `orders` holds the working orders and the orders that ended since `since`; `fills` all executions since then."""

    account: AccountId
    epoch: int
    complete: bool
    at: datetime
    cash: Decimal
    orders: tuple[BrokerOrder, ...]
    positions: tuple[BrokerPosition, ...]
    fills: tuple[Fill, ...]
    settlements: tuple[Settled, ...]
    movements: tuple[CashMoved, ...]
    cursor: int
    actions: tuple[CorporateAction, ...] = ()  # corporate actions since then
    calls: tuple[MarginCalled, ...] = ()  # margin calls made and taken back since then, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """A change of an order's state at the broker."""

    client_id: str
    broker_ref: str
    status: BrokerStatus
    limit: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One message of the broker's stream. Updates may repeat and come out of order.

    `cursor` rises for ever, across connections and restarts: what the log says was heard up to is never asked for again. An adapter whose
    vendor counts from 1 in every session keeps its own offset.
    """

    cursor: int
    epoch: int
    # a BrokerOrder is one that is not this desk's, as it stands now
    item: OrderReport | BrokerOrder | Fill | Settled | CashMoved | CorporateAction | MarginCalled


class Broker(Protocol):
    """One account at a broker. Sign of net prices: + credit, - debit; the adapter translates.

    `submit`, `replace` and `cancel` return when the request was accepted for processing; they raise BrokerRejected (a definite no) or
    BrokerTimeout (nobody knows). What became of an order arrives through `updates` and `snapshot`. Any call may raise RateLimited or
    LoginNeeded, which are a definite no too.
    """

    @property
    def capabilities(self) -> BrokerCapabilities:
        """What this broker can do."""

    @property
    def account(self) -> AccountId:
        """The account this connection trades."""

    async def connect(self) -> int:
        """Connect and verify account and environment; returns the connection epoch, higher than every earlier one."""

    async def preview(self, envelope: Envelope) -> Preview:
        """Margin, buying power and commission before and after the order."""

    async def submit(self, order: Permitted) -> str:
        """Send a new order; returns the broker's reference."""

    async def replace(self, client_id: str, order: Permitted) -> None:
        """Change the limit of a working order to `order.limit`."""

    async def cancel(self, client_id: str) -> None:
        """Ask for a cancel; the order is cancelled only when an update says so."""

    async def cancel_external(self, broker_ref: str) -> None:
        """Ask for a cancel of an order that is not this desk's, by the broker's own reference; only ever because a person said so."""

    async def snapshot(self, *, since: int = 0) -> BrokerSnapshot:
        """Orders, positions, cash, and all executions, settlements and movements after cursor `since`."""

    async def updates(self, *, since: int, wait_seconds: float) -> tuple[Update, ...]:
        """Updates with cursor > `since`; waits up to `wait_seconds` for the first one, then returns what there is (maybe nothing)."""

    async def poll(self) -> None:
        """Periodic work after the clock moved: a paper exchange matches resting orders and settles expiries.

        Over a network it is the heartbeat too: it returns once the other end has given a sign of life, and raises or waits where none
        comes.
        """

    async def close(self) -> None:
        """Disconnect."""


# --- market data ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCapabilities:
    """What a data source is and has."""

    name: str
    label: str  # shown on every card: SIMULATED, RECORDED, or the vendor
    symbols: frozenset[str] | None  # None: asks the source
    delayed: bool = False
    history: bool = True
    settlements: bool = False
    most_subscriptions: int | None = None  # a streaming source keeps at most so many live, see `Streaming`; None: it is asked each time


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Daily bars, columnar by tuple: one entry per session, ascending. An open, high or low the source does not have is NaN."""

    symbol: str
    days: tuple[date, ...]
    open: tuple[float, ...]
    high: tuple[float, ...]
    low: tuple[float, ...]
    close: tuple[float, ...]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dividend:
    """A cash dividend a share, by ex-date."""

    symbol: str
    ex_date: date
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """From its ex-date on there are `new` shares for `old` ones: 4 for 1, or 3 for 2."""

    symbol: str
    ex_date: date
    new: int
    old: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Earnings:
    """A company reports."""

    symbol: str
    day: date
    when: str  # before_open, after_close, or "" where that is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One line of news."""

    at: datetime
    symbol: str | None  # None: of the whole market
    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementValue:
    """The published value a series settles on; its absence is `None` (pending), never the close."""

    root: str
    expiry: date
    value: Decimal
    published_at: datetime
    label: str  # "closing index", "SET", ...


class Streaming(Protocol):
    """What a source with `most_subscriptions` also does. `quotes` then answers with the last price heard of each subscribed instrument."""

    async def subscribe(self, instruments: Sequence[Instrument]) -> None:
        """Keep these live; one that is live already is subscribed anew, as after a lost data farm or a competing session."""

    async def unsubscribe(self, instruments: Sequence[Instrument]) -> None:
        """Give these up."""


class Provider(Protocol):
    """A source of market data. Nothing it returns is later than its clock's now. What it does not have raises Unavailable."""

    @property
    def capabilities(self) -> ProviderCapabilities:
        """What this source is."""

    async def quotes(self, instruments: Sequence[Instrument]) -> Mapping[str, Quote]:
        """Quotes by instrument key; a key the source cannot quote is left out."""

    async def chain(self, symbol: str, *, first: date, last: date) -> Chain:
        """All contracts of the underlying expiring within [first, last]; raise UserError for an unknown symbol."""

    async def expiries(self, symbol: str) -> tuple[date, ...]:
        """Listed expiries from today on."""

    async def bars(self, symbol: str, *, start: date, end: date) -> Bars:
        """Daily bars of completed sessions within [start, end]."""

    async def settlement(self, contract: Option) -> SettlementValue | None:
        """The settlement value of the contract's series, None while it is not published."""

    async def dividends(self, symbol: str, *, start: date, end: date) -> tuple[Dividend, ...]:
        """Dividends with ex-date in [start, end], as far as known now."""

    async def splits(self, symbol: str, *, start: date, end: date) -> tuple[Split, ...]:
        """Splits with ex-date in [start, end], as far as announced by now."""

    async def earnings(self, symbol: str, *, start: date, end: date) -> tuple[Earnings, ...]:
        """Reports due or made within [start, end], as far as known now."""

    async def headlines(self, symbol: str | None, *, since: datetime) -> tuple[Headline, ...]:
        """News of a symbol after `since`, oldest first; None: of everything."""

    async def rate(self, days: int) -> float:
        """Continuously compounded riskless rate for a term of `days`, as a decimal."""

    async def next_instant(self) -> datetime | None:
        """For a recorded or simulated market: the next instant worth stepping to (next snapshot or session); None where time is real."""
