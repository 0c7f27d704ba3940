"""What barbot exists for: bars, history, indicators, strategy, risk, paper venue, ledger, engine. Floor 2, no I/O, no clock."""
