"""Where the desk remembers: the append-only event log, the ordinary tables beside it, and who owns them."""
