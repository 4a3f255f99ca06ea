"""The insides of the listener: one session after the other, each of them watched."""
