"""The insides of a fleet: who holds which loop, and when the others try to."""
