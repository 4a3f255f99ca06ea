"""A message store, one aggregated stream of it, and one subscription."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from depeche_db import MessageHandlerRegister, MessageStore
from depeche_db.tools import PydanticMessageSerializer
from pydantic import BaseModel, Field
from sqlalchemy import create_engine


class OrderPlaced(BaseModel):
    """A message."""

    number: int
    id: UUID = Field(default_factory=uuid4)
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))

    def get_message_id(self):
        """Tell it from all others."""
        return self.id

    def get_message_time(self):
        """Say when it was sent."""
        return self.at


class OnePartition:
    """All messages in one row."""

    def get_partition(self, message):
        """Say in which row."""
        return 0


handlers = MessageHandlerRegister()


@handlers.register
def ship(order: OrderPlaced):
    print("shipped order", order.number)


store = MessageStore(
    name="shop",
    engine=create_engine("postgresql+psycopg2:///postgres"),
    serializer=PydanticMessageSerializer(OrderPlaced),
)
stream = store.aggregated_stream(
    name="orders", partitioner=OnePartition(), stream_wildcards=["order-%"]
)
subscription = stream.subscription(name="shipping", handlers=handlers)
