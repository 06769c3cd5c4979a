"""Every `action` that a line of our log may have, and every field beside it. Both are closed.

A line tells of one of these, with ids and numbers: never a person's name, an e-mail address or a
secret. `tests/observability/test_logs.py` reads every log call there is against these lists.
"""

from collections.abc import Mapping
from typing import Final

ACTIONS: Final[Mapping[str, str]] = {
    "attempt_failed": "An attempt, a look-up or a question ended in a bug of ours.",
    "call_failed": "An HTTP call failed in a way that nobody had thought of; it counts as broken.",
    "command_failed": "A command could not be carried out, because of a bug of ours.",
    "commit_not_settled": "Kafka's commit took too long when partitions were given away.",
    "console_act_failed": "What somebody did in the console failed, because of a bug of ours.",
    "console_count_failed": "The console's counting failed, because of a bug of ours.",
    "console_failed": "A page of the console failed, because of a bug of ours.",
    "console_ledger_away": "The console cannot read the ledger; it tries on.",
    "console_people_refused": "The console's file of people was wrong; nobody of it may act.",
    "crashed": "The process, or a thread of it, ends with an error that nobody caught.",
    "flow_failed": "A connector's flow ended in a bug; the delivery has a verdict all the same.",
    "ingest_ends": "Ingest ends, and the worker with it, so that it is started again.",
    "ingest_failed": "Records could not be written to the ledger; nothing of them is acked.",
    "ingest_not_started": "Faust did not start.",
    "ingest_not_stopped": "Faust did not stop cleanly.",
    "integrations_differ": "Another worker has a newer integrations file than this one.",
    "integrations_read": "The integrations file was read again.",
    "integrations_refused": "The integrations file was wrong and changed nothing.",
    "lag_failed": "The console could not ask Kafka how far behind the group is.",
    "lanes_not_settled": "Calls were still in flight when lanes were given away.",
    "lanes_taken": "Lanes were taken over with writes that are in doubt; they are looked up.",
    "ledger_operation_failed": "An operation of the ledger ended in a bug; its item alone failed.",
    "ledger_restored": "The ledger is behind Kafka's commits: it is read again from its offset.",
    "ledger_unreadable": "The ledger cannot be read; it is tried on.",
    "ledger_unwritable": "The ledger cannot be written; it is tried on.",
    "log": "A line that is not ours: of Faust, Kafka's client, Python's warnings.",
    "notice": "A notice, whole, where there is no mail server to send it with.",
    "notice_not_sent": "A notice could not be sent; it is tried again.",
    "notice_sent": "A notice was handed to the mail server.",
    "notices_failed": "Telling people failed, because of a bug of ours; deliveries go on.",
    "numbers_not_read": "The numbers of the ledger cannot be read; `/metrics` tells old ones.",
    "orphans_taken_back": "Deliveries whose attempt was lost were taken back.",
    "pages_failed": "The worker's pages ended, because of a bug of ours.",
    "problem": "What `/healthz` finds wrong, when it begins.",
    "problem_over": "What `/healthz` found wrong is so no more.",
    "producer_given_up": "A producer that had failed did not stop in time and was left behind.",
    "pruned": "Rows that nobody needs were deleted from the ledger.",
    "pruning_stopped": "The wall clock has jumped: nothing is deleted until it is right again.",
    "publish_failed": "Outcomes cannot be published; it is tried on, and told once a minute.",
    "retention_alarm": "Deliveries will be open for longer than the topics keep their events.",
    "rewound": "A partition is read from where the ledger says, and not where Kafka says.",
    "seek_put_off": "A partition's position could not be set during a rebalance; its end sets it.",
    "takes_not_settled": "Fetches were still being written when partitions were given away.",
    "watchdog_failed": "The watchdog behind `/healthz` failed, because of a bug of ours.",
    "worker_draining": "The worker was asked to end: nothing more is started.",
    "worker_ended": "The worker has ended.",
    "worker_failed": "The worker ends because of a bug of ours.",
    "worker_start": "What the worker has to say before it starts.",
    "worker_started": "The worker is at work.",
}

FIELDS: Final[Mapping[str, str]] = {
    "code": "The failure that a notice is about.",
    "integration": "The id of the integration.",
    "integrations": "The ids of the integrations that a problem is about.",
    "kind": "The outcome that a notice is about.",
    "oldest_days": "How old the oldest delivery is, in days.",
    "partition": "A partition of a topic.",
    "reason": "Why the worker ends.",
    "states": "How many deliveries in which state.",
    "topic": "A topic, with its prefix.",
    "version": "A version of the set of integrations.",
}
