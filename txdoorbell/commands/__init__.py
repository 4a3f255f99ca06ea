"""The commands of ``txdoorbell``, and what they have in common."""
