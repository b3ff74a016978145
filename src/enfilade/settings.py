"""A service's own settings, typed."""

from __future__ import annotations

from enfilade.contract.message import Message


class Settings(Message):
    """Base of a service's own settings: typed, with defaults, filled from `[service.<name>]`.

        class PaymentsSettings(Settings):
            retries: int = 2

    A service takes it in its constructor like anything else. A field without a default must be configured.
    """
