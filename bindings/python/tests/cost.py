"""Measures what a call into the library costs, in CPU time: `tests/bindings/cost`."""

import time

from server import PIN
from unbroken.core import ClientConfig, Input, Session

session = Session(ClientConfig(pins=[PIN]), 0)
# For a link that nobody knows: the bytes go in, and nothing is done with them.
received = Input.RECEIVED(link=99, bytes=bytes(200))
calls = {
    "stats": session.stats,
    "step, nothing in": lambda: session.step([], 0, 1),
    "step, 200 bytes in": lambda: session.step([received], 0, 1),
    "step, 16 times 200 bytes in": lambda: session.step([received] * 16, 0, 1),
}
for name, call in calls.items():
    times = []
    for _ in range(5):
        start = time.thread_time()
        for _ in range(5000):
            call()
        times.append((time.thread_time() - start) / 5000 * 1e6)
    print(f"python  {name:28} {sorted(times)[2]:6.2f} us ({min(times):.2f} to {max(times):.2f})")
