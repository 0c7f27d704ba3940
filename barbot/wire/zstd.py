"""zstd as the standard library has it since Python 3.14, from its backport before that. Floor 2.

The backport is 2 MB installed and has the same names, the `zstandard` package 24 MB: a fifth of the whole.
"""

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import CompressionParameter, ZstdError, ZstdFile, compress, decompress, zstd_version_info
else:
    from backports.zstd import CompressionParameter, ZstdError, ZstdFile, compress, decompress, zstd_version_info

__all__ = ["CompressionParameter", "ZstdError", "ZstdFile", "compress", "decompress", "zstd_version_info"]
