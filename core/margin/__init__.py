"""What a set of positions must be backed by. Pure and exact: used by brokers, risk and sizing alike."""
