"""What runs an author's declarations: specs become plans, plans run. Nothing here knows an author's class."""
