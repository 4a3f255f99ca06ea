"""What a process needs to run a doorbell: its start, its supervisor, its end."""
