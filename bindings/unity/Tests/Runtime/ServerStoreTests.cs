using System;
using System.Collections.Generic;
using System.IO;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>Servers with a store: what the application is asked and told when sessions leave and come back.</summary>
    [TestFixture]
    public class ServerStoreTests
    {
        private string folder, path;

        [SetUp]
        public void Make_a_folder()
        {
            folder = Path.Combine(Path.GetTempPath(), "unbroken-kept-" + Guid.NewGuid().ToString("N"));
            Directory.CreateDirectory(folder);
            path = Path.Combine(folder, "sessions");
        }

        [TearDown]
        public void Nothing_is_left_alive()
        {
            Directory.Delete(folder, true);
            int left = LiveObjects.Count;
            LiveObjects.DisposeAll();
            Assert.AreEqual(0, left);
        }

        /// <summary>A server that lets everybody in, at a port of an earlier one if it is given.</summary>
        private static UnbrokenServer Listen(
            FileStore store, Durability durability, int port = 0, Limits? limits = null, ServerSettings settings = null)
        {
            settings = settings ?? Ends.Server();
            settings.Store = store;
            settings.Durability = durability;
            settings.Limits = limits;
            var server = new UnbrokenServer(settings, new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, port));
            server.Authorise = (peer, credential) => Verdict.Accept(null, Ends.Bytes("fresh"));
            return server;
        }

        private static void Stand(UnbrokenServer server, UnbrokenClient client)
        {
            Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 20, server.Pump, client.Pump));
        }

        /// <summary>Has a server begin at the port, and gives the state that it is told for the client's session.</summary>
        private byte[] StateAfterRestart(Durability durability, int port, UnbrokenClient client)
        {
            byte[] told = null;
            int restored = 0;
            using (var store = new FileStore(path))
            using (UnbrokenServer server = Listen(store, durability, port))
            {
                server.Joined += peer => Assert.Fail("who was restored has joined already");
                server.Restored += (peer, state) =>
                {
                    told = state;
                    restored++;
                };
                string echoed = null;
                server.MessageReceived += (peer, message, number) => peer.TrySend(message);
                MessageHandler hear = (message, number) => echoed = System.Text.Encoding.UTF8.GetString(message.ToArray());
                client.MessageReceived += hear;
                client.Send(Ends.Bytes("still there?"));
                Assert.IsTrue(Ends.Until(() => echoed == "still there?", 30, server.Pump, client.Pump));
                client.MessageReceived -= hear;
                Assert.AreEqual(1, restored);
                Assert.AreEqual(1, server.Peers);
            }
            return told;
        }

        [TestCase("known")]
        [TestCase("")]
        [TestCase(null)]
        public void The_state_comes_back_as_it_was(string known)
        {
            byte[] state = known == null ? null : Ends.Bytes(known);
            using (var store = new FileStore(path))
            using (UnbrokenServer server = Listen(store, Durability.SwapOut))
            using (UnbrokenClient client = Ends.Connect(server))
            {
                int swappedOut = 0, left = 0;
                server.SaveState = peer => state;
                server.SwappedOut += peer => swappedOut++;
                server.Left += (peer, happened) => left++;
                Stand(server, client);
                Assert.IsTrue(server.Leave(TimeSpan.FromSeconds(20)));
                Assert.AreEqual(1, swappedOut);
                Assert.AreEqual(0, left + server.Peers);
                int port = server.Address.Port;
                server.Dispose();
                store.Dispose();
                Assert.AreEqual(state, StateAfterRestart(Durability.SwapOut, port, client));
            }
        }

        [Test]
        public void A_durable_server_that_ends_without_a_word_is_as_one_that_left()
        {
            using (var store = new FileStore(path))
            using (UnbrokenServer server = Listen(store, Durability.Durable))
            using (UnbrokenClient client = Ends.Connect(server))
            {
                int taken = 0, echoed = 0;
                server.MessageReceived += (peer, message, number) =>
                {
                    taken++;
                    peer.TrySend(message);
                };
                server.SaveState = peer => BitConverter.GetBytes(taken);
                client.MessageReceived += (message, number) => echoed++;
                Stand(server, client);
                for (int i = 1; i <= 3; i++)
                {
                    client.Send(new byte[1]);
                    int wanted = i;
                    Assert.IsTrue(Ends.Until(() => echoed == wanted, 20, server.Pump, client.Pump));
                }
                int port = server.Address.Port;
                server.Dispose();
                store.Dispose();
                Assert.AreEqual(BitConverter.GetBytes(3), StateAfterRestart(Durability.Durable, port, client));
            }
        }

        [Test]
        public void Before_the_first_message_the_state_is_the_verdicts()
        {
            using (var store = new FileStore(path))
            using (UnbrokenServer server = Listen(store, Durability.Durable))
            using (UnbrokenClient client = Ends.Connect(server))
            {
                Stand(server, client);
                int port = server.Address.Port;
                server.Dispose();
                store.Dispose();
                Assert.AreEqual(Ends.Bytes("fresh"), StateAfterRestart(Durability.Durable, port, client));
            }
        }

        [Test]
        public void A_state_that_cannot_be_had_keeps_its_session_here()
        {
            using (var store = new FileStore(path))
            using (UnbrokenServer server = Listen(store, Durability.SwapOut))
            using (UnbrokenClient client = Ends.Connect(server))
            {
                bool broken = true;
                int echoed = 0;
                server.SaveState = peer =>
                {
                    if (broken)
                    {
                        throw new FormatException("the handler's own");
                    }
                    return new byte[1];
                };
                server.MessageReceived += (peer, message, number) => peer.TrySend(message);
                client.MessageReceived += (message, number) => echoed++;
                Stand(server, client);
                Assert.Throws<FormatException>(() => server.Leave(TimeSpan.FromSeconds(20)));
                client.Send(new byte[1]);
                Assert.IsTrue(Ends.Until(() => echoed == 1, 20, server.Pump, client.Pump));
                broken = false;
                Assert.IsTrue(server.Leave(TimeSpan.FromSeconds(20)));
            }
        }

        [TestCase(Durability.SwapOut)]
        [TestCase(Durability.Durable)]
        public void A_state_that_is_too_large_is_told(Durability durability)
        {
            Limits limits = Limits.Default;
            limits.UnackedBytes = 1 << 20;
            limits.Snapshot = (1 << 20) + (64 << 10);
            using (var store = new FileStore(path))
            using (UnbrokenServer server = Listen(store, durability, 0, limits))
            using (UnbrokenClient client = Ends.Connect(server))
            {
                var told = new List<UnbrokenException>();
                SessionEvent? closed = null;
                int echoed = 0;
                server.SaveState = peer => new byte[2 << 20];
                server.NotSaved += (peer, why) => told.Add(why);
                server.MessageReceived += (peer, message, number) => peer.TrySend(message);
                client.MessageReceived += (message, number) => echoed++;
                client.Closed += happened => closed = happened;
                Stand(server, client);
                if (durability == Durability.SwapOut)
                {
                    // How long the driver takes to ask for the state is nobody's promise.
                    Assert.IsTrue(Ends.Until(() => told.Count > 0, 20, () => Assert.IsFalse(server.Leave(TimeSpan.FromMilliseconds(300)))));
                    client.Send(new byte[1]);
                    Assert.IsTrue(Ends.Until(() => echoed == 1, 20, server.Pump, client.Pump));
                    Assert.IsFalse(closed.HasValue);
                }
                else
                {
                    client.Send(new byte[1]);
                    Assert.IsTrue(Ends.Until(() => closed.HasValue, 20, server.Pump, client.Pump));
                    Assert.AreEqual(CloseReason.Kicked, closed.Value.Reason);
                    Assert.AreEqual(UnbrokenServer.StateTooLarge, closed.Value.Code);
                }
                Assert.Greater(told.Count, 0);
                Assert.AreEqual(Status.ErrSnapshot, told[0].Status);
                StringAssert.Contains("limits.snapshot", told[0].Message);
            }
        }

        [Test]
        public void Quitting_and_reloading_end_stores_too()
        {
            var store = new FileStore(path);
            Listen(store, Durability.Durable);
            LiveObjects.DisposeAll();
            Assert.AreEqual(0, LiveObjects.Count);
            new FileStore(path).Dispose();
        }

        [Test]
        public void A_session_goes_on_though_the_servers_key_and_the_clusters_were_changed()
        {
            byte[] next = Ends.Key(8), nextOfCluster = Ends.Key(10);
            ServerSettings before = Ends.Server();
            before.SecretKeys.Add(next);
            before.OlderClusterKeys.Add(nextOfCluster);
            var after = new ServerSettings(next, nextOfCluster) { Realm = Ends.Realm };
            after.OlderClusterKeys.Add(before.ClusterKey);
            using (var store = new FileStore(path))
            using (UnbrokenServer first = Listen(store, Durability.SwapOut, settings: before))
            using (UnbrokenClient client = Ends.Connect(first))
            {
                SessionEvent? failed = null;
                int echoed = 0;
                client.HandoverFailed += happened => failed = happened;
                client.MessageReceived += (message, number) => echoed++;
                first.MessageReceived += (peer, message, number) => peer.TrySend(message);
                Stand(first, client);
                first.AnnounceKeys(new[] { Keys.PublicKey(next) }, new uint[] { 3600 });
                // Behind what was announced.
                client.Send(new byte[1]);
                Assert.IsTrue(Ends.Until(() => echoed == 1, 20, first.Pump, client.Pump));
                Assert.IsTrue(first.Leave(TimeSpan.FromSeconds(20)));
                int port = first.Address.Port;
                first.Dispose();
                using (UnbrokenServer second = Listen(store, Durability.SwapOut, port, settings: after))
                {
                    int restored = 0;
                    second.Restored += (peer, state) => restored++;
                    second.MessageReceived += (peer, message, number) => peer.TrySend(message);
                    client.Send(new byte[1]);
                    Assert.IsTrue(Ends.Until(() => echoed == 2, 30, second.Pump, client.Pump));
                    Assert.AreEqual(1, restored);
                    Assert.IsFalse(failed.HasValue);
                }
            }
        }

        [Test]
        public void Who_is_with_another_server_is_put_out_all_the_same()
        {
            using (var store = new FileStore(path))
            using (UnbrokenServer first = Listen(store, Durability.SwapOut), second = Listen(store, Durability.SwapOut))
            using (UnbrokenClient client = Ends.Connect(first))
            {
                SessionEvent? left = null, closed = null;
                first.Left += (peer, happened) => left = happened;
                client.Closed += happened => closed = happened;
                Stand(first, client);
                Assert.IsFalse(second.Kick(client.Id.Value, 41));
                Assert.IsTrue(Ends.Until(() => left.HasValue && closed.HasValue, 20, first.Pump, second.Pump, client.Pump));
                Assert.AreEqual(CloseReason.Kicked, left.Value.Reason);
                Assert.AreEqual(CloseReason.Kicked, closed.Value.Reason);
                Assert.AreEqual(41, closed.Value.Code);
            }
        }

        /// <summary>By its name, as an application keeps it: of a session that has not come back nobody has a peer.</summary>
        [Test]
        public void Who_is_swapped_out_is_put_out_when_he_comes_back()
        {
            using (var store = new FileStore(path))
            using (UnbrokenServer server = Listen(store, Durability.SwapOut))
            using (UnbrokenClient client = Ends.Connect(server))
            {
                SessionEvent? closed = null;
                client.Closed += happened => closed = happened;
                Stand(server, client);
                string name = client.Id.Value.ToString();
                Assert.IsTrue(server.Leave(TimeSpan.FromSeconds(20)));
                int port = server.Address.Port;
                server.Dispose();
                using (UnbrokenServer next = Listen(store, Durability.SwapOut, port))
                {
                    SessionId id;
                    Assert.IsTrue(SessionId.TryParse(name, out id));
                    Assert.AreEqual(client.Id.Value, id);
                    Assert.IsFalse(next.Kick(id, 42));
                    Assert.IsTrue(Ends.Until(() => closed.HasValue, 30, next.Pump, client.Pump));
                    Assert.AreEqual(CloseReason.Kicked, closed.Value.Reason);
                    Assert.AreEqual(42, closed.Value.Code);
                }
            }
        }

        [Test]
        public void Who_is_here_is_put_out_at_once()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                SessionEvent? closed = null;
                client.Closed += happened => closed = happened;
                Stand(server, client);
                Assert.IsFalse(server.Kick(default(SessionId), 1));
                Assert.IsTrue(server.Kick(client.Id.Value, 43));
                Assert.IsTrue(Ends.Until(() => closed.HasValue, 20, server.Pump, client.Pump));
                Assert.AreEqual(43, closed.Value.Code);
            }
        }

        [Test]
        public void A_sessions_name_is_read_as_it_was_written()
        {
            SessionId id;
            Assert.IsTrue(SessionId.TryParse("000102030405060708090a0b0c0d0eff", out id));
            Assert.AreEqual("000102030405060708090a0b0c0d0eff", id.ToString());
            foreach (string none in new[] { null, "", new string('0', 31), new string('0', 33), new string('g', 32), " 1" + new string('0', 30) })
            {
                Assert.IsFalse(SessionId.TryParse(none, out id), none);
            }
        }

        /// <summary>As by an application that was waiting for a database, say, when the session left.</summary>
        [Test]
        public void Who_is_let_go_when_his_session_is_back_takes_none_of_its_messages()
        {
            using (var store = new FileStore(path))
            using (UnbrokenServer first = Listen(store, Durability.SwapOut), second = Listen(store, Durability.SwapOut))
            using (UnbrokenClient client = Ends.Connect(first))
            {
                ServerPeer former = null, back = null;
                int there = 0;
                var heard = new List<ServerPeer>();
                first.Joined += peer =>
                {
                    former = peer;
                    peer.Held = true;
                };
                first.Restored += (peer, state) => back = peer;
                second.Restored += (peer, state) => there++;
                first.MessageReceived += (peer, message, number) => heard.Add(peer);
                Stand(first, client);
                first.Drain(TimeSpan.Zero, "127.0.0.1:" + second.Address.Port);
                Assert.IsTrue(Ends.Until(() => there == 1, 30, first.Pump, second.Pump, client.Pump));
                second.Drain(TimeSpan.Zero, "127.0.0.1:" + first.Address.Port);
                Assert.IsTrue(Ends.Until(() => back != null, 30, first.Pump, second.Pump, client.Pump));
                Assert.AreNotSame(former, back);
                client.Send(new byte[1]);
                ulong before = back.Stats.WireReceived;
                Assert.IsTrue(Ends.Until(() => back.Stats.WireReceived > before, 20, client.Pump));
                former.Held = false;
                Assert.IsTrue(Ends.Until(() => heard.Count > 0, 20, first.Pump, second.Pump, client.Pump));
                CollectionAssert.AreEqual(new[] { back }, heard);
            }
        }

        /// <summary>As one whose messages the handler cannot bear would hold everybody up, whose state is not written meanwhile.</summary>
        [Test]
        public void States_are_asked_for_though_the_handler_throws()
        {
            const int Bad = 1000;
            using (var store = new FileStore(path))
            using (UnbrokenServer server = Listen(store, Durability.Durable))
            using (UnbrokenClient bad = Ends.Connect(server))
            {
                ServerPeer first = null;
                int thrown = 0, echoed = 0;
                server.Joined += peer => first = first ?? peer;
                server.SaveState = peer => new byte[1];
                server.MessageReceived += (peer, message, number) =>
                {
                    if (peer == first)
                    {
                        thrown++;
                        throw new FormatException("the handler's own");
                    }
                    peer.TrySend(message);
                };
                Action careless = () =>
                {
                    try
                    {
                        server.Pump();
                    }
                    catch (FormatException)
                    {
                    }
                };
                Stand(server, bad);
                Assert.IsTrue(Ends.Until(() => first != null, 20, server.Pump));
                using (UnbrokenClient good = Ends.Connect(server))
                {
                    good.MessageReceived += (message, number) => echoed++;
                    Stand(server, good);
                    ulong before = first.Stats.WireReceived;
                    for (int i = 0; i < Bad; i++)
                    {
                        bad.Send(new byte[20]);
                    }
                    Assert.IsTrue(Ends.Until(() => first.Stats.WireReceived >= before + Bad * 20, 20));
                    good.Send(new byte[1]);
                    Assert.IsTrue(Ends.Until(() => echoed == 1, 60, careless, good.Pump));
                    Assert.Greater(thrown, 0);
                    Assert.Less(thrown, Bad * 9 / 10);
                }
            }
        }

        [Test]
        public void Without_a_store_there_is_nowhere_to_go()
        {
            using (UnbrokenServer server = Ends.Listen())
            {
                Assert.Throws<InvalidOperationException>(() => server.Leave(TimeSpan.FromSeconds(1)));
            }
        }

        [Test]
        public void Servers_of_one_process_may_share_a_store_and_hand_sessions_over()
        {
            using (var store = new FileStore(path))
            using (UnbrokenServer first = Listen(store, Durability.SwapOut), second = Listen(store, Durability.SwapOut))
            using (UnbrokenClient client = Ends.Connect(first))
            {
                byte[] told = null;
                int swappedOut = 0, echoed = 0;
                first.SaveState = peer => Ends.Bytes("moved");
                first.SwappedOut += peer => swappedOut++;
                second.Restored += (peer, state) => told = state;
                second.MessageReceived += (peer, message, number) => peer.TrySend(message);
                client.MessageReceived += (message, number) => echoed++;
                Stand(first, client);
                first.Drain(TimeSpan.Zero, "127.0.0.1:" + second.Address.Port);
                Assert.IsTrue(Ends.Until(() => told != null, 30, first.Pump, second.Pump, client.Pump));
                Assert.AreEqual(Ends.Bytes("moved"), told);
                client.Send(new byte[1]);
                Assert.IsTrue(Ends.Until(() => echoed == 1 && swappedOut == 1, 20, first.Pump, second.Pump, client.Pump));
            }
        }
    }
}
