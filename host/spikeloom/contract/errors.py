"""The errors that a user of Spikeloom can meet; each says what was wrong, where, and what to do."""


class SpikeloomError(Exception):
    """Base class of every error that Spikeloom raises on purpose."""


class ConfigError(SpikeloomError, ValueError):
    """A parameter from which nothing can be built."""


class NetworkError(SpikeloomError, ValueError):
    """A network that cannot be imported, quantised or run as it stands."""


class FitError(SpikeloomError, ValueError):
    """A network that does not fit the array: names the resource, the excess and the parameter to change.

    ``parameter`` and ``needed``: which parameter of the array or its cores to raise, and to what, where it is one.
    """

    def __init__(self, message: str, parameter: str = "", needed: int = 0):
        super().__init__(message)
        self.parameter, self.needed = parameter, needed


class SampleError(SpikeloomError, ValueError):
    """Input samples of a wrong shape, type or range."""


class ImageError(SpikeloomError, ValueError):
    """An image file that is damaged, of another version, or made for another configuration."""


class LinkError(SpikeloomError, ConnectionError):
    """The board does not answer, or answers something that is no part of the protocol."""


class BoardError(SpikeloomError, RuntimeError):
    """The board reported an error; it stays usable."""


class BusyError(SpikeloomError, RuntimeError):
    """A command for a board that is still running another one."""


def check_range(where: str, name: str, value: int, low: int, high: int) -> None:
    """Raise :class:`ConfigError` unless ``low <= value <= high``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{where}: {name} must be an integer, not {value!r}")
    if not low <= value <= high:
        raise ConfigError(f"{where}: {name} must be {low} to {high}, not {value}")
