"""PLUG-IN: sources of market data, one file each; names with a leading underscore are parts of a provider, not providers.

A provider's file has `NAME` (as the file), a docstring that is its help, `PARAMETERS` (a frozen dataclass: what it takes, with defaults)
and `build(parameters, *, clock, runtime=None)`, which returns a `core.ports.Provider`.
"""
