"""The ledger: events, which are only appended, the files that they name, and archives and backups of both."""
