"""The PostgreSQL adapters: the event log and the ordinary tables, in one schema of one database."""
