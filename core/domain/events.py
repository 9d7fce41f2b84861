"""What is written in the log: decisions and facts, nothing else.

An `Event` is the stored envelope around a body. Bodies are frozen dataclasses; a body's class name is its kind and `VERSIONS` holds
its version. A stored kind is never renamed or reinterpreted: a change of shape raises the version and adds an upcast in
`core.store.codec`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.accounts import Account, AccountId
from core.domain.encoding import SPARSE
from core.domain.instruments import Instrument
from core.domain.mandates import Mandate, Rung
from core.domain.orders import Envelope, Fill, Intent, Leg


class Mode(StrEnum):
    """What the desk, an account, a strategy or an instrument may do; see `strictest`."""

    ACTIVE = "active"
    PAUSED = "paused"
    REDUCING = "reducing"
    HALT = "halt"
    RECOVERY = "recovery"
    STANDBY = "standby"


STRICTNESS = (Mode.ACTIVE, Mode.PAUSED, Mode.REDUCING, Mode.HALT, Mode.RECOVERY, Mode.STANDBY)


def strictest(modes: tuple[Mode, ...]) -> Mode:
    """The mode that wins where several apply."""
    return max(modes, key=STRICTNESS.index, default=Mode.ACTIVE)


class ScopeKind(StrEnum):
    """What a mode is set on."""

    DESK = "desk"
    ACCOUNT = "account"
    STRATEGY = "strategy"
    INSTRUMENT = "instrument"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The desk (no name), or one account, strategy or instrument key by name."""

    kind: ScopeKind = ScopeKind.DESK
    name: str = ""


