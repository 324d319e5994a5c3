"""The tables of Evergrant: what we were told, what we hold, and what we did about it."""

from models.api_token import ApiToken
from models.application import Application
from models.auth_session import AuthSession, AuthSessionStatus
from models.campaign import Campaign, CampaignItem, CampaignItemData, CampaignStatus, Way
from models.claims import Claimable, Outcome
from models.connector import KnownConnector
from models.event import Event, EventData
from models.grant import Grant, GrantData
from models.incident import Incident
from models.notice import (
    MOOT,
    PLANNED,
    Delivery,
    DeliveryData,
    Endpoint,
    EndpointData,
    HeldBy,
    Notice,
    NoticeData,
    NoticeKind,
)
from models.reauth_link import ReauthLink
from models.retirement import Retirement, RetirementItem, RetirementStatus
from models.schedule import Schedule
from models.tag import GrantTag
from models.transition import Transition, TransitionData
from models.vault import VaultSecret

__all__ = [
    "MOOT",
    "PLANNED",
    "ApiToken",
    "Application",
    "AuthSession",
    "AuthSessionStatus",
    "Campaign",
    "CampaignItem",
    "CampaignItemData",
    "CampaignStatus",
    "Claimable",
    "Delivery",
    "DeliveryData",
    "Endpoint",
    "EndpointData",
    "Event",
    "EventData",
    "Grant",
    "GrantData",
    "GrantTag",
    "HeldBy",
    "Incident",
    "KnownConnector",
    "Notice",
    "NoticeData",
    "NoticeKind",
    "Outcome",
    "ReauthLink",
    "Retirement",
    "RetirementItem",
    "RetirementStatus",
    "Schedule",
    "Transition",
    "TransitionData",
    "VaultSecret",
    "Way",
]
