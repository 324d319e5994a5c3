"""Rows as data: what was set is known, and the classes of the ORM keep their own ways."""

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import inspect

from models import CampaignItem, CampaignItemData, Event, Grant, GrantData
from models.row import table_of

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def an_item() -> dict[str, object]:
    return CampaignItemData(campaign_id=uuid4(), due_at=NOON).columns()


def test_a_row_that_was_read_is_unchanged_until_something_is_set() -> None:
    item = CampaignItemData.read(an_item())
    assert item.model_fields_set == set()
    item.reason, item.attempts = "its campaign waits", 2
    assert item.model_fields_set == {"reason", "attempts"}
    assert (item.columns()["reason"], item.columns()["attempts"]) == ("its campaign waits", 2)


def test_what_is_read_has_a_value_for_each_column_and_keeps_none_of_the_mapping() -> None:
    values = an_item()
    item = CampaignItemData.read(values)
    assert item.columns().keys() == {column.name for column in table_of(CampaignItemData).c}
    item.line = 7
    assert values["line"] is None


def test_data_knows_the_class_that_the_orm_maps_and_such_a_class_is_its_own() -> None:
    assert CampaignItemData.mapped() is CampaignItem
    assert GrantData.mapped() is Grant
    assert Event.mapped() is Event


def test_a_row_object_of_the_orm_is_still_told_of_what_is_set() -> None:
    item = CampaignItem(campaign_id=uuid4(), due_at=NOON)
    item.cause = "invalid_grant"
    assert inspect(item).attrs.cause.history.added == ["invalid_grant"]
