"""The tests of txdoorbell. Run them from the checkout by ``python -m twisted.trial tests``."""
