"""The nouns: instruments, market data, orders. Nothing but data and rounding. Floor 1."""
