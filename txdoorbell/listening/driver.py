"""
The PostgreSQL driver, or one line that says how to get it.

The driver is optional when txdoorbell is imported and needed when it connects, so its absence is an
error of its own.
"""

__all__ = ["DriverMissing"]


class DriverMissing(ImportError):
    """txpostgres or psycopg2 can't be imported; the text, one line, says what to install."""

    @classmethod
    def because(cls, error: ImportError) -> "DriverMissing":
        """Return the error for a failed import: of the driver, or of what the driver needs."""
        missing = error.name or "psycopg2"
        cause = " ".join(str(error).split())
        return cls(
            f"no PostgreSQL driver ({cause}): pip install 'txdoorbell[binary]' for wheels, or "
            "'txdoorbell[source]' to build psycopg2 on this system's libpq",
            name=missing,
        )
