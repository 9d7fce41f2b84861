"""PLUG-IN: brokers, one file each; names with a leading underscore are parts of a broker, not brokers.

A broker's file has `NAME` (as the file), a docstring that is its help, `PARAMETERS` (a frozen dataclass: what it takes, with defaults) and
`build(parameters, *, account, ...)`, which returns a `core.ports.Broker`.
"""
