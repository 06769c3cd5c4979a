"""Kafka's side of a worker, as its watchdog looks at it."""

from streams.faust_app import IngestApp
from streams.kafka_client import KafkaConnection, wait_for_kafka


class KafkaSide:
    """The consumer of one worker, and whether there are brokers to be consumed from."""

    def __init__(self, app: IngestApp, connection: KafkaConnection) -> None:
        self._app = app
        self._connection = connection

    @property
    def polls(self) -> int | None:
        """How often records were asked for; None while there are none to be asked for."""
        app = self._app
        if not app.assigned_lanes or app.rebalancing or app.should_stop:
            return None
        return app.reader.polls

    async def lag(self) -> dict[tuple[str, int], int]:
        """Records that are not acked yet, by topic and partition. Asks the brokers; may raise."""
        acked = dict(self._app.reader.acked_to) if self._app.assigned_lanes else {}
        if not acked:
            return {}
        ends = await self._app.reader.highwaters(*acked)
        return {
            (tp.topic, tp.partition): max(0, ends.get(tp, offset) - offset)
            for tp, offset in acked.items()
        }

    async def answers(self) -> bool:
        """Whether a broker answers, asked beside the consumer, which may be what hangs."""
        return await wait_for_kafka(self._connection, 0) is None
