"""The insides of the second bell: the write-ahead log, read by logical decoding."""
