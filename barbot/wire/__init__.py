"""Bytes in, bytes out: the journal now, links to venues next. Floor 2; knows nothing of core."""
