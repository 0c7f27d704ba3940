"""Bars and ticks from files, as market events. Floor 3."""
