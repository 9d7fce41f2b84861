"""The book: what is held, folded from the log. Pure."""
