"""What can be asked and done; with a topic, one command, strategy or rule explained with an example."""

from __future__ import annotations

from types import ModuleType

from core import plugins
from core.command import ACCOUNT, Access, Call, Command, Kind, Parameter, repeated
from core.commands._planned import planned
from core.desk import Desk
from core.errors import UserError
from core.reply import Action, Block, Cell, Column, Reply, Table, Text

FIRST_STEPS = "A first guided paper trade: `open put_credit_spread XSP` draws a card; nothing is sent until you confirm it."
GROUPS = {
    "Look": ("status", "positions", "pnl", "fills", "greeks", "risk", "vix", "iv", "quote", "chain", "why", "alerts"),
    "Trade": ("open", "close", "confirm", "reprice", "size", "drop", "cancel"),
    "Stop": ("pause", "resume", "halt", "unhalt", "kill", "mandate", "ack", "snooze"),
    "Desk": ("account", "settings", "config", "note", "log_trade", "explain", "help", "next", "to", "pair"),
}
ACCESS_WORDS = {
    Access.READ: "only answers", Access.DRAFT: "prepares, changes nothing at a broker", Access.REDUCE: "lowers risk",
    Access.COMMIT: "only your own press or typed line", Access.STEPUP: "asks for your PIN",
}


async def run(desk: Desk, call: Call) -> Reply:
    """The list, or one topic."""
    topic = call.args.get("topic")
    return _list() if topic is None else _topic(topic.lower().strip().replace(" ", "_").replace("-", "_"), topic)


def _list() -> Reply:
    names = plugins.names("commands")
    grouped = {name for group in GROUPS.values() for name in group}
    blocks: list[Block] = [Text(text=FIRST_STEPS)]
    for title, group in {**GROUPS, "More": tuple(name for name in names if name not in grouped)}.items():
        rows: list[tuple[Cell, ...]] = [(name, _command(name).help) for name in group if name in names]
        if rows:
            blocks.append(Table(title=title, columns=(Column(title="command"), Column(title="what it does")), rows=tuple(rows)))
    blocks.append(Text(text=f"`help NAME` explains one. Planned, not there yet: {', '.join(planned())}."))
    actions = (Action(label="Status", line="status"), Action(label="First trade", line="open strategy=put_credit_spread symbol=XSP"))
    return Reply(blocks=tuple(blocks), actions=actions)


def _topic(name: str, said: str) -> Reply:
    if name in plugins.names("commands"):
        return _about_command(_command(name))
    for family, kind in (("strategies", "Strategy"), ("rules", "Rule")):
        if name in plugins.names(family):
            return _about_plugin(f"{kind} {name}", plugins.load(family, name), f"{family}.{name}")
    if name in planned():
        return Reply(blocks=(Text(text=f"{name}: {planned()[name]}. It is planned and not available yet."),), ok=False)
    raise UserError(f"There is no help on {repeated(said)}.", "`help` lists the commands; `explain` knows the terms.")


def _about_command(command: Command) -> Reply:
    lines = _paragraphs(plugins.load("commands", command.name))
    access = command.access_for({})
    words = ACCESS_WORDS[access] if command.weigh is None else "looking only answers; a change is weighed by what it does"
    rows: list[tuple[Cell, ...]] = [
        (parameter.name, "needed" if parameter.required else "", parameter.kind.value, _parameter_words(parameter))
        for parameter in (*command.parameters, ACCOUNT)
    ]
    columns = (Column(title="parameter"), Column(title=""), Column(title="kind"), Column(title="what"))
    table = Table(title=f"{command.name}: {words}", columns=columns, rows=tuple(rows))
    examples = Text(text="Examples: " + "; ".join(f"`{example}`" for example in command.examples))
    return Reply(blocks=(*(Text(text=line) for line in lines), table, examples))


def _parameter_words(parameter: Parameter) -> str:
    choices = f" ({', '.join(parameter.choices)})" if parameter.choices else ""
    return f"{parameter.help}{choices}".strip()


def _about_plugin(title: str, module: ModuleType, prefix: str) -> Reply:
    examples: tuple[str, ...] = tuple(getattr(module, "EXAMPLES", ()))
    blocks: list[Block] = [Text(text=title), *(Text(text=line) for line in _paragraphs(module))]
    if examples:
        blocks.append(Text(text="Examples: " + "; ".join(f"`{example}`" for example in examples)))
    return Reply(blocks=tuple(blocks), actions=(Action(label="Its settings", line=f"settings key={prefix}"),))


def _paragraphs(module: ModuleType) -> list[str]:
    """A module's docstring, which is its help, with its lines joined to paragraphs."""
    text = (module.__doc__ or "").strip()
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]


def _command(name: str) -> Command:
    command: Command = plugins.load("commands", name).COMMAND
    return command


COMMAND = Command(
    name="help", help="What can be asked and done.", run=run, access=Access.READ,
    parameters=(Parameter(name="topic", kind=Kind.TEXT, help="a command, strategy or rule"),), examples=("help", "help open"),
)
