"""The effective configuration: defaults, then config.yaml, then what was changed from chat; every value with its unit and origin."""

from __future__ import annotations

from core.command import Access, Call, Command
from core.commands.settings import unit_of
from core.desk import Desk
from core.domain.accounts import Account
from core.reply import Block, Cell, Column, Fact, Facts, Format, Notice, Reply, Table, Tone

COLUMNS = (Column(title="setting"), Column(title="value"), Column(title="unit"), Column(title="from"))


async def run(desk: Desk, call: Call) -> Reply:
    """Everything that is in force; secrets have no place in the configuration, so none can be shown."""
    config = desk.config
    blocks: list[Block] = [
        Facts(title=f"Configuration ({config.path or 'defaults, no file'})", facts=tuple(_market(desk))),
        *(_account(account) for account in config.accounts),
        Table(title="Settings", columns=COLUMNS, rows=tuple(_row(desk, name) for name in sorted(desk.settings.specs))),
    ]
    blocks += [Notice(text=text, tone=Tone.WARNING) for text in desk.settings.unread]
    return Reply(blocks=tuple(blocks))


def _market(desk: Desk) -> list[Fact]:
    config = desk.config
    facts = [Fact(label="market.provider", value=config.provider, note=desk.reader.label())]
    facts += [Fact(label=f"market.{key}", value=str(value)) for key, value in sorted(config.provider_options.items())]
    facts.append(Fact(label="watch_list", value=", ".join(config.watch_list)))
    facts.append(Fact(label="fees", value=config.fee_schedule))
    facts.append(Fact(label="database", value=config.database or "files in the data directory"))
    web = config.web
    facts.append(Fact(label="web", value=f"{web.host} port {web.port}" if web.on else "no page"))
    facts += [Fact(label="web.names", value=", ".join(web.names))] if web.names else []
    chats = config.telegram
    facts.append(Fact(label="telegram.base_url", value=chats.base_url))
    facts.append(Fact(label="telegram.group", value="none" if chats.group is None else str(chats.group)))
    facts.append(Fact(label="telegram.topic", value="none" if chats.topic is None else str(chats.topic)))
    return facts


def _account(account: Account) -> Facts:
    charter = account.charter
    flags = [name for name in ("long_only", "defined_risk_only", "no_shares_short") if getattr(charter, name)]
    symbols = "every symbol" if charter.symbols is None else ", ".join(sorted(charter.symbols))
    facts = (
        Fact(label="broker", value=account.id.broker), Fact(label="id", value=account.id.id), Fact(label="env", value=account.id.env.value),
        Fact(label="kind", value=account.kind.value),
        Fact(label="start_cash", value=account.start_cash, format=Format.MONEY, unit=account.currency),
        Fact(label="charter", value=", ".join([*flags, symbols])),
    )
    return Facts(title=f"Account {account.name}", facts=facts)


def _row(desk: Desk, name: str) -> tuple[Cell, ...]:
    setting = desk.settings.specs[name]
    origin = "chat" if name in desk.fold.settings else "file" if name in desk.config.settings else "default"
    return (name, setting.write(desk.settings.values[name]), unit_of(setting), origin)


COMMAND = Command(
    name="config", help="The effective configuration, with units and where each value comes from.", run=run, access=Access.READ,
    examples=("config",),
)
