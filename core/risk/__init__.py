"""The governor: what an order would do, measured, judged by rules, and let through or not. Pure."""
