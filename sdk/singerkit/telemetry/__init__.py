"""What a run says of itself: the log, kept free of secrets, and the metrics in it."""
