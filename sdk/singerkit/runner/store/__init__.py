"""Where states, leases and runs are kept: SQLite, PostgreSQL, object stores, behind one contract."""
