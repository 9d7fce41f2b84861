"""The desk: one trading engine behind every way of talking to it."""
