"""Bar lengths, market sessions and the clock. Floor 1."""
