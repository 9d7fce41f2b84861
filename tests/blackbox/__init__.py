"""The shipped process from outside: real signals, real sockets, a real disk, against an exchange that keeps its own books."""
