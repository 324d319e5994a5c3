"""The tables of Evergrant: what we were told, what we hold, and what we did about it."""

from models.application import Application
from models.auth_session import AuthSession, AuthSessionStatus
from models.campaign import Campaign, CampaignItem, CampaignStatus
from models.claims import Claimable, Outcome
from models.event import Event
from models.grant import Grant
from models.transition import Transition

__all__ = [
    "Application",
    "AuthSession",
    "AuthSessionStatus",
    "Campaign",
    "CampaignItem",
    "CampaignStatus",
    "Claimable",
    "Event",
    "Grant",
    "Outcome",
    "Transition",
]
