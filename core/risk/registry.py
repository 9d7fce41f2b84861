"""Loads the rules: every file in `core/risk/rules`, always all of them. Settings tune a rule and never remove one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from core import plugins
from core.risk.exam import Rule
from core.settings import Parameters, Setting, Value


def load_rules(effective: Mapping[str, Parameters] | None = None) -> tuple[Rule, ...]:
    """Every rule by name, with its effective parameters; what `effective` leaves out has its default.

    Raises ValueError for a rule or parameter that does not exist, or a value out of its range: a limit is never silently another one.
    """
    known = plugins.names("rules")
    unknown = sorted(set(effective or {}) - set(known))
    if unknown:
        raise ValueError(f"there is no rule {', '.join(unknown)}; there are: {', '.join(known)}")
    rules = []
    for name in known:
        module = plugins.load("rules", name)
        given = (effective or {}).get(name, Parameters(values={}))
        rules.append(Rule(module=module, parameters=Parameters(values=_values(name, module.PARAMETERS, given.values))))
    return tuple(rules)


def _values(name: str, declared: tuple[Setting, ...], given: Mapping[str, Value]) -> dict[str, Value]:
    unknown = sorted(set(given) - {setting.name for setting in declared})
    if unknown:
        raise ValueError(f"the rule {name} has no setting {', '.join(unknown)}")
    values: dict[str, Value] = {}
    for setting in declared:
        value = given.get(setting.name, setting.default)
        values[setting.name] = setting.check(Decimal(value)) if isinstance(value, Decimal | int) and not isinstance(value, bool) else value
    return values
