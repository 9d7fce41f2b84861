"""The desk's vocabulary: money, instruments, accounts, orders, structures, events. Standard library only."""
