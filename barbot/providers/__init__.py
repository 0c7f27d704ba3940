"""One package a venue: each translates its wire protocol into market events. Floor 3."""
