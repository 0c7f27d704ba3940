"""What a finished run says: statistics and pages. Floor 4."""
