using System;
using System.Collections.Generic;
using System.Diagnostics;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>C# at one end, Rust at the other, the fault proxy between them.</summary>
    [TestFixture]
    public class TokioTests
    {
        [TearDown]
        public void Nothing_is_left_alive()
        {
            int left = LiveObjects.Count;
            LiveObjects.DisposeAll();
            Assert.AreEqual(0, left);
        }

        [Test]
        public void Ten_thousand_messages_come_back_through_fifty_cuts()
        {
            const ulong Messages = 10000;
            const int Cuts = 50;
            using (Peer server = Peer.Server("--every 100 --seed 3"))
            using (UnbrokenClient client = server.Connect())
            {
                var message = new byte[512];
                var scratch = new byte[512];
                ulong sent = 0, received = 0, wrong = 0, began = 0, ended = 0;
                SessionEvent? closed = null;
                client.HandoverBegan += happened => began++;
                client.HandoverEnded += happened => ended++;
                client.Closed += happened => closed = happened;
                client.MessageReceived += (bytes, number) =>
                {
                    wrong += number == (long)received && Ends.Is(bytes, received, scratch) ? 0u : 1u;
                    received++;
                };
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 20, client.Pump));
                // Until there were enough of both; twenty messages in a moment, and no more on the way than fit.
                var time = Stopwatch.StartNew();
                while (received < Math.Max(sent, 1) || sent < Messages || server.Tell("cuts") < Cuts)
                {
                    for (int i = 0; i < 20 && sent - received < 200 && (sent < Messages || received + 100 > sent); i++)
                    {
                        if (client.TrySend(new ReadOnlySpan<byte>(message, 0, Ends.Fill(message, sent))) == Status.Ok)
                        {
                            sent++;
                        }
                    }
                    client.Wait(2);
                    client.Pump();
                    Assert.Less(time.Elapsed.TotalSeconds, 120, "received {0} of {1}", received, sent);
                    if (sent >= Messages && server.Tell("cuts") >= Cuts)
                    {
                        Assert.IsTrue(Ends.Until(() => received == sent, 30, client.Pump));
                    }
                }
                Stats stats = client.Stats;
                int cuts = server.Tell("calm");
                Console.WriteLine(
                    "{0} messages both ways in {1:0.0} s, {2} cuts, {3} handovers, {4} messages sent again",
                    received, time.Elapsed.TotalSeconds, cuts, stats.Handovers, stats.ReplayedMessages);
                Assert.AreEqual(0, wrong);
                Assert.AreEqual(sent, received);
                Assert.GreaterOrEqual(received, Messages);
                Assert.GreaterOrEqual(cuts, Cuts);
                Assert.Greater(stats.Handovers, (ulong)Cuts / 3);
                Assert.Greater(stats.ReplayedMessages, 0);
                client.Disconnect(0);
                Assert.IsTrue(Ends.Until(() => closed.HasValue, 20, client.Pump));
                Assert.AreEqual(CloseReason.Local, closed.Value.Reason);
                // One may have been under way when the stats were taken.
                Assert.AreEqual(client.Stats.Handovers, ended);
                Assert.GreaterOrEqual(began, ended);
            }
        }

        [Test]
        public void A_Rust_client_is_served_through_fifty_cuts()
        {
            using (UnbrokenServer server = Ends.Listen())
            {
                // What could not be sent back yet. A peer with such is held, so it is one at most.
                var waiting = new Dictionary<ServerPeer, byte[]>();
                int left = 0;
                server.MessageReceived += (peer, message, number) =>
                {
                    if (peer.TrySend(message) != Status.Ok)
                    {
                        waiting[peer] = message.ToArray();
                        peer.Held = true;
                    }
                };
                server.Writable += peer =>
                {
                    if (waiting.ContainsKey(peer) && peer.TrySend(waiting[peer]) == Status.Ok)
                    {
                        waiting.Remove(peer);
                        peer.Held = false;
                    }
                };
                server.Left += (peer, happened) => left += happened.Reason == CloseReason.Peer ? 1 : 0;
                using (var client = new Peer("client " + server.Address.Port + " --messages 10000 --cuts 50 --every 60"))
                {
                    Assert.IsTrue(Ends.Until(() => client.HasEnded, 120, server.Pump));
                    Console.WriteLine(client.Rest().Trim());
                    Assert.AreEqual(0, client.ExitCode);
                    Assert.IsTrue(Ends.Until(() => left == 1, 10, server.Pump));
                }
                Counters counters = server.Counters;
                Assert.AreEqual(1, counters.SessionsOpened);
                Assert.GreaterOrEqual(counters.ReceivedMessages, 10000);
                Assert.Greater(counters.Resumes, 15);
                Assert.AreEqual(0, counters.ResumesForged);
            }
        }

        [Test]
        public void A_disconnect_is_heard_and_never_followed_by_a_reconnect()
        {
            using (Peer server = Peer.Server(""))
            using (UnbrokenClient client = server.Connect())
            {
                SessionEvent? closed = null;
                client.Closed += happened => closed = happened;
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, client.Pump));
                client.Disconnect(42);
                // One, or two if an answer was late before: more must not come.
                ulong links = client.Stats.Links;
                Assert.IsTrue(Ends.Until(() => closed.HasValue, 10, client.Pump));
                Assert.AreEqual(CloseReason.Local, closed.Value.Reason);
                Assert.AreEqual(42, closed.Value.Code);
                Assert.IsTrue(Ends.Until(() => client.Links == 0, 10, client.Pump));
                Assert.IsFalse(Ends.Until(() => client.Links > 0 || client.Stats.Links > links, 1, client.Pump));
                Assert.AreEqual(Status.ErrClosed, client.TrySend(new byte[1]));
            }
        }

        [Test]
        public void An_expired_session_is_a_failed_handover_that_says_how_far_it_came()
        {
            using (Peer server = Peer.Server("--detached 1000"))
            using (UnbrokenClient client = server.Connect())
            {
                var story = new List<EventKind>();
                SessionEvent? failed = null, closed = null;
                int echoed = 0;
                client.MessageReceived += (message, number) => echoed++;
                client.HandoverFailed += happened =>
                {
                    failed = happened;
                    story.Add(happened.Kind);
                };
                client.Closed += happened =>
                {
                    closed = happened;
                    story.Add(happened.Kind);
                };
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, client.Pump));
                client.Send(Ends.Bytes("arrives"));
                Assert.IsTrue(Ends.Until(() => echoed == 1 && client.Acked == 1, 10, client.Pump));
                server.Tell("refuse on");
                server.Tell("cut");
                Assert.IsTrue(Ends.Until(() => client.State != SessionState.Established, 10, client.Pump));
                client.Send(Ends.Bytes("does not"));
                Assert.IsFalse(Ends.Until(() => failed.HasValue, 2, client.Pump));
                server.Tell("refuse off");
                Assert.IsTrue(Ends.Until(() => closed.HasValue, 20, client.Pump));
                CollectionAssert.AreEqual(new[] { EventKind.HandoverFailed, EventKind.Closed }, story);
                Assert.AreEqual(HandoverFailure.Expired, failed.Value.Failure);
                Assert.AreEqual(1, failed.Value.Acked);
                Assert.AreEqual(CloseReason.Expired, closed.Value.Reason);
            }
        }

        [Test]
        public void A_silent_link_is_left_and_the_session_goes_on()
        {
            using (Peer server = Peer.Server(""))
            using (UnbrokenClient client = server.Connect())
            {
                int echoed = 0;
                client.MessageReceived += (message, number) => echoed++;
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, client.Pump));
                client.Send(new byte[10]);
                Assert.IsTrue(Ends.Until(() => echoed == 1, 10, client.Pump));
                server.Tell("stall on");
                ulong before = client.Stats.Suspicions;
                client.Send(new byte[10]);
                Assert.IsTrue(Ends.Until(() => client.Stats.Suspicions > before, 10, client.Pump));
                Assert.AreEqual(1, echoed);
                server.Tell("stall off");
                Assert.IsTrue(Ends.Until(() => echoed == 2, 20, client.Pump));
            }
        }

        [Test]
        public void A_full_socket_costs_no_time_and_holds_nobody_up()
        {
            ClientSettings settings = Ends.Client();
            settings.SendBuffer = 8 << 10;
            using (Peer server = Peer.Server(""))
            {
                UnbrokenClient client = server.Connect(settings);
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, client.Pump));
                server.Tell("stall on");
                for (int i = 0; i < 16; i++)
                {
                    client.Send(new byte[64000]);
                }
                TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
                System.Threading.Thread.Sleep(1000);
                TimeSpan used = Process.GetCurrentProcess().TotalProcessorTime - before;
                var time = Stopwatch.StartNew();
                client.Dispose();
                Console.WriteLine("{0:0} ms of processor time in a second, disposed in {1} ms", used.TotalMilliseconds, time.ElapsedMilliseconds);
                Assert.Less(used.TotalMilliseconds, 500);
                Assert.Less(time.ElapsedMilliseconds, 900);
            }
        }

        [Test]
        public void The_server_is_reached_over_IPv6()
        {
            using (Peer server = Peer.Server("--v6"))
            using (var client = new UnbrokenClient("::1", server.Port, Ends.Client()))
            {
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, client.Pump));
            }
        }
    }
}
