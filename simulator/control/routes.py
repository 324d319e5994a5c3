"""The paths of the control."""

from simulator.api import oauth
from simulator.asked import Handler
from simulator.control import events, limits, world

CONTROL: list[tuple[str, str, Handler]] = [
    ("POST", "/_sim/reset", world.reset),
    ("POST", "/_sim/clock", world.forward),
    ("POST", "/_sim/seed", world.seed),
    ("POST", "/_sim/consent", world.consent),
    ("POST", "/_sim/consent/{id}", oauth.consent),
    ("POST", "/_sim/callback-uris", world.callback_uris),
    ("POST", "/_sim/credentials/{id}/break", world.break_credential),
    ("POST", "/_sim/credentials/{id}/repair", world.repair_credential),
    ("POST", "/_sim/faults", world.add_fault),
    ("GET", "/_sim/faults", world.list_faults),
    ("DELETE", "/_sim/faults", world.delete_faults),
    ("GET", "/_sim/limits", limits.show_limits),
    ("POST", "/_sim/limits", limits.set_limits),
    ("GET", "/_sim/calls", world.list_calls),
    ("DELETE", "/_sim/calls", world.delete_calls),
    ("GET", "/_sim/grants/{id}", events.show_grant),
    ("POST", "/_sim/grants/{id}/mail", events.mail),
    ("POST", "/_sim/grants/{id}/expire", events.expire),
    ("POST", "/_sim/grants/{id}/block", events.block),
    ("POST", "/_sim/events", events.tell),
    ("GET", "/_sim/deliveries", events.list_deliveries),
    ("POST", "/_sim/deliveries/{id}/release", events.release),
    ("POST", "/_sim/delivery", events.set_delivery),
    ("POST", "/_sim/webhooks", events.add_webhook),
]
