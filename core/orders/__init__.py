"""The order path: tickets, the pure order reducer, the one sender a broker hears, price walking, reconciliation."""
