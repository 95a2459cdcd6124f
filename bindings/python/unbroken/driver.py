"""The driver: feeds a session with what happens and does what it asks for, in the event loop's thread.

Whatever happens is an input; a turn hands all inputs to one step of the session, with a burst of what waits to be sent. A turn runs at once
when bytes come, and at the loop's next round when the application sends, so that what is sent together leaves together. Events and
messages are taken before anything is written: whoever writes first can wait for a server that waits for him.
"""

import asyncio
import time
from collections import deque

from .core import Input, InternalError, LinkHealth, Refusal, RefusalCode, Session, UnbrokenError
from .links import Link

#: Received messages that wait for the application, in bytes; beyond it they wait in the session, then at the server.
ROOM = 256 << 10
#: What a message counts for beside its payload.
PER_MESSAGE = 64
#: Events that wait for the application; the oldest are dropped.
EVENTS = 256
#: What goes into the session in one step, in bytes, but for one message more.
BURST = 1 << 20
CLOSED = Refusal(input=0, code=RefusalCode.CLOSED, text="the session is closed")


def now_us():
    return time.monotonic_ns() // 1000


class Outgoing:
    """A message on its way into the session, and who waits for that."""

    def __init__(self, make, message, done):
        self.input = make(message=message)
        self.reliable = make is Input.SEND
        #: What it counts for, as the session does.
        self.cost = len(message) + PER_MESSAGE
        self.done = done
        self.settled = False


class Driver:
    def __init__(self, address, config, networks, connect_timeout):
        self.address, self.networks, self.connect_timeout = address, networks, connect_timeout
        self.session = Session(config, now_us())
        self.loop = asyncio.get_running_loop()
        self.links = {}
        self.inputs = []
        #: Sends that the session has not taken: in order, none overtakes.
        self.outgoing = deque()
        self.messages = deque()
        self.used = 0
        self.more = False
        self.blocked = False
        self.events = deque(maxlen=EVENTS)
        #: What carries the session.
        self.health = LinkHealth.IDLE()
        #: The event that ended it, or the error of the library.
        self.closed = None
        self.broken = None
        #: The application let go of it.
        self.gone = False
        #: Set whenever there may be news for somebody who waits.
        self.news = asyncio.Event()
        self.timer = None
        self.soon = None
        self.turning = False
        self.happened()

    # ---- what happens ----

    def happened(self, *inputs):
        """Takes inputs and lets the session act on them now."""
        self.inputs.extend(inputs)
        # What is written may block its link at once, and say so from within the turn that writes it: that is for the next turn.
        if self.turning or self.over() and not self.more:
            return
        self.turns(until_all_is_written=False)

    def turns(self, until_all_is_written):
        """Turns until nothing has happened meanwhile.

        A session that has more to write than it gives in one asks for another: that is for the timer, so that the sockets have their say in between.
        """
        self.turning = True
        try:
            while True:
                again = self.turn()
                if not (self.inputs or again and until_all_is_written) or self.over():
                    break
        finally:
            self.turning = False

    def wanted(self, outgoing):
        """Takes a message to send at the loop's next round."""
        if self.over():
            outgoing.done.set_result(CLOSED)
            return
        self.outgoing.append(outgoing)
        self.at_next_round()

    def at_next_round(self):
        if self.soon is None and not self.over():
            self.soon = self.loop.call_soon(self.next_round)

    def next_round(self):
        self.soon = None
        self.happened()

    def take_message(self):
        """The next message, or None."""
        if not self.messages and self.more:
            # What had arrived before the end is still in the session.
            self.happened()
        if not self.messages:
            return None
        message = self.messages.popleft()
        self.used -= len(message.payload) + PER_MESSAGE
        if self.more and self.used < ROOM // 2:
            self.at_next_round()
        return message

    def over(self):
        return self.gone or self.closed is not None or self.broken is not None

    # ---- one step ----

    def turn(self):
        """One step of the session; says whether it asks for another at once."""
        inputs, self.inputs = self.inputs, []
        sends = self.next_sends()
        first = len(inputs)
        inputs.extend(outgoing.input for outgoing in sends)
        now = now_us()
        try:
            step = self.session.step(inputs, max(0, ROOM - self.used), now)
        except (UnbrokenError, InternalError) as error:
            self.fail(error)
            return False
        self.messages.extend(step.messages)
        self.used += sum(len(message.payload) + PER_MESSAGE for message in step.messages)
        self.more = step.more_messages
        self.health = step.health
        self.settle(sends, {refusal.input - first: refusal for refusal in step.refusals})
        for event in step.events:
            self.tell(event)
        for output in step.outputs:
            self.carry_out(output)
        if self.over():
            self.shut()
        else:
            self.arm(step.deadline_us)
        if step.messages or step.events:
            self.news.set()
        return not self.over() and step.deadline_us is not None and step.deadline_us <= now

    def settle(self, sends, refusals):
        """Tells those who sent what became of it. What was refused for want of room waits."""
        for index, outgoing in enumerate(sends):
            refusal = refusals.get(index)
            if refusal is not None and refusal.code == RefusalCode.WOULD_BLOCK:
                self.blocked = True
                continue
            outgoing.settled = True
            if not outgoing.done.done():
                outgoing.done.set_result(refusal)
        if sends:
            self.outgoing = deque(outgoing for outgoing in self.outgoing if not outgoing.settled)
        if any(map(self.may_leave, self.outgoing)):
            self.at_next_round()

    def may_leave(self, outgoing):
        return not (self.blocked and outgoing.reliable)

    def next_sends(self):
        """What the session is asked to take now, in order; no more than it may have room for: what it refuses was handed over in vain."""
        sends, size = [], 0
        for outgoing in filter(self.may_leave, self.outgoing):
            if size >= BURST:
                break
            sends.append(outgoing)
            size += outgoing.cost
        return sends

    def tell(self, event):
        self.events.append(event)
        if event.is_WRITABLE():
            self.blocked = False
            self.at_next_round()
        elif event.is_CLOSED():
            self.closed = event

    def carry_out(self, output):
        if output.is_SEND():
            if link := self.links.get(output.link):
                link.write(output.bytes)
        elif output.is_OPEN_LINK():
            link = self.links[output.link] = Link(output.link, self.reported)
            link.dial(output.advised or self.address, self.networks.get(output.network), self.connect_timeout)
        elif link := self.links.pop(output.link, None):
            link.close()

    def reported(self, report):
        if report.is_LINK_DOWN():
            self.links.pop(report.link, None)
        self.happened(report)

    def arm(self, deadline_us):
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if deadline_us is not None:
            wait = max(0, deadline_us - now_us()) / 1e6
            self.timer = self.loop.call_later(wait, self.happened)

    # ---- the end ----

    def fail(self, error):
        self.broken = error
        self.more = False
        self.shut()

    def abandon(self):
        """Ends it without waiting: says goodbye if a link is up, and leaves nothing behind."""
        if not self.over():
            self.inputs.append(Input.DISCONNECT(code=0))
            # The goodbye is behind all that was sent before.
            if not self.turning:
                self.turns(until_all_is_written=True)
        self.gone = True
        self.more = False
        self.shut()

    def shut(self):
        for timer in (self.timer, self.soon):
            if timer is not None:
                timer.cancel()
        self.timer = self.soon = None
        self.health = LinkHealth.IDLE()
        for link in self.links.values():
            link.close()
        self.links.clear()
        for outgoing in self.outgoing:
            if not outgoing.done.done():
                outgoing.done.set_result(CLOSED)
        self.outgoing.clear()
        self.news.set()
