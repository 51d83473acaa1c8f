"""A broadcast whose gateway is killed (kill -9) at a point of progress, and the client's retry."""

import threading

from .waiting import wait_for


def broadcast_with_crash(gateway, redis, sink, submit, recipients, point):
    """Kills `gateway` when the sink has `point` copies, starts it again, and submits until 250. `submit()` is one attempt
    and returns its reply, or None when the connection broke. Returns {recipient: copies} and how many connections were
    open to the sink at the kill."""
    sink.clear()
    replies = []
    first = threading.Thread(target=lambda: replies.append(submit()))
    first.start()
    sink.wait(lambda s: len(s.messages) >= point or replies, 60, f"{point} copies")
    with sink.changed:
        sink.most_open = sink.open
    gateway.kill()
    open_connections = sink.most_open  # more may have been opened until it died
    first.join()
    gateway.start()
    # The dead process' lock of the message would expire two minutes after it (docs/architecture.md).
    for key in redis.call("KEYS", "kage:k:*"):
        redis.call("DEL", key)

    def delivered():
        reply = submit()
        return reply is not None and reply.code == 250
    wait_for(delivered, 60, "delivery after the crash")
    counts = dict.fromkeys(recipients, 0)
    with sink.changed:
        for envelope in sink.messages:
            for recipient in envelope.recipients:
                counts[recipient] = counts.get(recipient, 0) + 1
    return counts, open_connections
