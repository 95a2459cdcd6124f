using System;
using System.Collections.Generic;
using System.Text;
using System.Threading.Tasks;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>A client and a server in C# over real sockets on loopback.</summary>
    [TestFixture]
    public class ClientServerTests
    {
        [TearDown]
        public void Nothing_is_left_alive()
        {
            int left = LiveObjects.Count;
            LiveObjects.DisposeAll();
            Assert.AreEqual(0, left);
        }

        [Test]
        public void Hello_and_farewell()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                string welcome = null, heard = null, echoed = null;
                var left = new List<SessionEvent>();
                var closed = new List<SessionEvent>();
                server.MessageReceived += (peer, message, number) =>
                {
                    heard = Encoding.UTF8.GetString(message.ToArray());
                    peer.TrySend(message);
                };
                server.Left += (peer, happened) => left.Add(happened);
                client.Established += happened => welcome = Encoding.UTF8.GetString(happened.Data);
                client.MessageReceived += (message, number) => echoed = Encoding.UTF8.GetString(message.ToArray());
                client.Closed += happened => closed.Add(happened);
                client.Send(Ends.Bytes("hello"));
                Assert.IsTrue(Ends.Until(() => echoed != null, 10, server.Pump, client.Pump));
                Assert.AreEqual("welcome", welcome);
                Assert.AreEqual("hello", heard);
                Assert.AreEqual("hello", echoed);
                client.Disconnect(3);
                // One, or two if an answer was late before: more must not come.
                ulong links = client.Stats.Links;
                Assert.IsTrue(Ends.Until(() => closed.Count > 0 && left.Count > 0, 10, server.Pump, client.Pump));
                Assert.AreEqual(CloseReason.Local, closed[0].Reason);
                Assert.AreEqual(CloseReason.Peer, left[0].Reason);
                Assert.AreEqual(3, left[0].Code);
                Assert.AreEqual(0, server.Peers);
                Assert.IsTrue(Ends.Until(() => client.Links == 0 && server.Links == 0, 10, client.Pump));
                Assert.AreEqual(links, client.Stats.Links);
            }
        }

        [Test]
        public void Who_has_no_ticket_is_refused()
        {
            ClientSettings settings = Ends.Client();
            settings.Credential = Ends.Bytes("a forged one");
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server, settings))
            {
                string said = null;
                SessionEvent? closed = null;
                client.Refused += happened => said = Encoding.UTF8.GetString(happened.Data);
                client.Closed += happened => closed = happened;
                Task established = client.EstablishedAsync();
                Assert.IsTrue(Ends.Until(() => closed.HasValue, 10, server.Pump, client.Pump));
                Assert.AreEqual("who are you?", said);
                Assert.AreEqual(CloseReason.Refused, closed.Value.Reason);
                Assert.AreEqual(7, closed.Value.Code);
                Assert.IsTrue(established.IsFaulted);
            }
        }

        [Test]
        public void What_a_verdict_does_not_say_is_empty_and_not_null()
        {
            foreach (Verdict verdict in new[] { Verdict.Accept(), Verdict.Refuse(7) })
            {
                ClientSettings settings = Ends.Client();
                settings.Credential = null;
                using (UnbrokenServer server = Ends.Listen())
                using (UnbrokenClient client = Ends.Connect(server, settings))
                {
                    var told = new List<byte[]>();
                    server.Authorise = (peer, credential) =>
                    {
                        told.Add(credential);
                        return verdict;
                    };
                    client.Established += happened => told.Add(happened.Data);
                    client.Refused += happened => told.Add(happened.Data);
                    Assert.IsTrue(Ends.Until(() => told.Count == 2, 10, server.Pump, client.Pump));
                    CollectionAssert.AreEqual(new[] { new byte[0], new byte[0] }, told);
                }
            }
        }

        [Test]
        public void A_kicked_client_learns_the_code()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                SessionEvent? closed = null;
                client.Closed += happened => closed = happened;
                server.Joined += peer => peer.Kick(99);
                Assert.IsTrue(Ends.Until(() => closed.HasValue, 10, server.Pump, client.Pump));
                Assert.AreEqual(CloseReason.Kicked, closed.Value.Reason);
                Assert.AreEqual(99, closed.Value.Code);
            }
        }

        [Test]
        public void A_verdict_can_come_later()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                ServerPeer asking = null;
                server.Authorise = (peer, credential) =>
                {
                    asking = peer;
                    return Verdict.Later;
                };
                Assert.IsTrue(Ends.Until(() => asking != null, 10, server.Pump, client.Pump));
                Assert.AreNotEqual(SessionState.Established, client.State);
                Assert.IsTrue(asking.Answer(Verdict.Accept()));
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
            }
        }

        [Test]
        public void A_resume_can_be_vetoed()
        {
            ServerSettings settings = Ends.Server();
            settings.AskOnResume = true;
            using (UnbrokenServer server = Ends.Listen(settings))
            using (UnbrokenClient client = Ends.Connect(server))
            {
                // Not by counting: a late answer makes one more resume.
                bool veto = false;
                SessionEvent? closed = null;
                client.Closed += happened => closed = happened;
                server.AuthoriseResume = (peer, credential) => veto ? Verdict.Refuse(13) : Verdict.Accept();
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                client.CutLinks();
                Assert.IsTrue(Ends.Until(() => client.Stats.Handovers >= 1, 10, server.Pump, client.Pump));
                Assert.IsFalse(closed.HasValue);
                veto = true;
                client.CutLinks();
                Assert.IsTrue(Ends.Until(() => closed.HasValue, 10, server.Pump, client.Pump));
                Assert.AreEqual(CloseReason.Refused, closed.Value.Reason);
                Assert.AreEqual(13, closed.Value.Code);
            }
        }

        [Test]
        public void A_changed_network_is_left_before_it_breaks()
        {
            bool quiet = false;
            for (int left = 5; left > 0 && !quiet; left--)
            {
                using (UnbrokenServer server = Ends.Listen())
                using (UnbrokenClient client = Ends.Connect(server))
                {
                    var ended = new List<SessionEvent>();
                    client.HandoverEnded += ended.Add;
                    Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                    client.ReportNetwork(NetworkEvent.Changed, 2);
                    Assert.IsTrue(Ends.Until(() => ended.Count > 0 && client.LinkHealth.Network == 2, 10, server.Pump, client.Pump));
                    // On a machine that was busy elsewhere the old link may have seemed to break before: that says nothing.
                    Stats stats = client.Stats;
                    quiet = stats.Suspicions + stats.Spares == 0;
                    Assert.GreaterOrEqual(stats.Links, 2);
                    if (quiet)
                    {
                        Assert.AreEqual(TimeSpan.Zero, ended[0].Downtime);
                        Assert.AreEqual(2, stats.Links);
                    }
                    Assert.IsTrue(Ends.Until(
                        () => client.Links == 1 && server.Links == 1 && client.LinkHealth.Condition == LinkCondition.Sound, 20, server.Pump, client.Pump));
                }
            }
            Assert.IsTrue(quiet);
        }

        [Test]
        public void A_suspended_client_is_quiet_and_wakes_again()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                client.Suspend();
                Stats asleep = client.Stats;
                client.CutLinks();
                Assert.IsFalse(Ends.Until(() => client.Stats.Links > asleep.Links, 1, server.Pump, client.Pump));
                Assert.AreEqual(Status.Ok, client.TrySend(Ends.Bytes("before the dawn")));
                string heard = null;
                server.MessageReceived += (peer, message, number) => heard = Encoding.UTF8.GetString(message.ToArray());
                client.Wake();
                Assert.IsTrue(Ends.Until(() => heard != null, 10, server.Pump, client.Pump));
                Assert.AreEqual("before the dawn", heard);
                Assert.IsTrue(Ends.Until(() => client.Stats.Handovers > asleep.Handovers, 10, server.Pump, client.Pump));
            }
        }

        [Test]
        public void Names_and_IPv6_lead_to_the_server()
        {
            using (var server = new UnbrokenServer(Ends.Server(), new System.Net.IPEndPoint(System.Net.IPAddress.IPv6Any, 0)))
            {
                server.Authorise = (peer, credential) => Verdict.Accept();
                foreach (string host in new[] { "localhost", "::1", "127.0.0.1" })
                {
                    using (var client = new UnbrokenClient(host, server.Address.Port, Ends.Client()))
                    {
                        Assert.IsTrue(
                            Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump), host);
                    }
                }
            }
        }

        [Test]
        public void Who_finds_no_server_gives_up_and_may_retry()
        {
            ClientSettings settings = Ends.Client();
            Backoff backoff = Backoff.Default;
            backoff.GiveUpAfterMs = 1000;
            backoff.BaseMs = 50;
            settings.Backoff = backoff;
            int port;
            using (UnbrokenServer gone = Ends.Listen())
            {
                port = gone.Address.Port;
            }
            using (var client = new UnbrokenClient("127.0.0.1", port, settings))
            {
                var failed = new List<SessionEvent>();
                client.HandoverFailed += failed.Add;
                Task established = client.EstablishedAsync();
                Assert.IsTrue(Ends.Until(() => failed.Count == 1, 10, client.Pump));
                Assert.AreEqual(HandoverFailure.GaveUp, failed[0].Failure);
                Assert.IsTrue(established.IsFaulted);
                Assert.AreEqual(SessionState.None, client.State);
                using (var server = new UnbrokenServer(Ends.Server(), new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, port)))
                {
                    server.Authorise = (peer, credential) => Verdict.Accept();
                    client.Retry();
                    // The old answer was about the old try.
                    established = client.EstablishedAsync();
                    Assert.IsFalse(established.IsCompleted);
                    Assert.IsTrue(Ends.Until(() => established.IsCompleted, 10, server.Pump, client.Pump));
                    Assert.AreEqual(TaskStatus.RanToCompletion, established.Status);
                    Assert.AreEqual(SessionState.Established, client.State);
                }
            }
        }

        /// <summary>As by who hears of a network, on a thread of his own.</summary>
        [Test]
        public void Who_tries_again_before_the_failure_is_told_may_wait_for_the_session_too()
        {
            int port;
            using (UnbrokenServer gone = Ends.Listen())
            {
                port = gone.Address.Port;
            }
            ClientSettings settings = Ends.Client();
            Backoff backoff = Backoff.Default;
            backoff.GiveUpAfterMs = 1000;
            backoff.BaseMs = 50;
            settings.Backoff = backoff;
            using (var client = new UnbrokenClient("127.0.0.1", port, settings))
            {
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.None, 10));
                using (var server = new UnbrokenServer(Ends.Server(), new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, port)))
                {
                    server.Authorise = (peer, credential) => Verdict.Accept(Ends.Bytes("welcome"));
                    client.Retry();
                    SessionEvent? stands = null;
                    client.Established += happened => stands = happened;
                    Assert.IsTrue(Ends.Until(() => stands.HasValue, 10, server.Pump, client.Pump));
                    Assert.AreEqual(TaskStatus.RanToCompletion, client.EstablishedAsync().Status);
                    Assert.AreEqual(Ends.Bytes("welcome"), client.EstablishedAsync().Result.Data);
                }
            }
        }

        // What looking them up throws is no SocketException: by .NET for the one, as no name is that long, by Mono for the other.
        [TestCase("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 3)]
        [TestCase("\ud800", 1)]
        public void A_name_that_cannot_even_be_looked_up_is_one_that_is_not_found(string name, int times)
        {
            ClientSettings settings = Ends.Client();
            Backoff backoff = Backoff.Default;
            backoff.GiveUpAfterMs = 1000;
            backoff.BaseMs = 50;
            settings.Backoff = backoff;
            string host = string.Concat(System.Linq.Enumerable.Repeat(name, times));
            using (var client = new UnbrokenClient(host, 1, settings))
            {
                SessionEvent? failed = null;
                client.HandoverFailed += happened => failed = happened;
                Assert.IsTrue(Ends.Until(() => failed.HasValue, 10, client.Pump));
                Assert.AreEqual(HandoverFailure.GaveUp, failed.Value.Failure);
                client.Retry();
                failed = null;
                Assert.IsTrue(Ends.Until(() => failed.HasValue, 10, client.Pump));
            }
        }

        [Test]
        public void Everything_can_be_awaited()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                server.MessageReceived += (peer, message, number) => peer.TrySend(message);
                Task<string> story = Story(client);
                Assert.IsTrue(Ends.Until(() => story.IsCompleted, 20, server.Pump, client.Pump));
                Assert.AreEqual("welcome, 3 messages, Local", story.Result);
            }
        }

        private static async Task<string> Story(UnbrokenClient client)
        {
            SessionEvent stands = await client.EstablishedAsync();
            for (byte i = 0; i < 3; i++)
            {
                await client.SendAsync(new[] { i });
            }
            int count = 0;
            for (; count < 3; count++)
            {
                using (UnbrokenMessage message = await client.ReceiveAsync())
                {
                    if (message.Length != 1 || message.Span[0] != count || message.Number != count)
                    {
                        return "not message " + count;
                    }
                }
            }
            SessionEvent over = await client.DisconnectAsync(0);
            return Encoding.UTF8.GetString(stands.Data) + ", " + count + " messages, " + over.Reason;
        }

        [Test]
        public void Sends_that_wait_for_room_keep_their_order()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                var heard = new List<int>();
                server.MessageReceived += (peer, message, number) => heard.Add(BitConverter.ToInt32(message.ToArray(), 0));
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                var sent = new List<Task>();
                bool waited = false;
                // 100 times 100 KiB is ten times what fits.
                for (int i = 0; i < 100; i++)
                {
                    var message = new byte[100 << 10];
                    BitConverter.GetBytes(i).CopyTo(message, 0);
                    sent.Add(client.SendAsync(message));
                    waited |= !sent[i].IsCompleted;
                }
                Assert.IsTrue(waited);
                Assert.AreEqual(Status.ErrWouldBlock, client.TrySend(new byte[4]));
                Assert.IsTrue(Ends.Until(() => heard.Count == 100, 20, server.Pump, client.Pump));
                for (int i = 0; i < 100; i++)
                {
                    Assert.AreEqual(i, heard[i]);
                }
                Assert.IsTrue(Ends.Until(() => sent.TrueForAll(one => one.Status == TaskStatus.RanToCompletion), 5, client.Pump));
            }
        }

        [Test]
        public void What_full_sockets_do_not_take_follows_later()
        {
            const int Messages = 24, Size = 1 << 20;
            Limits limits = Limits.Default;
            limits.UnackedBytes = limits.WindowBytes = 32 << 20;
            ServerSettings serverSettings = Ends.Server();
            ClientSettings clientSettings = Ends.Client();
            serverSettings.Limits = clientSettings.Limits = limits;
            clientSettings.SendBuffer = 8 << 10;
            using (UnbrokenServer server = Ends.Listen(serverSettings))
            using (UnbrokenClient client = Ends.Connect(server, clientSettings))
            {
                int echoed = 0, wrong = 0;
                server.MessageReceived += (peer, message, number) => peer.TrySend(message);
                client.MessageReceived += (message, number) =>
                {
                    wrong += message.Length == Size && message[0] == (byte)echoed && message[Size - 1] == (byte)echoed ? 0 : 1;
                    echoed++;
                };
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                var large = new byte[Size];
                for (int i = 0; i < Messages; i++)
                {
                    large[0] = large[Size - 1] = (byte)i;
                    client.Send(large);
                }
                Assert.IsTrue(Ends.Until(() => echoed == Messages, 60, server.Pump, client.Pump), "{0} came back", echoed);
                Assert.AreEqual(0, wrong);
                // A byte lost or doubled between the library and the socket ends the link; the session would have got over it.
                Assert.AreEqual(0, server.Counters.BadRecords);
            }
        }

        [Test]
        public void A_cancelled_receive_takes_no_message()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            using (var cancellation = new System.Threading.CancellationTokenSource())
            {
                server.Joined += peer => peer.TrySend(Ends.Bytes("one"));
                Task<UnbrokenMessage> cancelled = client.ReceiveAsync(cancellation.Token);
                cancellation.Cancel();
                Task<UnbrokenMessage> next = client.ReceiveAsync();
                Assert.IsTrue(Ends.Until(() => next.IsCompleted, 10, server.Pump, client.Pump));
                Assert.IsTrue(cancelled.IsCanceled);
                Assert.AreEqual("one", Encoding.UTF8.GetString(next.Result.ToArray()));
            }
        }

        [Test]
        public void A_held_peer_is_held_back_and_loses_nothing()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                ServerPeer held = null;
                int heard = 0;
                server.MessageReceived += (peer, message, number) =>
                {
                    Assert.AreEqual(heard++, number);
                    peer.Held = heard == 1;
                    held = peer;
                };
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                int sent = 1;
                client.Send(new byte[1000]);
                Assert.IsTrue(Ends.Until(() => heard == 1, 10, server.Pump, client.Pump));
                Assert.IsTrue(Ends.Until(
                    () =>
                    {
                        while (client.TrySend(new byte[1000]) == Status.Ok)
                        {
                            sent++;
                        }
                        return sent > 1000 && client.Stats.UnackedBytes > 900000;
                    },
                    10, server.Pump, client.Pump));
                Assert.AreEqual(1, heard);
                held.Held = false;
                Assert.IsTrue(Ends.Until(() => heard == sent, 10, server.Pump, client.Pump));
            }
        }

        [Test]
        public void A_handler_that_throws_loses_nothing()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                server.Joined += peer =>
                {
                    peer.TrySend(Ends.Bytes("1"));
                    peer.TrySend(Ends.Bytes("2"));
                };
                string heard = "";
                client.MessageReceived += (message, number) =>
                {
                    heard += Encoding.UTF8.GetString(message.ToArray());
                    if (number == 0)
                    {
                        throw new FormatException("the handler's own");
                    }
                };
                bool thrown = false;
                Assert.IsTrue(Ends.Until(
                    () => heard == "12", 10, server.Pump,
                    () =>
                    {
                        try
                        {
                            client.Pump();
                        }
                        catch (FormatException)
                        {
                            thrown = true;
                        }
                    }));
                Assert.IsTrue(thrown);
            }
        }

        [Test]
        public void A_handler_may_dispose_the_client()
        {
            using (UnbrokenServer server = Ends.Listen())
            {
                UnbrokenClient client = Ends.Connect(server);
                bool disposed = false;
                client.Established += happened =>
                {
                    client.Dispose();
                    disposed = true;
                };
                Assert.IsTrue(Ends.Until(() => disposed, 10, server.Pump, client.Pump));
                client.Pump();
                Assert.Throws<ObjectDisposedException>(() => client.TrySend(new byte[1]));
            }
        }

        [Test]
        public void More_connections_than_allowed_are_closed()
        {
            ServerSettings settings = Ends.Server();
            settings.MaxConnections = 1;
            using (UnbrokenServer server = Ends.Listen(settings))
            using (UnbrokenClient first = Ends.Connect(server))
            {
                Assert.IsTrue(Ends.Until(() => first.State == SessionState.Established, 10, server.Pump, first.Pump));
                using (UnbrokenClient second = Ends.Connect(server))
                {
                    Assert.IsFalse(
                        Ends.Until(() => second.State == SessionState.Established, 1, server.Pump, first.Pump, second.Pump));
                    first.Dispose();
                    Assert.IsTrue(Ends.Until(() => second.State == SessionState.Established, 20, server.Pump, second.Pump));
                }
            }
        }
    }
}
