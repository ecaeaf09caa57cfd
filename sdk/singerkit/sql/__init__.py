"""SQL: tables made, adapted, filled and read, whatever the database."""
