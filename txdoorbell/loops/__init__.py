"""The insides of a loop: what is due, what is called, what is waited for."""
