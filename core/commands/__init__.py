"""The command table: one file a command, found by the registry. Modules with a leading underscore are shared parts of commands."""
