"""Names that connectors know from elsewhere, and what became of them."""
