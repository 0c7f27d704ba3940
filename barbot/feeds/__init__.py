"""Bars, trades and quotes from files: columns become time-ordered market events. Floor 3.

`feed.open_columns` is the way in. A file is opened (`csvfile`, `parquet`), its columns are recognised
(`spelling`), tied to the instruments a strategy wants (`bind`), read in chunks (`cells`, `times`), made into
events (`columns`) and merged by time (`merge`).
"""
