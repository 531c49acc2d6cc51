"""What may go wrong before there is a worker that could say it."""


class StartError(Exception):
    """Says what went wrong with which thing, and what to do about it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class EnvironmentBroken(StartError):
    """The environment is there, and what it should hold does not import."""
