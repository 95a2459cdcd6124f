using System;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>The session and the endpoint without sockets, over the library's network in memory.</summary>
    [TestFixture]
    public class SessionTests
    {
        private UnbrokenSession session;
        private UnbrokenEndpoint endpoint;
        private UnbrokenLoopback network;
        private ulong now;

        [SetUp]
        public void Join()
        {
            now = 1000000;
            ServerSettings settings = Ends.Server();
            settings.AuthoriseAll = true;
            endpoint = new UnbrokenEndpoint(settings, now);
            session = new UnbrokenSession(Ends.Client(), now);
            network = new UnbrokenLoopback(session, endpoint);
        }

        [TearDown]
        public void Part()
        {
            network.Dispose();
            session.Dispose();
            endpoint.Dispose();
        }

        private void Run(int milliseconds)
        {
            for (int i = 0; i < milliseconds; i++, now += 1000)
            {
                network.Step(now);
            }
        }

        [Test]
        public void What_carries_a_session_is_told()
        {
            Assert.AreEqual(LinkCondition.Idle, session.LinkHealth.Condition);
            Run(100);
            Assert.AreEqual(LinkCondition.Sound, session.LinkHealth.Condition);
            Assert.IsNull(session.LinkHealth.Network);
            session.HandleNetwork(NetworkEvent.Available, 7, now);
            Run(100);
            Assert.AreEqual(LinkCondition.Sound, session.LinkHealth.Condition);
            Assert.AreEqual(7, session.LinkHealth.Network);
            network.Refuse(true);
            Assert.IsTrue(network.Cut(now));
            Assert.AreEqual(LinkCondition.Lost, session.LinkHealth.Condition);
            Assert.IsNull(session.LinkHealth.Network);
            session.HandleNetwork(NetworkEvent.Suspend, 0, now);
            Assert.AreEqual(LinkCondition.Idle, session.LinkHealth.Condition);
        }

        [Test]
        public void A_message_survives_a_cut()
        {
            Run(100);
            Assert.AreEqual(SessionState.Established, session.State);
            SessionId id = session.Id.Value;
            Assert.IsTrue(network.Cut(now));
            Assert.AreEqual(Status.Ok, session.TrySend(Ends.Bytes("still here")));
            Run(1000);
            ReadOnlySpan<byte> message;
            long number;
            Assert.IsTrue(endpoint.TryReceive(id, out message, out number));
            Assert.IsTrue(message.SequenceEqual(Ends.Bytes("still here")));
            Assert.AreEqual(0, number);
            Assert.IsFalse(endpoint.TryReceive(id, out message, out number));
            Assert.AreEqual(1, session.Stats.Handovers);
        }

        [Test]
        public void Events_tell_the_story_in_order()
        {
            Run(100);
            network.Cut(now);
            Run(1000);
            session.Disconnect(5);
            Run(100);
            var kinds = new System.Collections.Generic.List<EventKind>();
            SessionEvent happened;
            while (session.PollEvent(out happened))
            {
                if (happened.Kind != EventKind.State)
                {
                    kinds.Add(happened.Kind);
                }
                if (happened.Kind == EventKind.Established)
                {
                    Assert.AreEqual(session.Id.Value, happened.Session);
                }
                if (happened.Kind == EventKind.HandoverBegin)
                {
                    Assert.AreEqual(HandoverCause.LinkLost, happened.Cause);
                }
                if (happened.Kind == EventKind.Closed)
                {
                    Assert.AreEqual(CloseReason.Local, happened.Reason);
                    Assert.AreEqual(5, happened.Code);
                }
            }
            Assert.AreEqual(
                new[] { EventKind.Established, EventKind.HandoverBegin, EventKind.HandoverEnd, EventKind.Closed }, kinds.ToArray());
            Assert.AreEqual(Status.ErrClosed, session.TrySend(new byte[1]));
        }

        [Test]
        public void Bad_settings_are_refused_by_name()
        {
            ClientSettings settings = Ends.Client();
            Limits limits = Limits.Default;
            limits.Message = 1;
            settings.Limits = limits;
            var refused = Assert.Throws<UnbrokenException>(() => new UnbrokenSession(settings, now));
            Assert.AreEqual(Status.ErrConfig, refused.Status);
            StringAssert.Contains("message", refused.Message);
            Assert.Throws<ArgumentException>(() => new UnbrokenSession(new ClientSettings(new byte[31]), now));
            Assert.Throws<ArgumentException>(() => new UnbrokenEndpoint(new ServerSettings(new byte[32], null), now));
        }

        [Test]
        public void Settings_that_do_not_begin_with_the_defaults_are_refused_and_told_what_to_do()
        {
            ClientSettings client = Ends.Client();
            client.Limits = new Limits { Message = 4096 };
            RefusesWithout("Limits.Default", () => new UnbrokenSession(client, now));
            client = Ends.Client();
            client.Timing = new Timing { DeadAfterMs = 5000 };
            RefusesWithout("Timing.Default", () => new UnbrokenSession(client, now));
            client = Ends.Client();
            client.Backoff = new Backoff { BaseMs = 100 };
            RefusesWithout("Backoff.Default", () => new UnbrokenSession(client, now));
            ServerSettings server = Ends.Server();
            server.Limits = new Limits { DetachedMs = 300000 };
            RefusesWithout("Limits.Default", () => new UnbrokenEndpoint(server, now));
            server = Ends.Server();
            server.Timing = new Timing { DeadAfterMs = 5000 };
            RefusesWithout("Timing.Default", () => new UnbrokenEndpoint(server, now));
        }

        private static void RefusesWithout(string beginning, TestDelegate making)
        {
            var refused = Assert.Throws<UnbrokenException>(making);
            Assert.AreEqual(Status.ErrConfig, refused.Status);
            StringAssert.Contains(beginning, refused.Message);
        }

        [Test]
        public void Limits_are_obeyed()
        {
            Run(100);
            Assert.AreEqual(Status.ErrTooLarge, session.TrySend(new byte[(1 << 20) + 1]));
            Assert.AreEqual(Status.Ok, session.TrySend(new byte[1 << 20]));
            Assert.AreEqual(Status.ErrWouldBlock, session.TrySend(new byte[1]));
            Assert.AreEqual(Status.Ok, session.TrySendUnreliable(new byte[100]));
            Assert.AreEqual(Status.ErrTooLarge, session.TrySendUnreliable(new byte[16321]));
        }

        [Test]
        public void An_empty_message_is_a_message()
        {
            Run(100);
            Assert.AreEqual(Status.Ok, session.TrySend(default(ReadOnlySpan<byte>)));
            Run(100);
            ReadOnlySpan<byte> message;
            long number;
            Assert.IsTrue(endpoint.TryReceive(session.Id.Value, out message, out number));
            Assert.AreEqual(0, message.Length);
        }

        [Test]
        public void A_disposed_object_says_so()
        {
            session.Dispose();
            session.Dispose();
            Assert.Throws<ObjectDisposedException>(() => session.PollTimeout());
        }

        [Test]
        public void An_id_is_what_it_looks_like()
        {
            Run(100);
            SessionId id = session.Id.Value;
            Assert.AreEqual(32, id.ToString().Length);
            Assert.AreNotEqual(default(SessionId), id);
            Assert.AreEqual(id, session.Id.Value);
            Assert.AreEqual(id.GetHashCode(), session.Id.Value.GetHashCode());
            Assert.AreEqual(SessionState.Closed, endpoint.StateOf(default(SessionId)));
        }
    }
}
