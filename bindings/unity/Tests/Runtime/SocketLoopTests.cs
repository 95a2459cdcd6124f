using System;
using System.Collections.Generic;
using System.Net.Sockets;
using NUnit.Framework;
using Unbroken.Net;

namespace Unbroken.Tests
{
    /// <summary>Who waits for whom in the loop that runs the sockets, shown with an end that does as it is told.</summary>
    [TestFixture]
    public class SocketLoopTests
    {
        private static SocketLoop Begun(SocketLoop loop)
        {
            loop.Start();
            return loop;
        }

        private static T Under<T>(SocketLoop loop, Func<T> look)
        {
            lock (loop.Gate)
            {
                return look();
            }
        }

        [Test]
        public void A_peer_that_does_not_read_delays_nobody()
        {
            var end = new FakeEnd();
            bool fill = false, word = false;
            end.Next = () =>
            {
                if (fill && !end.Blocked.Contains(1))
                {
                    return new KeyValuePair<ulong, int>(1, 32 << 10);
                }
                bool say = word;
                word = false;
                return say ? new KeyValuePair<ulong, int>(2, 1) : (KeyValuePair<ulong, int>?)null;
            };
            // Ten minutes: whoever waits for the blocked socket waits for longer than this test.
            using (SocketLoop loop = Begun(new SocketLoop(end, null, null, 600000)))
            using (Socket deaf = FakeEnd.Connect(loop, 1), attentive = FakeEnd.Connect(loop, 2))
            {
                Action<Action> use = act =>
                {
                    lock (loop.Gate)
                    {
                        act();
                        loop.Changed();
                    }
                };
                Assert.IsTrue(Ends.Until(() => Under(loop, () => end.Up.Count == 2), 10));
                use(() => fill = true);
                Assert.IsTrue(Ends.Until(() => Under(loop, () => end.Blocked.Contains(1)), 10));
                attentive.ReceiveTimeout = 10000;
                for (int i = 0; i < 3; i++)
                {
                    use(() => word = true);
                    Assert.AreEqual(1, attentive.Receive(new byte[1]));
                }
                Assert.IsTrue(Under(loop, () => end.Blocked.Contains(1)));
            }
        }

        [Test]
        public void A_blocked_socket_is_tried_again_when_something_comes_from_there()
        {
            var end = new FakeEnd();
            bool fill = false;
            end.Next = () => fill && !end.Blocked.Contains(1) ? new KeyValuePair<ulong, int>(1, 32 << 10) : (KeyValuePair<ulong, int>?)null;
            using (SocketLoop loop = Begun(new SocketLoop(end, null, null, 600000)))
            using (Socket other = FakeEnd.Connect(loop, 1))
            {
                lock (loop.Gate)
                {
                    fill = true;
                    loop.Changed();
                }
                Assert.IsTrue(Ends.Until(() => Under(loop, () => end.Blocked.Contains(1)), 10));
                lock (loop.Gate) { fill = false; }
                var buffer = new byte[1 << 20];
                other.ReceiveTimeout = 10000;
                Assert.IsTrue(Ends.Until(
                    () => Under(loop, () => end.Blocked.Count == 0), 10,
                    () =>
                    {
                        while (other.Available > 0)
                        {
                            other.Receive(buffer);
                        }
                        other.Send(new byte[1]);
                    }));
            }
        }

        [Test]
        public void Events_and_timers_do_not_wait_for_the_end_of_the_outputs()
        {
            var end = new FakeEnd();
            bool busy = true;
            // There is always one more, as with many peers who talk all the time.
            end.Next = () => busy && end.Up.Count > 0 ? new KeyValuePair<ulong, int>(1, 0) : (KeyValuePair<ulong, int>?)null;
            using (SocketLoop loop = Begun(new SocketLoop(end, null)))
            using (FakeEnd.Connect(loop, 1))
            {
                Assert.IsTrue(Ends.Until(() => Under(loop, () => end.Up.Count > 0), 10));
                int before = Under(loop, () => end.Timeouts);
                lock (loop.Gate)
                {
                    end.Events.Enqueue(FakeEnd.Event(EventKind.Draining));
                    loop.Changed();
                }
                SessionEvent happened = default(SessionEvent);
                bool told = Ends.Until(() => loop.NextEvent(out happened), 10);
                bool timed = Ends.Until(() => Under(loop, () => end.Timeouts > before + 1), 10);
                lock (loop.Gate) { busy = false; }
                Assert.IsTrue(told && timed);
                Assert.AreEqual(EventKind.Draining, happened.Kind);
            }
        }

        [Test]
        public void An_end_that_always_has_more_to_say_can_be_disposed()
        {
            var end = new FakeEnd();
            end.Next = () => end.Up.Count > 0 ? new KeyValuePair<ulong, int>(1, 0) : (KeyValuePair<ulong, int>?)null;
            SocketLoop loop = Begun(new SocketLoop(end, null));
            using (FakeEnd.Connect(loop, 1))
            {
                Assert.IsTrue(Ends.Until(() => Under(loop, () => end.Up.Count > 0), 10));
                loop.Dispose();
                Assert.IsTrue(Ends.Until(() => !loop.Driving, 10));
            }
        }

        [Test]
        public void However_much_waits_a_handover_is_told_as_a_whole_or_not_at_all()
        {
            var end = new FakeEnd();
            for (int i = 0; i < 1023; i++)
            {
                end.Events.Enqueue(FakeEnd.Event(EventKind.State));
            }
            end.Events.Enqueue(FakeEnd.Event(EventKind.HandoverBegin, 1));
            end.Events.Enqueue(FakeEnd.Event(EventKind.HandoverBegin, 2));
            end.Events.Enqueue(FakeEnd.Event(EventKind.HandoverEnd, 1));
            end.Events.Enqueue(FakeEnd.Event(EventKind.HandoverEnd, 2));
            end.Events.Enqueue(FakeEnd.Event(EventKind.Closed, 2));
            var told = new List<string>();
            using (SocketLoop loop = Begun(new SocketLoop(end, null)))
            {
                SessionEvent happened;
                while (loop.NextEvent(out happened))
                {
                    if (happened.Kind != EventKind.State)
                    {
                        told.Add(happened.Kind + " " + happened.Session.ToString().Substring(0, 2));
                    }
                }
            }
            Assert.That(told, Is.EqualTo(new[] { "HandoverBegin 01", "HandoverEnd 01", "Closed 02" }));
        }

        [Test]
        public void A_dial_that_throws_is_a_failed_dial()
        {
            foreach (Exception thrown in new Exception[]
            {
                new SocketException((int)SocketError.HostNotFound), new ArgumentOutOfRangeException("host"), new InvalidOperationException(),
            })
            {
                Exception one = thrown;
                var end = new FakeEnd();
                int dialled = 0;
                using (SocketLoop loop = Begun(new SocketLoop(end, (link, address, network) =>
                {
                    dialled++;
                    throw one;
                })))
                {
                    lock (loop.Gate)
                    {
                        end.Open.Enqueue(7);
                        loop.Changed();
                    }
                    Assert.IsTrue(Ends.Until(() => Under(loop, () => end.Down.Contains(7)), 10), one.GetType().Name);
                    Assert.AreEqual(1, dialled);
                    loop.ThrowFailure();
                }
            }
        }
    }
}
