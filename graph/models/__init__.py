"""Models: the catalogue says what there is, the store keeps it, `locate` finds it, `ensure` brings what is missing."""

from graph.models.progress import Bars, PullProgress
from graph.models.store import ensure, locate

__all__ = ["Bars", "PullProgress", "ensure", "locate"]
