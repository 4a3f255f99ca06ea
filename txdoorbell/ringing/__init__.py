"""The insides of a doorbell: who hears what, and what happens while nobody rings."""
