"""The insides of the worker of an asynqueue ``TaskQueue``."""
