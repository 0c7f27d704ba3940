"""Fake venues that speak the real wire protocols, and the markets behind them. Floor 4."""
