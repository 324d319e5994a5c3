"""What must hold at each moment, watched by the database itself and read after each step."""

WORK = ("event", "notice", "delivery", "campaign_item")
BROKEN = "simulation_broken"
WHO = "simulation_who"
"""The function of SQL that says which process asks."""

_SETTLED_TWICE = """
CREATE TRIGGER simulation_settled_{table} AFTER UPDATE ON {table}
WHEN OLD.settled_at IS NOT NULL AND (NEW.settled_at IS NOT NULL OR '{table}' != 'campaign_item')
  AND NOT (NEW.settled_at IS NULL AND OLD.outcome = 'set_aside' AND {who}() LIKE 'admin %')
  AND (NEW.settled_at IS NOT OLD.settled_at OR NEW.outcome IS NOT OLD.outcome)
BEGIN
  INSERT INTO {broken} VALUES ('a row of {table} that was settled was settled again: ' || NEW.id || ', '
    || OLD.outcome || ' is ' || coalesce(NEW.outcome, 'open'));
END
"""
_CLAIMED = """
CREATE TRIGGER simulation_claimed_{table} AFTER UPDATE OF claim_token ON {table}
WHEN NEW.claim_token IS NOT NULL AND NEW.claim_token IS NOT OLD.claim_token
BEGIN
  INSERT OR IGNORE INTO simulation_claims VALUES (NEW.claim_token, {who}());
END
"""
_FENCED = """
CREATE TRIGGER simulation_fenced_{table} AFTER UPDATE OF claim_token ON {table}
WHEN NEW.claim_token IS NULL AND OLD.claim_token IS NOT NULL
  AND {who}() IS NOT (SELECT who FROM simulation_claims WHERE token = OLD.claim_token)
BEGIN
  INSERT INTO {broken} VALUES ({who}() || ' has let go of a row of {table} that another one held: ' || NEW.id);
END
"""
_OPENED_AGAIN = """
CREATE TRIGGER simulation_opened_again AFTER UPDATE ON campaign_item
WHEN OLD.settled_at IS NOT NULL AND NEW.settled_at IS NULL
BEGIN
  INSERT INTO simulation_again VALUES (NEW.id);
END
"""
TRIGGERS = (
    f"CREATE TABLE {BROKEN} (what TEXT)",
    "CREATE TABLE simulation_again (item TEXT)",
    _OPENED_AGAIN,
    "CREATE TABLE simulation_claims (token TEXT PRIMARY KEY, who TEXT)",
    *(_SETTLED_TWICE.format(table=table, broken=BROKEN, who=WHO) for table in WORK),
    # Notices are withdrawn, deliveries given up and items ended by others as well; to an event only its holder writes.
    *(trigger.format(table="event", broken=BROKEN, who=WHO) for trigger in (_CLAIMED, _FENCED)),
)
