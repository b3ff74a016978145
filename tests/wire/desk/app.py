"""The app."""

from desk.contract import Desk
from enfilade.app import App

app = App("desk", services=[Desk])
