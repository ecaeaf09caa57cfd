"""How far a tap has come, and which state a target may release."""
