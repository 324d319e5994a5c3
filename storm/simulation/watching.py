"""What must hold at each moment, watched by the database itself and read after each step."""

WORK = ("event", "notice", "delivery", "campaign_item")
BROKEN = "simulation_broken"
_SETTLED_TWICE = """
CREATE TRIGGER simulation_{table} AFTER UPDATE ON {table}
WHEN OLD.settled_at IS NOT NULL AND (NEW.settled_at IS NOT NULL OR '{table}' != 'campaign_item')
  AND (NEW.settled_at IS NOT OLD.settled_at OR NEW.outcome IS NOT OLD.outcome)
BEGIN
  INSERT INTO {broken} VALUES ('a row of {table} that was settled was settled again: ' || NEW.id || ', '
    || OLD.outcome || ' is ' || coalesce(NEW.outcome, 'open'));
END
"""
TRIGGERS = (
    f"CREATE TABLE {BROKEN} (what TEXT)",
    *(_SETTLED_TWICE.format(table=table, broken=BROKEN) for table in WORK),
)