# --- people, settings, control ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    """An account became known, with the money it starts from."""

    account: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSet:
    """A person, rule or fault changed a mode; `mode` is ACTIVE when it was lifted. `cause` tells several reasons apart."""

    scope: Scope
    mode: Mode
    cause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChanged:
    """A setting was changed from chat; values are the texts a person would type."""

    key: str
    old: str
    new: str
    loosens: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigSeen:
    """The settings the configuration stood for at a start, as accepted: a later start applies what tightens, holds back what loosens."""

    settings: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteWritten:
    """A person's journal note, on a trade where it names one.

    `rolls` is the trade that this one continues, by a person's word: a roll in two orders. Empty: what was said before is taken back.
    """

    text: str
    symbol: str | None = None
    trade_id: str | None = field(default=None, metadata=SPARSE)
    rolls: str | None = field(default=None, metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMoved:
    """A simulated or recorded clock was set forward by a person."""

    to: datetime


# --- tickets -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketDrafted:
    """A previewed order was offered: the envelope, and the hash of the card as shown."""

    ticket_id: str
    intent: Intent
    envelope: Envelope
    envelope_hash: str
    card_hash: str
    allowed: bool  # False where the verdict blocks: the card shows why and has no Confirm
    mid: Decimal
    short_delta: float | None
    margin_effect: Decimal | None
    verdict_hash: str
    replaces: str | None = None
    short_deltas: tuple[float | None, ...] = ()  # of each short option leg, in the order of the legs
    holdings: str = ""  # digest of what was held and working when the card was drawn
    said_limit: Decimal | None = None  # the person's own net price; None where the desk chose the range
    second_order: bool = False  # the person said it is a second, identical order on purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketShown:
    """The card of a ticket was delivered to a chat; a press counts only from a chat that saw it or a bound one of the owner."""

    ticket_id: str
    chat: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketConfirmed:
    """A person pressed Confirm and every re-check passed. Carries the reservation: exposure counts from here on.

    Under a mandate nobody pressed: `person` and `chat` are those of its grant, `rule` is the exit that called for the order and
    `evidence` what it measured.
    """

    ticket_id: str
    person: str
    chat: str
    envelope_hash: str
    card_hash: str
    quantity: int
    client_id: str
    mandate: str | None = field(default=None, metadata=SPARSE)
    rule: str = field(default="", metadata=SPARSE)
    evidence: str = field(default="", metadata=SPARSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketClosed:
    """A ticket ended without an order: dropped by a person, expired, replaced by a newer card, or refused at the press."""

    ticket_id: str
    outcome: str  # dropped | expired | replaced | refused
    reason: str


# --- orders --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitting:
    """Written and synced before the first byte leaves for the broker."""

    client_id: str
    ticket_id: str
    account: AccountId
    envelope: Envelope
    envelope_hash: str
    limit: Decimal
    quantity: int
    trade_id: str
    reducing: bool
    thesis: str = ""
    standing_id: str | None = field(default=None, metadata=SPARSE)  # the standing order this one is a part or the exit of
    mid: Decimal | None = field(default=None, metadata=SPARSE)  # net per unit in the view it was judged on, just before it left: at arrival
    exits: bool = field(default=False, metadata=SPARSE)  # measured: closes and leaves no more shorts uncovered (what reduces is one anyway)
    mandate: str | None = field(default=None, metadata=SPARSE)  # what it rests on where nobody pressed
    natural: Decimal | None = field(default=None, metadata=SPARSE)  # net per unit at which it would have filled at once, at arrival


class Role(StrEnum):
    """What a standing order is for."""

    TARGET = "target"  # a resting order that closes at a profit
    STOP = "stop"  # closes at a loss limit once that is touched
    PARTS = "parts"  # sends a quantity in parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed:
    """A confirmed plan that the desk carries out over time stands from here on: a target, a stop, or an order in parts.

    `envelope` is the confirmed one. Of a bracket's exits it is the entry's, whose order is `parent`: their own follows from its fills.
    """

    standing_id: str
    role: Role
    ticket_id: str
    account: AccountId
    envelope: Envelope
    envelope_hash: str
    trade_id: str
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMoved:
    """A trailing stop saw a better mid; its level follows and never goes back."""

    standing_id: str
    best: Decimal
    level: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTriggered:
    """Two fresh checks in a row found the mid at the stop's level or beyond: the closing order comes next."""

    standing_id: str
    level: Decimal
    mid: Decimal
    first_mid: Decimal
    first_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Disarmed:
    """A standing order ended: done, cancelled, refused or expired."""

    standing_id: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised:
    """Something a person must hear of that follows from no other event. The same `key` is the same alert.

    `lines` are command lines offered as buttons, with `labels` on them where those say more than the line; `urgency` is low, medium,
    high or critical.
    """

    key: str
    urgency: str
    text: str
    account: AccountId | None = None
    lines: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertAnswered:
    """A person took note of an alert, which for some is the decision it asked for; it is not repeated."""

    key: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAcknowledged:
    """The broker holds the order live."""

    client_id: str
    broker_ref: str
    limit: Decimal
    from_books: bool = False  # the broker's complete books show it working: evidence that outweighs an earlier end
    held: bool = field(default=False, metadata=SPARSE)  # it has it and does not work it now: before the open, inactive, kept back
    reason: str = field(default="", metadata=SPARSE)  # the broker's words on that


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacing:
    """Written before a replace leaves: the new limit, inside the envelope."""

    client_id: str
    limit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceRefused:
    """The broker kept the original order live."""

    client_id: str
    limit: Decimal  # what stays in force
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """A cancel is about to leave; the order counts as live until the broker says otherwise."""

    client_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded:
    """The broker's (or, for denied, the desk's) last word: cancelled, rejected, denied or expired."""

    client_id: str
    outcome: str
    reason: str

    def __post_init__(self) -> None:
        if self.outcome not in ("cancelled", "rejected", "denied", "expired"):
            raise ValueError(f"an order does not end as {self.outcome!r:.40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUnknown:
    """Whether the broker has the order is not known; it stays so until evidence."""

    client_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """An execution report, recorded in every mode and state; counted once per exec_id."""

    fill: Fill
    mid_at_decision: Decimal | None = None  # net per unit as the card showed it, or as the desk saw it when it decided by itself
    mid_at_fill: Decimal | None = None
    mid_at_arrival: Decimal | None = field(default=None, metadata=SPARSE)  # net per unit when the order first left for the broker


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalOrder:
    """An order at the broker that is not this desk's, as the broker now shows it: counted in risk, never cancelled unasked.

    `legs` is None where the broker does not say what it trades: then nobody can say what it may lead to. Each report replaces the last.
    """

    account: AccountId
    broker_ref: str
    status: str  # working | held | filled | cancelled | rejected | expired | gone (from the broker's complete books)
    limit: Decimal
    quantity: int  # units
    filled: int  # units
    legs: tuple[Leg, ...] | None = None
    description: str = ""
    label: str | None = None  # the id another program gave it

    @property
    def live(self) -> bool:
        """It may still fill."""
        return self.status in ("working", "held")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalCancelRequested:
    """A person asked for the cancel of an order that is not this desk's; it is about to leave."""

    account: AccountId
    broker_ref: str
    reason: str


# --- what the desk may do by itself ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateOffered:
    """A mandate was offered on a card: every bound, and the open trades it would act on at once. Not in force until it is granted."""

    mandate: Mandate
    card_hash: str
    due_now: tuple[str, ...]  # trades the card named as due, or as not to be judged then
    policy_version: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateGranted:
    """A person granted a mandate by a press on the card whose text has this hash."""

    mandate: Mandate
    card_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MandateRevoked:
    """A mandate covers nothing from here on."""

    mandate_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitDue:
    """An exit found that an open trade should be closed, rolled or looked at, and a person is told.

    `times` counts the tellings since it became due. `ticket_id` is the ready ticket on the confirm rung; `note` says why it was not done
    by itself where a mandate names the rule.
    """

    account: AccountId
    trade_id: str
    rule: str
    decision: str  # close | roll | look
    reason: str
    rung: Rung
    times: int
    must: bool  # repeated until it is answered
    ticket_id: str | None = None
    mandate: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitOver:
    """What an exit had told is no longer so: the measure went back, or the trade is closed."""

    account: AccountId
    trade_id: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitSnoozed:
    """A person does not want to hear of a told exit until then; None: until it is over."""

    trade_id: str
    rule: str
    person: str
    until: datetime | None = None


# --- trades done elsewhere -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeLogged:
    """A person booked a trade done elsewhere, in the account that no broker of this desk keeps. Counted once per execution.

    Of a structure only the net price was said: `fills` carry it on their first leg, and nothing on the others. `undoes` is the booking
    that this one takes back; its fills are then busts.
    """

    log_id: str
    account: AccountId
    person: str
    trade_id: str
    strategy: str
    legs: tuple[Leg, ...]
    quantity: int
    price: Decimal  # net per unit and share, + received, - paid
    fills: tuple[Fill, ...]
    fees_known: bool
    undoes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FillsNamed:
    """A person said what executions from elsewhere in a connected account were: words on them, nothing is booked by it."""

    log_id: str
    account: AccountId
    person: str
    exec_ids: tuple[str, ...]
    text: str


# --- account facts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A position ended at expiry, by exercise or by assignment. `quantity` is the signed change of the option position.

    Cash settlement: `cash` is the money received (+) or paid (-). Physical: `shares` of `share_symbol` change hands at the strike and
    `cash` is that payment.
    """

    settlement_id: str
    account: AccountId
    instrument: Instrument
    quantity: int
    outcome: str  # expired | cash_settled | exercised | assigned
    value: Decimal | None  # the settlement value or closing price it was judged on
    cash: Decimal
    at: datetime
    shares: int = 0
    share_symbol: str | None = None
    fees: Decimal = Decimal(0)
    note: str = field(default="", metadata=SPARSE)  # the broker's words, where the outcome does not follow from the value alone

    @property
    def price(self) -> Decimal:
        """What the holding ended (or, adopted from the broker, began) at per share; zero where it was delivered or ran out.

        A holding adopted without money has the price it was booked at.
        """
        if self.shares or not self.quantity:
            return Decimal(0)
        if self.outcome == "adjusted" and not self.cash:
            return self.value or Decimal(0)
        return abs(self.cash) / (abs(self.quantity) * self.instrument.multiplier)


@dataclass(frozen=True, slots=True, kw_only=True)
class CashMoved:
    """A deposit, withdrawal, dividend, interest or fee outside trading."""

    movement_id: str
    account: AccountId
    amount: Decimal
    reason: str
    at: datetime
    symbol: str = field(default="", metadata=SPARSE)  # of a dividend: the share it is paid on
    quantity: int = field(default=0, metadata=SPARSE)  # and how many were held (+) or owed (-)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """What a corporate action made of one holding: all of it before and after, signed, and the cash paid for a part nobody can hold."""

    instrument: Instrument
    quantity: int
    successor: Instrument
    becomes: int
    cash: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateAction:
    """Shares were split `new` for `old`: what was held before `at` is something else from then on, with options as their clearing says.

    Nothing was traded and nobody gained: what it cost moves on with it. Plans for what was replaced end here.
    """

    action_id: str
    account: AccountId
    symbol: str
    new: int
    old: int
    lines: tuple[Replaced, ...]
    at: datetime

    @property
    def words(self) -> str:
        """`split 2 for 1 of KO`."""
        return f"split {self.new} for {self.old} of {self.symbol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCalled:
    """The broker wants more money or smaller positions: by then it closes positions itself. An amount of zero takes the call back."""

    call_id: str
    account: AccountId
    amount: Decimal
    at: datetime
    due_at: datetime | None = None  # None: at once, or nothing is due any more
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing in which the broker's complete books and ours do not agree. `id` stands for exactly this one, amounts included."""

    id: str
    kind: str  # position | cash | order
    text: str
    since: datetime  # when it was first found
    theirs: Decimal
    ours: Decimal
    instrument: Instrument | None = None  # of a position
    client_id: str | None = None  # of an order of ours that the broker does not have
    keys: tuple[str, ...] = ()  # the instruments it stops
    looks_like: str = ""  # what would explain it


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjusted:
    """A person adopted the broker's word for a difference: a signed booking, counted like a settlement.

    Without an instrument it is cash alone. `outcome` says what it was taken for; shares then change hands as in a settlement. `price` is
    what a holding is booked at per share where no money moves with it.
    """

    adjustment_id: str
    account: AccountId
    person: str
    reason: str
    instrument: Instrument | None
    quantity: int  # signed change of the holding
    cash: Decimal
    at: datetime
    outcome: str = "adjusted"  # adjusted | expired | cash_settled | exercised | assigned
    shares: int = 0
    share_symbol: str | None = None
    price: Decimal | None = None
    deposit: bool = False  # money brought in or taken out, no result of trading


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """A complete broker snapshot was compared with the book. No differences and `complete` allow ACTIVE in this epoch.

    It is written where it says something new: a comparison that found all as the last one did leaves no trace here.
    """

    account: AccountId
    epoch: int
    complete: bool
    differences: tuple[str, ...]
    broken_instruments: tuple[str, ...] = ()
    cursor: int = 0  # everything the broker reported up to here is in the log
    found: tuple[Difference, ...] = field(default=(), metadata=SPARSE)  # the differences, to be looked at and resolved one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class KilledOrder:
    """How an order that worked when the desk was killed ended, by the broker's word."""

    client_id: str
    outcome: str  # cancelled | filled | rejected | denied | expired
    filled: int
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KillChecked:
    """After a kill: what the broker's books say of one account's orders. Only complete books that show none working prove it."""

    account: AccountId
    kill: int  # the event that killed
    proved: bool
    read_at: datetime | None  # when the books were asked for on which this rests; None where none came
    ended: tuple[KilledOrder, ...] = ()
    pending: tuple[str, ...] = ()  # what may still fill
    lost: tuple[str, ...] = ()  # those of them that the broker's complete books do not have
    external: tuple[str, ...] = ()  # orders from elsewhere that were seen working, by the broker's reference
    confirmed_since: tuple[str, ...] = ()  # live orders that a person confirmed after the kill
    reason: str = ""  # why nothing is proved
    times: int = 0  # how often it was told before that nothing is proved


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """End-of-session value of an account at mids: opinions, kept for P&L by day and drawdown."""

    account: AccountId
    session: date
    net_liquidation: float
    stale: tuple[str, ...] = ()


Body = (
    AccountOpened
    | ModeSet
    | SettingChanged
    | ConfigSeen
    | NoteWritten
    | ClockMoved
    | TicketDrafted
    | TicketShown
    | TicketConfirmed
    | TicketClosed
    | Submitting
    | Armed
    | StopMoved
    | StopTriggered
    | Disarmed
    | AlertRaised
    | AlertAnswered
    | OrderAcknowledged
    | Replacing
    | ReplaceRefused
    | CancelRequested
    | OrderEnded
    | OrderUnknown
    | Filled
    | ExternalOrder
    | ExternalCancelRequested
    | Settled
    | Adjusted
    | CashMoved
    | CorporateAction
    | MarginCalled
    | Reconciled
    | KillChecked
    | Marked
    | MandateOffered
    | MandateGranted
    | MandateRevoked
    | ExitDue
    | ExitOver
    | ExitSnoozed
    | TradeLogged
    | FillsNamed
)

VERSIONS: dict[type, int] = {
    AccountOpened: 1,
    ModeSet: 1,
    SettingChanged: 1,
    ConfigSeen: 1,
    NoteWritten: 1,
    ClockMoved: 1,
    TicketDrafted: 1,
    TicketShown: 1,
    TicketConfirmed: 1,
    TicketClosed: 1,
    Submitting: 1,
    Armed: 1,
    StopMoved: 1,
    StopTriggered: 1,
    Disarmed: 1,
    AlertRaised: 1,
    AlertAnswered: 1,
    OrderAcknowledged: 1,
    Replacing: 1,
    ReplaceRefused: 1,
    CancelRequested: 1,
    OrderEnded: 1,
    OrderUnknown: 1,
    Filled: 1,
    ExternalOrder: 1,
    ExternalCancelRequested: 1,
    Settled: 1,
    Adjusted: 1,
    CashMoved: 1,
    CorporateAction: 1,
    MarginCalled: 1,
    Reconciled: 1,
    KillChecked: 1,
    Marked: 1,
    MandateOffered: 1,
    MandateGranted: 1,
    MandateRevoked: 1,
    ExitDue: 1,
    ExitOver: 1,
    ExitSnoozed: 1,
    TradeLogged: 1,
    FillsNamed: 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An event before it is stored: what a caller hands to `Store.append`."""

    body: Body
    stream: str  # account text form, or "desk"
    at: datetime  # when it happened, desk clock
    actor: str  # person:…, model, clock, rule:…, broker:…, desk
    causation: str = ""  # what led to it: call id, broker message id
    correlation: str = ""  # the journey: ticket id, order id
    dedupe: str | None = None  # a second append with the same key is ignored


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A stored event. `hash` covers the previous hash and the stored bytes of everything but itself."""

    seq: int
    stream: str
    kind: str
    version: int
    at: datetime
    recorded_at: datetime
    actor: str
    causation: str
    correlation: str
    dedupe: str | None
    body: Body
    hash: str
