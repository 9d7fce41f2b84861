"""Every limit and timing: show them, or change one.

Tightening applies at once, loosening asks for the PIN, exits, stops and targets need your own press or typed line. A change makes cards
drawn before it void. Example: `settings rules.capital.max_fraction 0.03` allows at most 3% of net liquidation value a trade.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.command import Access, Call, Command, Kind, Parameter, Role, repeated
from core.commands._exits import due_blocks
from core.commands._modes import actor_of
from core.desk import Desk
from core.domain.events import SettingChanged
from core.errors import UserError
from core.reply import Block, Cell, Column, Notice, Reply, Table, Text, Tone
from core.settings import Loosens, Setting, Value

COLUMNS = (Column(title="setting"), Column(title="value"), Column(title="unit"), Column(title="default"), Column(title="what it does"))
LOOSENING = {
    Loosens.UP: "raising it loosens", Loosens.DOWN: "lowering it loosens", Loosens.ANY: "every change counts as loosening",
    Loosens.EXIT: "concerns exits: only you change it", Loosens.NEVER: "no protection depends on it",
}
_UNWEIGHED = {Loosens.EXIT: "It concerns exits, which no limit weighs.", Loosens.NEVER: "No protection depends on it."}


async def run(desk: Desk, call: Call) -> Reply:
    """Show the settings a key begins, or change the one it names."""
    key, text = call.args.get("key"), call.args.get("value")
    if text is None:
        return _shown(desk, key)
    name, setting = _named(desk, key)
    old = desk.settings.values[name]
    new = _read(setting, name, text)
    if old == new:
        raise UserError(f"{name} is {_with_unit(setting, old)} already; nothing was changed.")
    body = SettingChanged(key=name, old=setting.write(old), new=setting.write(new), loosens=setting.is_looser(old, new))
    recorded = await desk.record(desk.draft(body, actor=actor_of(call), causation=call.caller.message_id))
    looser = "This is looser than before." if body.loosens else _UNWEIGHED.get(setting.loosens, "This is no looser than before.")
    words = f"{name}: {_with_unit(setting, old)} is now {_with_unit(setting, new)}. {looser}"
    notice = Notice(text=words, tone=Tone.WARNING if body.loosens else Tone.GOOD)
    blocks: list[Block] = [notice, Text(text="Cards drawn before this are void; ask again for fresh ones.")]
    if setting.loosens is Loosens.EXIT:
        blocks += [*await due_blocks(desk), *_lapsed(desk, name)]
    return Reply(blocks=tuple(blocks), cites=recorded.seqs)


def _lapsed(desk: Desk, key: str) -> list[Block]:
    """Mandates that were granted on this setting as it was: they cover nothing more."""
    states = desk.fold.mandates(now=desk.now()).values()
    names = [state.mandate.id for state in states if state.in_force and key in state.mandate.terms]
    if not names:
        return []
    text = f"Granted on the old value, and covering nothing more until it is granted anew: {', '.join(names)}."
    return [Notice(text=text, tone=Tone.WARNING)]


def weigh(desk: Desk, args: Mapping[str, Any]) -> Access:
    """READ to look, REDUCE to tighten, STEPUP to loosen, COMMIT for exits and for what no protection depends on."""
    if args.get("value") is None:
        return Access.READ
    try:
        name, setting = _named(desk, args.get("key"))
        old, new = desk.settings.values[name], _read(setting, name, args["value"])
    except UserError:
        return Access.READ  # the command itself says what is wrong and changes nothing
    if old == new:
        return Access.READ
    if setting.is_looser(old, new):
        return Access.STEPUP
    return Access.COMMIT if setting.loosens in (Loosens.EXIT, Loosens.NEVER) else Access.REDUCE


def _named(desk: Desk, key: str | None) -> tuple[str, Setting]:
    """The one setting a key names, in full or by its unmistakable end."""
    if key is None:
        raise UserError("Which setting?", "For example `settings desk.ticket_life_seconds 90`; `settings` lists them all.")
    found = [name for name in desk.settings.specs if name == key] or [name for name in desk.settings.specs if name.endswith(f".{key}")]
    if len(found) != 1:
        near = ", ".join(found or [name for name in desk.settings.specs if key in name][:5])
        raise UserError(
            f"{repeated(key)} names {len(found)} settings." if found else f"There is no setting {repeated(key)}.",
            f"Did you mean {near}?" if near else "`settings` lists them all.",
        )
    return found[0], desk.settings.specs[found[0]]


def _read(setting: Setting, name: str, text: str) -> Value:
    try:
        return setting.read(text)
    except ValueError as error:
        raise UserError(f"{name} stays as it is: {error}.") from error


def _shown(desk: Desk, key: str | None) -> Reply:
    specs = desk.settings.specs
    exact = key in specs
    names = [name for name in specs if key is None or (name == key if exact else key in name)]
    if not names:
        raise UserError(f"There is no setting {repeated(key)}.", "`settings` lists them all.")
    rows: list[tuple[Cell, ...]] = [row_of(desk, name) for name in sorted(names)]
    blocks: list[Table | Text | Notice] = [Table(title="Settings", columns=COLUMNS, rows=tuple(rows))]
    if len(names) == 1:
        setting = specs[names[0]]
        span = f" From {setting.low} to {setting.high}." if setting.low is not None or setting.high is not None else ""
        blocks.append(Text(text=f"{LOOSENING[setting.loosens].capitalize()}.{span}"))
    blocks += [Notice(text=text, tone=Tone.WARNING) for text in desk.settings.unread]
    return Reply(blocks=tuple(blocks))


def row_of(desk: Desk, name: str) -> tuple[Cell, ...]:
    """One setting as a row: key, value, unit, default, what it does."""
    setting = desk.settings.specs[name]
    return (name, setting.write(desk.settings.values[name]), unit_of(setting), setting.write(setting.default), setting.help)


def unit_of(setting: Setting) -> str:
    """The unit as shown; a fraction says so."""
    return setting.unit or ("fraction" if setting.kind.value == "fraction" else "USD" if setting.kind.value == "money" else "")


def _with_unit(setting: Setting, value: Value) -> str:
    unit = unit_of(setting)
    return f"{setting.write(value)}{f' {unit}' if unit else ''}"


COMMAND = Command(
    name="settings", help="Limits and timings: show them, or change one.", run=run,
    access=lambda args: Access.READ if args.get("value") is None else Access.STEPUP, weigh=weigh,
    parameters=(
        Parameter(name="key", kind=Kind.ID, help="the setting's key, or the end of it"),
        Parameter(name="value", kind=Kind.TEXT, help="the new value"),
        Parameter(name="pin", kind=Kind.SECRET, help="your PIN where the change loosens; asked for where it is left out", positional=False),
    ),
    examples=("settings", "settings desk.ticket_life_seconds", "settings desk.ticket_life_seconds 90"),
    roles=frozenset(Role),
)
