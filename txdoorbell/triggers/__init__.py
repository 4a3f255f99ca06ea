"""The senders' side in the database: SQL that rings, and SQL that is looked at."""
