"""What barbot exists for: bars, history, indicators, strategy, risk, paper, ledger, engine. Floor 2, no I/O."""
