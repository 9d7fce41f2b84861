"""From what a person said to a command of the table."""
