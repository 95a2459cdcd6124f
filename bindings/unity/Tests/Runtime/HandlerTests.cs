using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Threading;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>When the application's handlers are called: in which order, in whose turn, and what becomes of the rest if one throws.</summary>
    [TestFixture]
    public class HandlerTests
    {
        [TearDown]
        public void Nothing_is_left_alive()
        {
            int left = LiveObjects.Count;
            LiveObjects.DisposeAll();
            Assert.AreEqual(0, left);
        }

        /// <summary>Pumps, and swallows what the test's own handlers throw.</summary>
        private static Action Careless(Action pump)
        {
            return () =>
            {
                try
                {
                    pump();
                }
                catch (FormatException)
                {
                }
            };
        }

        [Test]
        public void A_client_hears_of_the_end_although_its_handler_throws_on_the_last_messages()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                server.Joined += peer =>
                {
                    peer.TrySend(Ends.Bytes("1"));
                    peer.TrySend(Ends.Bytes("2"));
                    peer.Close(5);
                };
                string story = "";
                client.MessageReceived += (message, number) =>
                {
                    story += Encoding.UTF8.GetString(message.ToArray());
                    throw new FormatException("the handler's own");
                };
                client.Closed += happened => story += " closed " + happened.Code;
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Closed, 10, server.Pump));
                Assert.IsTrue(Ends.Until(() => story.Contains("closed"), 5, Careless(client.Pump)), story);
                Careless(client.Pump)();
                Assert.AreEqual("12 closed 5", story);
            }
        }

        [Test]
        public void A_server_hears_of_an_end_although_its_handler_throws_on_the_last_messages()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                string story = "";
                server.MessageReceived += (peer, message, number) =>
                {
                    story += Encoding.UTF8.GetString(message.ToArray());
                    throw new FormatException("the handler's own");
                };
                server.Left += (peer, happened) => story += " left " + happened.Code;
                client.Send(Ends.Bytes("1"));
                client.Send(Ends.Bytes("2"));
                client.Disconnect(5);
                Assert.IsTrue(Ends.Until(() => story.Contains("left"), 5, Careless(server.Pump), client.Pump), story);
                Careless(server.Pump)();
                Assert.AreEqual("12 left 5", story);
                Assert.AreEqual(0, server.Peers);
            }
        }

        [Test]
        public void A_server_hears_of_an_end_behind_the_last_messages_although_its_handler_holds_the_peer()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                string story = "";
                server.MessageReceived += (peer, message, number) =>
                {
                    story += Encoding.UTF8.GetString(message.ToArray());
                    peer.Held = true;
                };
                server.Left += (peer, happened) => story += " left " + happened.Code;
                client.Send(Ends.Bytes("1"));
                client.Send(Ends.Bytes("2"));
                client.Send(Ends.Bytes("3"));
                Assert.IsTrue(Ends.Until(() => story == "1", 10, server.Pump, client.Pump), story);
                client.Disconnect(5);
                Assert.IsTrue(Ends.Until(() => story.Contains("left"), 10, server.Pump, client.Pump), story);
                Assert.AreEqual("123 left 5", story);
                server.Pump();
                Assert.AreEqual("123 left 5", story);
                Assert.AreEqual(0, server.Peers);
            }
        }

        [Test]
        public void A_client_that_its_handler_disposed_at_the_last_messages_tells_no_more()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                server.Joined += peer =>
                {
                    peer.TrySend(Ends.Bytes("1"));
                    peer.TrySend(Ends.Bytes("2"));
                    peer.Close(5);
                };
                string story = "";
                client.MessageReceived += (message, number) =>
                {
                    story += Encoding.UTF8.GetString(message.ToArray());
                    client.Dispose();
                };
                client.Closed += happened => story += " closed";
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Closed, 10, server.Pump));
                client.Pump();
                client.Pump();
                Assert.AreEqual("1", story);
                Assert.IsTrue(client.ClosedAsync().IsCanceled);
            }
        }

        [Test]
        public void A_server_that_its_handler_disposed_at_the_last_messages_tells_no_more()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                string story = "";
                server.MessageReceived += (peer, message, number) =>
                {
                    story += Encoding.UTF8.GetString(message.ToArray());
                    server.Dispose();
                };
                server.Left += (peer, happened) => story += " left";
                client.Send(Ends.Bytes("1"));
                client.Send(Ends.Bytes("2"));
                client.Disconnect(5);
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Closed, 10, client.Pump));
                server.Pump();
                server.Pump();
                Assert.AreEqual("1", story);
            }
        }

        [Test]
        public void Who_is_judged_by_a_handler_that_throws_is_refused()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                SessionEvent? closed = null;
                server.Authorise = (peer, credential) =>
                {
                    throw new FormatException("the handler's own");
                };
                client.Closed += happened => closed = happened;
                Assert.IsTrue(Ends.Until(() => closed.HasValue, 10, Careless(server.Pump), client.Pump));
                Assert.AreEqual(CloseReason.Refused, closed.Value.Reason);
                Assert.AreEqual(UnbrokenServer.HandlerFailed, closed.Value.Code);
                Assert.IsTrue(Ends.Until(() => server.Peers == 0, 10, server.Pump));
            }
        }

        [Test]
        public void Who_leaves_before_the_verdict_is_forgotten()
        {
            Limits limits = Limits.Default;
            limits.DetachedMs = 1000;
            ServerSettings settings = Ends.Server();
            settings.Limits = limits;
            using (UnbrokenServer server = Ends.Listen(settings))
            {
                ServerPeer asking = null;
                int joined = 0, left = 0;
                server.Authorise = (peer, credential) =>
                {
                    asking = peer;
                    return Verdict.Later;
                };
                server.Joined += peer => joined++;
                server.Left += (peer, happened) => left++;
                using (UnbrokenClient client = Ends.Connect(server))
                {
                    Assert.IsTrue(Ends.Until(() => asking != null, 10, server.Pump, client.Pump));
                }
                Assert.IsTrue(Ends.Until(() => server.Peers == 0, 20, server.Pump));
                Assert.IsFalse(asking.Answer(Verdict.Accept()));
                Assert.AreEqual(0, joined + left);
            }
        }

        /// <summary>Clients that stand, and their peers.</summary>
        private static UnbrokenClient[] Stand(UnbrokenServer server, int count, List<ServerPeer> peers)
        {
            server.Joined += peers.Add;
            var clients = new UnbrokenClient[count];
            for (int i = 0; i < count; i++)
            {
                clients[i] = Ends.Connect(server);
                UnbrokenClient one = clients[i];
                int known = i + 1;
                Assert.IsTrue(Ends.Until(
                    () => one.State == SessionState.Established && peers.Count == known, 10, server.Pump, one.Pump));
            }
            return clients;
        }

        /// <summary>Has messages of a client arrive and wait: the server does not pump meanwhile. Most of them: the bytes that are counted are those of
        /// headers, too, so that some of the last messages may still be on their way.</summary>
        private static void Arrive(UnbrokenClient client, ServerPeer peer, int messages)
        {
            ulong before = peer.Stats.WireReceived;
            for (int i = 0; i < messages; i++)
            {
                client.Send(new byte[20]);
            }
            Assert.IsTrue(Ends.Until(() => peer.Stats.WireReceived >= before + (ulong)messages * 20, 20),
                "{0} bytes of {1} messages", peer.Stats.WireReceived - before, messages);
        }

        [Test]
        public void Events_are_told_between_the_messages_of_those_who_talk_all_the_time()
        {
            const int Talkers = 3, Messages = 1000;
            var peers = new List<ServerPeer>();
            using (UnbrokenServer server = Ends.Listen())
            {
                UnbrokenClient[] clients = Stand(server, Talkers + 1, peers);
                UnbrokenClient quitter = clients[Talkers];
                ServerPeer quits = peers[Talkers];
                int heard = 0, heardBefore = -1;
                server.Left += (peer, happened) => heardBefore = peer == quits ? heard : heardBefore;
                server.MessageReceived += (peer, message, number) =>
                {
                    if (heard++ == 0)
                    {
                        quitter.Disconnect(0);
                        Assert.IsTrue(Ends.Until(() => quits.State == SessionState.Closed, 10));
                    }
                };
                for (int i = 0; i < Talkers; i++)
                {
                    Arrive(clients[i], peers[i], Messages);
                }
                Assert.IsTrue(Ends.Until(() => heard == Talkers * Messages, 10, server.Pump));
                Assert.That(heardBefore, Is.InRange(1, 100));
                Array.ForEach(clients, client => client.Dispose());
            }
        }

        [Test]
        public void Peers_take_turns_and_a_pump_has_a_bound()
        {
            var peers = new List<ServerPeer>();
            using (UnbrokenServer server = Ends.Listen())
            {
                UnbrokenClient[] clients = Stand(server, 3, peers);
                var heard = new Dictionary<ServerPeer, int>();
                peers.ForEach(peer => heard[peer] = 0);
                server.MessageReceived += (peer, message, number) => heard[peer]++;
                for (int i = 0; i < clients.Length; i++)
                {
                    Arrive(clients[i], peers[i], 1000);
                }
                server.MessagesPerPump = 150;
                server.Pump();
                Assert.AreEqual(150, heard.Values.Sum());
                Assert.GreaterOrEqual(heard.Values.Min(), 32);
                // Nobody waits in vain for what is still there.
                Assert.IsTrue(server.Wait(0));
                server.MessagesPerPump = 10000;
                Assert.IsTrue(Ends.Until(() => heard.Values.Sum() >= 3000, 10, server.Pump));
                CollectionAssert.AreEqual(new[] { 1000, 1000, 1000 }, heard.Values);
                Array.ForEach(clients, client => client.Dispose());
            }
        }

        [Test]
        public void One_whose_messages_make_the_handler_throw_holds_up_nobody()
        {
            const int Bad = 1000, Good = 30;
            var peers = new List<ServerPeer>();
            using (UnbrokenServer server = Ends.Listen())
            {
                UnbrokenClient[] clients = Stand(server, 2, peers);
                int good = 0, bad = 0;
                server.MessageReceived += (peer, message, number) =>
                {
                    if (peer == peers[0])
                    {
                        bad++;
                        throw new FormatException("the handler's own");
                    }
                    good++;
                };
                Arrive(clients[0], peers[0], Bad);
                Arrive(clients[1], peers[1], Good);
                Assert.IsTrue(Ends.Until(() => good == Good, 30, Careless(server.Pump)));
                // Each pump ends at one of them, so that all of them take more than a second: whoever they held up would be heard after the last.
                Assert.Less(bad, Bad);
                Assert.IsTrue(Ends.Until(() => bad == Bad, 30, Careless(server.Pump)));
                Array.ForEach(clients, client => client.Dispose());
            }
        }

        [Test]
        public void Times_are_not_negative_but_who_waits_may_wait_for_ever()
        {
            using (UnbrokenServer server = Ends.Listen())
            {
                Assert.Throws<ArgumentOutOfRangeException>(() => server.Drain(TimeSpan.FromSeconds(-1)));
                server.Pump();
                bool? woke = null;
                var waits = new Thread(() => woke = server.Wait(-1));
                waits.Start();
                using (UnbrokenClient client = Ends.Connect(server))
                {
                    Assert.IsTrue(waits.Join(20000));
                    Assert.AreEqual(true, woke);
                }
            }
        }

        [Test]
        public void Many_threads_may_send()
        {
            const int Threads = 4, Each = 2000;
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                var next = new int[Threads];
                int heard = 0, wrong = 0;
                server.MessagesPerPump = 100;
                server.MessageReceived += (peer, message, number) =>
                {
                    int sender = message[0], count = message[1] | message[2] << 8;
                    wrong += next[sender]++ == count && number == heard ? 0 : 1;
                    heard++;
                };
                var threads = Enumerable.Range(0, Threads).Select(sender => new Thread(() =>
                {
                    for (int i = 0; i < Each; i++)
                    {
                        while (client.TrySend(new[] { (byte)sender, (byte)i, (byte)(i >> 8) }) != Status.Ok)
                        {
                            Thread.Sleep(1);
                        }
                    }
                })).ToList();
                threads.ForEach(thread => thread.Start());
                int cuts = 0;
                // All of them may be heard while a connection is made anew; so they wait until the next cut has found a connection.
                Action listen = () =>
                {
                    if (heard <= (cuts + 1) * 500)
                    {
                        server.Pump();
                    }
                };
                Assert.IsTrue(Ends.Until(
                    () => heard == Threads * Each, 60, listen, client.Pump, () => cuts += heard > cuts * 500 ? client.CutLinks() : 0),
                    "{0} heard, {1} cuts", heard, cuts);
                Assert.AreEqual(0, wrong);
                Assert.Greater(cuts, 5);
                threads.ForEach(thread => thread.Join());
            }
        }
    }
}
